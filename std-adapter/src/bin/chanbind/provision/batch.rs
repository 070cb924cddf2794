//! Provisioning of many devices.

use super::key::key_table;
use crate::{
    failure::Failure,
    files::{named, owner_only, read_text, say},
    registry,
    tpm::{Password, TpmArguments},
};
use chanbind::{
    gateway::{ClientTable, DatabaseError, DatabaseRegistry},
    proof::otp::KIND,
    protocol::otp::ClientId,
    tpm::{KeyOptions, Tpm},
};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use zeroize::Zeroizing;

/// The options of a batch.
#[derive(Args)]
pub(super) struct BatchArguments {
    /// The devices, CSV with the columns client_id, and if need be tcti (the address of the device's TPM), out (the key file to write, CLIENT_ID.pem
    /// otherwise), device_config (the section for the firmware), and groups, separated by spaces. The command can be repeated after an
    /// interruption: devices that are done stay as they are.
    #[arg(long, value_name = "FILE")]
    batch: Option<PathBuf>,

    /// The registry of the gateway, TOML, to which the keys are added.
    #[arg(
        long,
        value_name = "FILE",
        requires = "batch",
        conflicts_with = "database"
    )]
    registry: Option<PathBuf>,

    /// The database of the gateways, to which the keys are added: sqlite:path/of/file, or postgres://user@host/database.
    #[arg(
        long,
        value_name = "URL",
        requires = "batch",
        requires = "database_key"
    )]
    database: Option<String>,

    /// The file with the key that encrypts the keys in the database.
    #[arg(long, value_name = "FILE")]
    database_key: Option<PathBuf>,

    #[command(flatten)]
    tpm: TpmArguments,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    client_id: String,
    #[serde(default)]
    tcti: String,
    out: Option<PathBuf>,
    device_config: Option<PathBuf>,
    #[serde(default)]
    groups: String,
}

pub(super) async fn run(arguments: &BatchArguments) -> Result<ExitCode, Failure> {
    let Some(list) = arguments.batch.as_deref() else {
        let kinds = "otp, authenticator, mutual, blessing";
        eprintln!("chanbind: give a kind of proof ({kinds}), or --batch");
        return Ok(ExitCode::from(2));
    };
    let rows = read(list)?;
    let registry = arguments.open().await?;
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}, {eta} left");
    // It is shown on terminals alone.
    let progress = ProgressBar::new(u64::try_from(rows.len())?);
    progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (mut provisioned, mut unchanged, mut failed) = (0, 0, 0);
    let mut tpms = Tpms {
        arguments: &arguments.tpm,
        open: None,
    };
    for row in &rows {
        progress.set_message(row.client_id.clone());
        match row.provision(&registry, &mut tpms).await {
            Ok(true) => provisioned += 1,
            Ok(false) => unchanged += 1,
            Err(error) => {
                failed += 1;
                progress.suspend(|| eprintln!("chanbind: {}: {error}", row.client_id));
            }
        }
        progress.inc(1);
    }
    tpms.close().await;
    progress.finish_and_clear();
    say(&format!(
        "{provisioned} provisioned, {unchanged} unchanged, {failed} failed\n"
    ))?;
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn read(path: &Path) -> Result<Vec<Row>, Failure> {
    let text = read_text(path)?;
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let rows: Result<Vec<Row>, _> = reader.deserialize().collect();
    let rows = rows.map_err(|error| {
        let line = error.position().map_or(1, csv::Position::line);
        named(path, format_args!("line {line} has not the columns client_id, tcti, out, device_config, groups, of which only the first is needed"))
    })?;
    let mut seen = std::collections::HashSet::new();
    for row in &rows {
        if !seen.insert(&row.client_id) {
            return Err(named(
                path,
                format_args!("{:?} stands twice", row.client_id),
            ));
        }
    }
    Ok(rows)
}

/// The registry to which keys are added.
enum Registry {
    /// A file, and its clients of before.
    File(PathBuf, Option<ClientTable>),
    Database(Arc<DatabaseRegistry>),
}

impl BatchArguments {
    async fn open(&self) -> Result<Registry, Failure> {
        match (&self.registry, &self.database, &self.database_key) {
            (Some(file), None, _) => {
                let table =
                    |text: &str| ClientTable::from_toml(text).map_err(|error| named(file, error));
                let table = file.exists().then(|| table(&read_text(file)?));
                Ok(Registry::File(file.clone(), table.transpose()?))
            }
            (None, Some(url), Some(key)) => Ok(Registry::Database(registry::open(url, key).await?)),
            _ => Err("give --registry, or --database and --database-key".into()),
        }
    }
}

