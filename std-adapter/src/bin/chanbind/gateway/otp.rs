//! One-time passwords at the gateway.

use super::{
    check,
    config::{Config, Proofs, ServerArguments, SetUp, Site},
};
use crate::{
    failure::Failure,
    files::named,
    shared::{Context, HeaderText, KeyLayout, Preset, SettingsArguments, default_client},
};
use chanbind::{
    gateway::{RegistryError, RegistryFile},
    proof::otp::{KIND, OtpVerifier},
};
use clap::Args;
use serde::Deserialize;
use std::{path::PathBuf, sync::Arc};

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
#[serde(from = "SectionFields")]
pub(super) struct Section {
    registry: PathBuf,
    settings: SettingsArguments,
}

/// The section as a file has it. The settings are written out, because serde loses the lines of errors in flattened structures.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionFields {
    registry: PathBuf,
    #[serde(default)]
    profile: Preset,
    label: Option<String>,
    context: Option<Context>,
    layout: Option<KeyLayout>,
    client_header: Option<HeaderText>,
    key_header: Option<HeaderText>,
    #[serde(default = "default_client")]
    default_client: String,
}

impl From<SectionFields> for Section {
    fn from(fields: SectionFields) -> Self {
        Self {
            registry: fields.registry,
            settings: SettingsArguments {
                profile: fields.profile,
                label: fields.label,
                context: fields.context,
                layout: fields.layout,
                client_header: fields.client_header,
                key_header: fields.key_header,
                default_client: fields.default_client,
            },
        }
    }
}

/// The shortest HMAC key, in bytes, that is not warned of.
const SHORT_KEY: usize = 16;

impl Arguments {
    pub(super) fn config(self) -> Config {
        let section = Section {
            registry: self.registry,
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
    pub(super) fn set_up(&self, site: Site<'_>) -> Result<SetUp, Failure> {
        let path = site.folder.join(&self.registry);
        let registry = RegistryFile::open(&path).map_err(|error| match error {
            RegistryError::File { path, error } => named(&path, error),
            error => named(&path, error),
        })?;
        let table = registry.table();
        let mut warnings: Vec<String> = check::secret_file(&path).into_iter().collect();
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
}
