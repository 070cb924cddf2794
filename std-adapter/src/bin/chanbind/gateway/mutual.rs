//! HTTP Mutual authentication at the gateway.

use super::{
    check,
    config::{Config, Proofs, ServerArguments, SetUp, Site},
};
use crate::{failure::Failure, files::named};
use chanbind::{
    proof::mutual::{KIND, MutualVerifier, RealmSettings, UserFile},
    protocol::mutual::{Algorithm, Origin, Realm, Validation},
};
use clap::Args;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

/// Admit users by their passwords, and prove to them that this gateway knows them, by HTTP Mutual authentication (RFC 8120).
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind gateway mutual --users users.toml --realm technicians --origin https://localhost:8443 \\\n    --cert chain.pem --key key.pem"
)]
pub(super) struct Arguments {
    /// The users, as `chanbind provision mutual` prints their entries.
    #[arg(long, value_name = "FILE")]
    users: PathBuf,

    /// The realm.
    #[arg(long, value_name = "NAME")]
    realm: String,

    /// The address of this gateway as its clients write it, without a path.
    #[arg(long, value_name = "URL")]
    origin: String,

    /// The authentication scope; by default the host of --origin.
    #[arg(long, value_name = "SCOPE")]
    auth_scope: Option<String>,

    #[command(flatten)]
    server: ServerArguments,
}

/// The section `[proof.mutual]`: one realm for the proof `mutual`, and further ones, each for the proof `mutual:NAME`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    /// The gateway as its clients see it.
    origin: String,
    #[serde(default)]
    realm: Option<String>,
    #[serde(default)]
    users: Option<PathBuf>,
    #[serde(default)]
    auth_scope: Option<String>,
    #[serde(default)]
    algorithm: Option<String>,
    #[serde(default)]
    validations: Option<Vec<String>>,
    /// In seconds.
    #[serde(default)]
    session_time: Option<u64>,
    #[serde(default)]
    nc_max: Option<u32>,
    #[serde(default)]
    realms: BTreeMap<String, RealmEntry>,
}

/// A further realm. The fields that it leaves out are those of the section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RealmEntry {
    realm: String,
    users: PathBuf,
    #[serde(default)]
    auth_scope: Option<String>,
    #[serde(default)]
    algorithm: Option<String>,
}

impl Arguments {
    pub(super) fn config(self) -> Config {
        let section = Section {
            origin: self.origin,
            realm: Some(self.realm),
            users: Some(self.users),
            auth_scope: self.auth_scope,
            algorithm: None,
            validations: None,
            session_time: None,
            nc_max: None,
            realms: BTreeMap::new(),
        };
        let proofs = Proofs {
            mutual: Some(section),
            ..Proofs::default()
        };
        self.server.config(KIND, proofs)
    }
}

impl Section {
    pub(super) fn set_up(&self, site: Site<'_>) -> Result<SetUp, Failure> {
        let mut set_up = SetUp::default();
        let mut reloads: Vec<Arc<UserFile>> = Vec::new();
        let own = match (&self.realm, &self.users) {
            (Some(realm), Some(users)) => Some(RealmEntry {
                realm: realm.clone(),
                users: users.clone(),
                auth_scope: None,
                algorithm: None,
            }),
            (None, None) if !self.realms.is_empty() => None,
            _ => {
                return Err("[proof.mutual] needs realm and users, or tables [proof.mutual.realms.NAME] that have them".into());
            }
        };
        let own = own.iter().map(|entry| (KIND.to_owned(), entry));
        let named_ones = self.realms.iter();
        let named_ones = named_ones.map(|(name, entry)| (format!("{KIND}:{name}"), entry));
        for (name, entry) in own.chain(named_ones) {
            let path = site.folder.join(&entry.users);
            let users = UserFile::open(&path).map_err(|error| {
                use chanbind::proof::mutual::UserStoreError as Error;
                match error {
                    Error::File { error, .. } => named(&path, error),
                    error => named(&path, error),
                }
            })?;
            set_up.warnings.extend(check::secret_file(&path));
            set_up.summary.push(format!(
                "{} user(s) of realm {:?}",
                users.len(),
                entry.realm
            ));
            let settings = self.settings(entry, site)?;
            let verifier = MutualVerifier::new(settings, Arc::clone(&users))?;
            set_up.requirements.push((name, verifier.into()));
            let followed = Arc::clone(&users);
            set_up
                .background
                .push(Box::pin(async move { followed.follow().await }));
            reloads.push(users);
        }
        set_up.reload = Some(Arc::new(move || {
            for users in &reloads {
                if let Err(error) = users.reload() {
                    tracing::error!(%error, "the users cannot be read: they stay as they were");
                }
            }
        }));
        Ok(set_up)
    }

    fn settings(&self, entry: &RealmEntry, site: Site<'_>) -> Result<RealmSettings, Failure> {
        let origin = Origin::parse(&self.origin)
            .map_err(|error| format!("origin = {:?}: {error}", self.origin))?;
        let token = entry.algorithm.as_ref().or(self.algorithm.as_ref());
        let mut algorithms = Algorithm::ALL.iter();
        let algorithm = match token {
            None => Algorithm::P256_SHA256,
            Some(token) => *algorithms
                .find(|one| one.token() == token)
                .ok_or_else(|| format!("algorithm = {token:?} is not an algorithm of RFC 8121"))?,
        };
        let scope = entry.auth_scope.as_deref().or(self.auth_scope.as_deref());
        let realm = Realm::new(algorithm, scope.unwrap_or(origin.host()), &entry.realm)?;
        let mut settings = RealmSettings::new(realm, origin);
        if let Ok(certificate) = CertificateDer::from_pem_slice(site.chain) {
            settings.certificates = vec![certificate.to_vec()];
        }
        if let Some(names) = &self.validations {
            let methods = names.iter().map(|name| validation(name));
            settings.validations = methods.collect::<Result<_, _>>()?;
        }
        if let Some(seconds) = self.session_time {
            if seconds == 0 {
                return Err("session_time = 0: write the seconds for which a session lives without requests".into());
            }
            let time = Duration::from_secs(seconds);
            settings.limits.idle_time = time;
            settings.limits.pending_time = settings.limits.pending_time.max(time);
        }
        if let Some(nc_max) = self.nc_max {
            settings.limits.nc_max = nc_max;
        }
        Ok(settings)
    }
}

fn validation(name: &str) -> Result<Validation, Failure> {
    let known = match name {
        "tls-exporter" => Some(Validation::TlsExporter),
        token => Validation::of_token(token),
    };
    known.ok_or_else(|| {
        format!("validations = [{name:?}]: write tls-exporter, tls-server-end-point or host").into()
    })
}