impl Registry {
    async fn has(&self, id: &str) -> Result<bool, Failure> {
        match self {
            Self::File(_, table) => Ok(table.as_ref().is_some_and(|table| table.contains(id))),
            Self::Database(registry) => match registry.keys(id).await {
                Ok(_) => Ok(true),
                Err(DatabaseError::Unknown(_)) => Ok(false),
                Err(error) => Err(error.into()),
            },
        }
    }

    async fn add(
        &self,
        client: ClientId<'_>,
        secret: &[u8],
        groups: &[&str],
    ) -> Result<(), Failure> {
        match self {
            Self::File(path, _) => {
                let mut entry = ClientTable::entry(client, secret);
                if !groups.is_empty() {
                    entry.push_str(&format!("groups = {groups:?}\n"));
                }
                entry.insert(0, '\n');
                let file = owner_only().append(true).create(true).open(path);
                let written = file.and_then(|mut file| {
                    file.write_all(entry.as_bytes())?;
                    file.sync_all()
                });
                written.map_err(|error| named(path, error))
            }
            Self::Database(registry) => Ok(registry.add(client.as_str(), secret, groups).await?),
        }
    }
}

/// The TPM that was used last.
struct Tpms<'a> {
    arguments: &'a TpmArguments,
    open: Option<(String, Tpm)>,
}

impl Tpms<'_> {
    async fn at(&mut self, tcti: &str) -> Result<&Tpm, Failure> {
        let tcti = if tcti.is_empty() {
            self.arguments.tcti()
        } else {
            tcti
        };
        if self.open.as_ref().is_none_or(|(open, _)| open != tcti) {
            self.close().await;
            self.open = Some((tcti.to_owned(), self.arguments.open_at(tcti).await?));
        }
        let (_, tpm) = self.open.as_ref().ok_or("no TPM is open")?;
        Ok(tpm)
    }

    /// Flushes the TPM: the worker thread does not outlive the process.
    async fn close(&mut self) {
        if let Some((_, tpm)) = self.open.take() {
            tpm.close().await;
        }
    }
}

impl Row {
    /// Provisions a device, unless that is done. The key file gets its name at the very end: until then its name ends in `.new`, and a repetition
    /// begins anew, or goes on from where the registry has the key already.
    async fn provision(&self, registry: &Registry, tpms: &mut Tpms<'_>) -> Result<bool, Failure> {
        let client = ClientId::new(&self.client_id)?;
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| PathBuf::from(format!("{client}.pem")));
        let is_known = registry.has(&self.client_id).await?;
        match (out.exists(), is_known) {
            (true, true) => return Ok(false),
            (true, false) => {
                return Err(named(
                    &out,
                    "it exists, and the registry does not know the device: move it away",
                ));
            }
            (false, true) if pending(&out).exists() => {
                self.finish(&out)?;
                return Ok(true);
            }
            (false, true) => {
                return Err(named(
                    &out,
                    "it does not exist, and the registry knows the device: name its key file, or remove the device from the registry",
                ));
            }
            (false, false) => {}
        }
        if let Some(path) = self.device_config.as_ref().filter(|path| path.exists()) {
            return Err(named(path, "it exists: move it away"));
        }
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice())?;
        let mut options = KeyOptions::default();
        options.description = Some(client.to_string());
        let tpm = tpms.at(&self.tcti).await?;
        let parent_name = tpm.parent_name(options.parent).await?;
        let file = tpm.import_hmac_key(secret.as_slice(), options).await?;
        write(&pending(&out), file.to_pem()?.as_bytes())?;
        if let Some(path) = &self.device_config {
            let table = key_table(KIND, &parent_name, &file, &Password::read(None)?);
            write(&pending(path), table.as_bytes())?;
        }
        let groups: Vec<&str> = self.groups.split_whitespace().collect();
        registry.add(client, secret.as_slice(), &groups).await?;
        self.finish(&out)?;
        Ok(true)
    }

    /// Gives the files their names, that of the key last.
    fn finish(&self, out: &Path) -> Result<(), Failure> {
        let configuration = self
            .device_config
            .iter()
            .filter(|path| pending(path).exists());
        for path in configuration.map(PathBuf::as_path).chain([out]) {
            fs::rename(pending(path), path).map_err(|error| named(path, error))?;
        }
        Ok(())
    }
}

/// Returns the name that a file has until all is done.
fn pending(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Writes a file that only its owner may read, in place of one that an interruption left.
fn write(path: &Path, contents: &[u8]) -> Result<(), Failure> {
    let written = || {
        if path.exists() {
            fs::remove_file(path)?;
        }
        let mut file = owner_only().write(true).create_new(true).open(path)?;
        file.write_all(contents)?;
        file.sync_all()
    };
    written().map_err(|error: std::io::Error| named(path, error))
}
