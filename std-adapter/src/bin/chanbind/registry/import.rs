//! Devices that come from files.

use super::{
    Database,
    entries::{Entry, Format},
};
use crate::{
    failure::Failure,
    files::{named, read_text, say},
};
use chanbind::gateway::{DatabaseError, DatabaseRegistry};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Add devices from a file: TOML as `chanbind provision otp` prints it, CSV or JSON.
///
/// A device that is in the registry with the same key is left as it is, so that an import can be repeated. One with another key is an error, unless
/// --rotate gives it the new key beside its old one.
#[derive(Args)]
pub(super) struct Arguments {
    /// The file; `-` reads standard input.
    file: PathBuf,

    /// The format, if the name of the file does not say it.
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Give devices with another key the new one. Both are valid until `chanbind registry finish-rotation`.
    #[arg(long)]
    rotate: bool,

    #[command(flatten)]
    database: Database,
}

/// The outcome for a device.
enum Done {
    Added,
    Rotated,
    Unchanged,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let text = read_text(&arguments.file)?;
    let format = arguments.format.unwrap_or(Format::of(&arguments.file));
    let entries = format.read(&text);
    let entries = entries.map_err(|error| named(&arguments.file, error))?;
    let registry = arguments.database.open().await?;
    let (mut added, mut rotated, mut unchanged, mut failed) = (0, 0, 0, 0);
    for entry in &entries {
        match import(&registry, entry, arguments.rotate).await {
            Ok(Done::Added) => added += 1,
            Ok(Done::Rotated) => rotated += 1,
            Ok(Done::Unchanged) => unchanged += 1,
            Err(error) => {
                failed += 1;
                eprintln!("chanbind: {error}");
            }
        }
    }
    say(&format!(
        "{added} added, {rotated} with a new key, {unchanged} unchanged, {failed} failed\n"
    ))?;
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn import(
    registry: &DatabaseRegistry,
    entry: &Entry,
    rotates: bool,
) -> Result<Done, Failure> {
    let key = entry.key()?;
    let groups: Vec<&str> = entry.groups.iter().map(String::as_str).collect();
    match registry.add(&entry.id, &key, &groups).await {
        Ok(()) => {
            if !entry.enabled {
                registry.set_enabled(&entry.id, false).await?;
            }
            return Ok(Done::Added);
        }
        Err(DatabaseError::Exists(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let present = registry.keys(&entry.id).await?;
    if present.first().is_some_and(|present| *present == key) {
        return Ok(Done::Unchanged);
    }
    if !rotates {
        return Err(format!(
            "device {:?} is in the registry with another key: --rotate gives it this one beside it",
            entry.id
        )
        .into());
    }
    registry.rotate(&entry.id, &key).await?;
    Ok(Done::Rotated)
}
