//! Vanadium's blessings at the gateway.

use super::config::{Config, Proofs, ServerArguments, SetUp, Site};
use crate::{
    failure::Failure,
    files::{named, read},
    principal_folder::PrincipalFolder,
};
use axum::http::Uri;
use chanbind::{
    proof::blessing::{BlessingVerifier, DischargeSource, HttpsDischarges, KIND, PeerPatterns},
    tls::{client_config, roots_from_pem},
};
use clap::Args;
use serde::Deserialize;
use std::{path::PathBuf, sync::Arc};

/// Admit clients by the names of their blessings, after the gateway has shown its own.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind gateway blessing --principal gateway --admit factory:line3 --cert chain.pem --key key.pem"
)]
pub(super) struct Arguments {
    /// The folder of the gateway's principal, as `chanbind principal create` writes it, with a key in a file.
    #[arg(long, value_name = "FOLDER")]
    principal: PathBuf,

    /// A pattern for names of clients that are admitted: factory:line3 stands for its extensions too. May be repeated.
    #[arg(long, value_name = "PATTERN", required = true)]
    admit: Vec<String>,

    /// A pattern for names that are dropped before. May be repeated.
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,

    #[command(flatten)]
    server: ServerArguments,
}

/// The section `[proof.blessing]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    principal: PathBuf,
    admit: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    /// The URLs at or below which discharges are fetched that clients have not brought.
    #[serde(default)]
    dischargers: Vec<String>,
    /// The authorities of their TLS certificates.
    discharger_ca: Option<PathBuf>,
    /// Further lists, each for the proof `blessing:NAME`.
    #[serde(default)]
    lists: std::collections::BTreeMap<String, List>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    admit: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
}

impl Arguments {
    pub(super) fn config(self) -> Config {
        let section = Section {
            principal: self.principal,
            admit: self.admit,
            exclude: self.exclude,
            dischargers: Vec::new(),
            discharger_ca: None,
            lists: std::collections::BTreeMap::new(),
        };
        let proofs = Proofs {
            blessing: Some(section),
            ..Proofs::default()
        };
        self.server.config(KIND, proofs)
    }
}

impl Section {
    pub(super) fn set_up(&self, site: Site<'_>) -> Result<SetUp, Failure> {
        let folder = PrincipalFolder::new(site.folder.join(&self.principal));
        let principal = Arc::new(folder.read()?);
        let mut set_up = SetUp::default();
        let names = principal.local_names()?;
        let names: Vec<_> = names.iter().collect();
        if names.is_empty() {
            set_up.warnings.push(
                "the gateway has no name that it recognizes itself: caveats that name this gateway as a peer do not hold".to_owned(),
            );
        }
        set_up
            .summary
            .push(format!("clients with blessings, as {}", names.join(", ")));
        let source = self.source(&site)?;
        let own = (KIND.to_owned(), &self.admit, &self.exclude);
        let lists = self.lists.iter();
        let lists =
            lists.map(|(name, list)| (format!("{KIND}:{name}"), &list.admit, &list.exclude));
        for (name, admit, exclude) in std::iter::once(own).chain(lists) {
            let peers = PeerPatterns::admit(admit.iter()).exclude(exclude.iter());
            if let Some(warning) = peers.warning() {
                set_up.warnings.push(format!("{name}: {warning}"));
            }
            let verifier = match &source {
                Some(source) => {
                    BlessingVerifier::with_discharges(&principal, peers, Arc::clone(source))
                }
                None => BlessingVerifier::new(&principal, peers),
            };
            set_up.requirements.push((name, (&verifier).into()));
        }
        set_up
            .warnings
            .extend(super::check::secret_file(&folder.key()));
        Ok(set_up)
    }

    /// Returns the source of discharges, if there are dischargers.
    fn source(&self, site: &Site<'_>) -> Result<Option<Arc<dyn DischargeSource>>, Failure> {
        let mut allowed = Vec::new();
        for location in &self.dischargers {
            let uri: Uri = location.parse().map_err(|_| {
                format!("proof.blessing.dischargers: {location:?}: write a URL like https://discharger.example/")
            })?;
            if uri.scheme_str() != Some("https") || uri.host().is_none() {
                return Err(format!(
                    "proof.blessing.dischargers: {location:?}: write a URL that begins with https://"
                )
                .into());
            }
            allowed.push(uri);
        }
        match (&self.discharger_ca, allowed.is_empty()) {
            (_, true) => Ok(None),
            (None, false) => Err(
                "proof.blessing: add discharger_ca, a file with the authorities of the dischargers' TLS certificates"
                    .into(),
            ),
            (Some(ca), false) => {
                let path = site.folder.join(ca);
                let roots = roots_from_pem(&read(&path)?).map_err(|error| named(&path, error))?;
                let tls = client_config(roots).map_err(|error| named(&path, error))?;
                Ok(Some(Arc::new(HttpsDischarges::new(allowed, tls))))
            }
        }
    }
}
