//! One-time passwords at the gateway.

use super::{
    admin::Fleet,
    check,
    config::{Config, Proofs, ServerArguments, SetUp, Site},
};
use crate::{
    failure::Failure,
    files::named,
    registry::sealer,
    shared::{Context, HeaderText, KeyLayout, Preset, SettingsArguments, default_client},
};
use chanbind::{
    gateway::{DatabaseRegistry, RegistryError, RegistryFile},
    proof::otp::{KIND, OtpVerifier},
};
use clap::Args;
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Admit the devices of a registry, by one-time passwords.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind gateway otp --registry registry.toml --cert chain.pem --key key.pem"
)]
pub(super) struct Arguments {
    /// The registry of clients, as `chanbind provision otp` prints its entries.
    #[arg(long, value_name = "FILE")]
    registry: PathBuf,

    #[command(flatten)]
    settings: SettingsArguments,

    #[command(flatten)]
    server: ServerArguments,
}

/// The section `[proof.otp]`.
#[derive(Deserialize)]
#[serde(try_from = "SectionFields")]
pub(super) struct Section {
    registry: Source,
    settings: SettingsArguments,
}

/// The source of the clients.
enum Source {
    File(PathBuf),
    Database {
        url: String,
        key: PathBuf,
        /// The TPM of the key, if it is in one.
        tcti: Option<String>,
    },
}

/// The section as a file has it. The settings are written out, because serde loses the lines of errors in flattened structures.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionFields {
    registry: Option<PathBuf>,
    database: Option<String>,
    database_key: Option<PathBuf>,
    #[serde(default)]
    profile: Preset,
    label: Option<String>,
    context: Option<Context>,
    layout: Option<KeyLayout>,
    client_header: Option<HeaderText>,
    key_header: Option<HeaderText>,
    #[serde(default = "default_client")]
    default_client: String,
    database_key_tcti: Option<String>,
}

impl TryFrom<SectionFields> for Section {
    type Error = &'static str;

    fn try_from(fields: SectionFields) -> Result<Self, &'static str> {
        let tcti = fields.database_key_tcti;
        let registry = match (fields.registry, fields.database, fields.database_key) {
            (Some(file), None, None) if tcti.is_none() => Source::File(file),
            (None, Some(url), Some(key)) => Source::Database { url, key, tcti },
            _ => {
                return Err(
                    "write registry, the file of the clients, or database and database_key",
                );
            }
        };
        Ok(Self {
            registry,
            settings: SettingsArguments {
                profile: fields.profile,
                label: fields.label,
                context: fields.context,
                layout: fields.layout,
                client_header: fields.client_header,
                key_header: fields.key_header,
                default_client: fields.default_client,
            },
        })
    }
}

/// The shortest HMAC key, in bytes, that is not warned of.
const SHORT_KEY: usize = 16;

impl Arguments {
    pub(super) fn config(self) -> Config {
        let section = Section {
            registry: Source::File(self.registry),
            settings: self.settings,
        };
        let proofs = Proofs {
            otp: Some(section),
            ..Proofs::default()
        };
        self.server.config(KIND, proofs)
    }
}

impl Section {
    pub(super) async fn set_up(&self, site: Site<'_>) -> Result<SetUp, Failure> {
        match &self.registry {
            Source::File(path) => self.set_up_file(&site.folder.join(path)),
            Source::Database { url, key, tcti } => {
                let (url, key) = (url_in(site.folder, url), site.folder.join(key));
                self.set_up_database(&url, &key, tcti.as_deref()).await
            }
        }
    }

    fn set_up_file(&self, path: &Path) -> Result<SetUp, Failure> {
        let registry = RegistryFile::open(path).map_err(|error| match error {
            RegistryError::File { path, error } => named(&path, error),
            error => named(path, error),
        })?;
        let table = registry.table();
        let mut warnings: Vec<String> = check::secret_file(path).into_iter().collect();
        if let Some((client, len)) = table.shortest_key()
            && len < SHORT_KEY
        {
            warnings.push(format!(
                "{}: the key of client {client:?} has {len} bytes: use at least {SHORT_KEY}",
                path.display()
            ));
        }
        let verifier = OtpVerifier::new(registry.clone(), self.settings.settings());
        let (reloaded, followed) = (Arc::clone(&registry), registry);
        Ok(SetUp {
            requirements: vec![(KIND.to_owned(), verifier.into())],
            reload: Some(Arc::new(move || {
                if let Err(error) = reloaded.reload() {
                    tracing::error!(%error, "the registry cannot be read: the clients stay as they were");
                }
            })),
            background: vec![Box::pin(async move { followed.follow().await })],
            summary: vec![format!("{} client(s)", table.len())],
            warnings,
            ..SetUp::default()
        })
    }

    async fn set_up_database(
        &self,
        url: &str,
        key: &Path,
        tcti: Option<&str>,
    ) -> Result<SetUp, Failure> {
        let registry = DatabaseRegistry::open(url, sealer(key, tcti).await?).await?;
        let verifier = OtpVerifier::new(registry.clone(), self.settings.settings());
        let fleet: Arc<dyn Fleet> = registry.clone();
        Ok(SetUp {
            requirements: vec![(KIND.to_owned(), verifier.into())],
            background: vec![Box::pin(registry.follow())],
            fleet: Some((KIND, fleet)),
            summary: vec!["the clients of a database".to_owned()],
            warnings: check::secret_file(key).into_iter().collect(),
            ..SetUp::default()
        })
    }
}

/// Returns the URL of a database; the file of SQLite is in this folder if its path is relative.
fn url_in(folder: &Path, url: &str) -> String {
    match url.strip_prefix("sqlite:") {
        Some(file) => format!("sqlite:{}", folder.join(file).display()),
        None => url.to_owned(),
    }
}
