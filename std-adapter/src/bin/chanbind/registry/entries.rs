//! Devices in files: TOML as `chanbind provision otp` prints it, CSV and JSON.

use crate::failure::Failure;
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};
use zeroize::Zeroizing;

/// The format of a file.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Tables [clients.NAME], as `chanbind provision otp` prints them.
    Toml,
    /// Columns id, hmac_sha256, enabled, groups; groups are separated by spaces.
    Csv,
    /// A list of objects with the same names; groups are a list.
    Json,
}

/// A device in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) id: String,
    /// The key in base64; nothing where keys are not exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hmac_sha256: Option<Zeroizing<String>>,
    #[serde(default = "enabled")]
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) groups: Vec<String>,
}

/// A row of CSV.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CsvRow {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hmac_sha256: Option<Zeroizing<String>>,
    #[serde(default = "enabled")]
    enabled: bool,
    #[serde(default)]
    groups: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TomlFile {
    #[serde(default)]
    clients: BTreeMap<String, TomlEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TomlEntry {
    hmac_sha256: Zeroizing<String>,
    #[serde(default = "enabled")]
    enabled: bool,
    #[serde(default)]
    groups: Vec<String>,
}

fn enabled() -> bool {
    true
}

impl Format {
    /// Returns the format of a file by its name; TOML for standard input.
    pub(super) fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Self::Csv,
            Some("json") => Self::Json,
            _ => Self::Toml,
        }
    }

    /// Reads devices. Errors name a line, and no value: it may be a key.
    pub(super) fn read(self, text: &str) -> Result<Vec<Entry>, Failure> {
        match self {
            Self::Toml => {
                let file: TomlFile = toml::from_str(text).map_err(|error| {
                    let at = error.span().map_or(0, |span| span.start);
                    let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
                    format!("line {line} is not an entry that `chanbind provision otp` prints")
                })?;
                Ok(file
                    .clients
                    .into_iter()
                    .map(|(id, entry)| Entry {
                        id,
                        hmac_sha256: Some(entry.hmac_sha256),
                        enabled: entry.enabled,
                        groups: entry.groups,
                    })
                    .collect())
            }
            Self::Csv => {
                let mut reader = csv::Reader::from_reader(text.as_bytes());
                let rows = reader.deserialize::<CsvRow>();
                rows.map(|row| {
                    let row = row.map_err(|error| {
                        let line = error.position().map_or(1, csv::Position::line);
                        format!("line {line} has not the columns id, hmac_sha256, enabled, groups")
                    })?;
                    Ok(Entry {
                        id: row.id,
                        hmac_sha256: row.hmac_sha256,
                        enabled: row.enabled,
                        groups: row.groups.split_whitespace().map(str::to_owned).collect(),
                    })
                })
                .collect()
            }
            Self::Json => serde_json::from_str(text).map_err(|error| {
                let line = error.line();
                format!(
                    "line {line} is not a list of objects with id, hmac_sha256, enabled, groups"
                )
                .into()
            }),
        }
    }

    /// Writes devices.
    pub(super) fn write(self, entries: &[Entry]) -> Result<Zeroizing<Vec<u8>>, Failure> {
        match self {
            Self::Toml => Err("devices are exported as CSV or JSON: choose --format".into()),
            Self::Csv => {
                let mut writer = csv::Writer::from_writer(Vec::new());
                for entry in entries {
                    writer.serialize(CsvRow {
                        id: entry.id.clone(),
                        hmac_sha256: Some(entry.hmac_sha256.clone().unwrap_or_default()),
                        enabled: entry.enabled,
                        groups: entry.groups.join(" "),
                    })?;
                }
                let text = writer.into_inner().map_err(|error| error.to_string())?;
                Ok(Zeroizing::new(text))
            }
            Self::Json => {
                let mut text = serde_json::to_vec_pretty(entries)?;
                text.push(b'\n');
                Ok(Zeroizing::new(text))
            }
        }
    }
}

impl Entry {
    /// Returns the key.
    pub(super) fn key(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let text = self.hmac_sha256.as_ref().filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| format!("device {:?} has no key", self.id))?;
        let key = BASE64_STANDARD.decode(text.as_bytes());
        let key = key.map_err(|_| format!("the key of device {:?} is not base64", self.id))?;
        Ok(Zeroizing::new(key))
    }
}
