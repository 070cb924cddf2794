//! Principals in firmware.

use super::{key::key_table, new_files::NewFiles};
use crate::{
    failure::Failure,
    files::{named, read_text},
    principal_folder::PrincipalFolder,
    tpm::{Password, TpmArguments},
};
use chanbind::{
    proof::blessing::{KIND, PrincipalKey},
    tpm::{KeyFile, Parent},
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Write a principal whose key is in this TPM for firmware.
///
/// The principal is one that `chanbind principal create --key-type tpm` has created and another principal has blessed. This command must run
/// with its TPM.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind provision blessing --principal pump7 --server factory:gateway --device-config pump7.toml"
)]
pub(super) struct Arguments {
    /// The folder of the principal.
    #[arg(long, value_name = "FOLDER")]
    principal: PathBuf,

    /// A pattern for names of servers that the device trusts. May be repeated.
    #[arg(long, value_name = "PATTERN", required = true)]
    server: Vec<String>,

    /// Write the principal to this file, as the section `[proof.blessing]` of a firmware's `chanbind.toml`.
    #[arg(long, value_name = "FILE")]
    device_config: PathBuf,

    #[command(flatten)]
    tpm: TpmArguments,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut files = NewFiles::at([&arguments.device_config])?;
    let folder = PrincipalFolder::new(&arguments.principal);
    if !folder.has_tpm_key()? {
        return Err(named(
            &folder.key(),
            "the key is in a file: create the principal with --key-type tpm",
        ));
    }
    let roots = folder.read_roots()?;
    let key = folder.read_key()?;
    let text = str::from_utf8(&key).map_err(|error| named(&folder.key(), error))?;
    let file = KeyFile::from_pem(text).map_err(|error| named(&folder.key(), error))?;

    let tpm = arguments.tpm.open().await?;
    let loaded = async {
        let parent_name = tpm.parent_name(Parent::default()).await?;
        let key = tpm.load_signing_key(file.clone(), None).await?;
        // Checks what the section has, so that an error is found here and not by the device.
        folder.principal(PrincipalKey::tpm(key))?;
        Ok::<_, Failure>(parent_name)
    }
    .await;
    tpm.close().await;
    let parent_name = loaded?;

    let lines = |text: &str| {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty());
        toml::Value::from(lines.map(str::to_owned).collect::<Vec<_>>())
    };
    let discharges = if folder.discharges().exists() {
        lines(&read_text(&folder.discharges())?)
    } else {
        lines("")
    };
    let section = format!(
        "[proof.{KIND}]\nblessings = {}\ndischarges = {discharges}\nroots = {}\nservers = {}\n\n{}",
        toml::Value::from(read_text(&folder.blessings())?.trim()),
        lines(&roots.to_string()),
        toml::Value::from(arguments.server),
        key_table(KIND, &parent_name, &file, &Password::read(None)?)
    );
    files.write(&arguments.device_config, section.as_bytes())?;
    files.keep();
    eprintln!(
        "wrote {}, a section for the firmware's chanbind.toml",
        arguments.device_config.display()
    );
    Ok(ExitCode::SUCCESS)
}
