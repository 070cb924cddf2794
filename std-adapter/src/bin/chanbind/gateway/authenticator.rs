//! Exported Authenticators at the gateway.

use super::{
    check,
    config::{Config, Proofs, ServerArguments, SetUp, Site},
};
use crate::{
    failure::Failure,
    files::{named, read},
};
use chanbind::proof::authenticator::{
    AuthenticatorVerifier, Credentials, KIND, Revocations, ServerIdentities, Trust,
};
use clap::Args;
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};

/// Admit devices with certificates of an authority, by Exported Authenticators (RFC 9261).
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind gateway authenticator --client-ca ca.pem --cert chain.pem --key key.pem \\\n    --second-cert second.pem --second-key second.key"
)]
pub(super) struct Arguments {
    /// The authorities of the devices' certificates, 1 to 4, PEM: a device that proves the key of a certificate of theirs is admitted.
    #[arg(long, value_name = "FILE")]
    client_ca: PathBuf,

    /// A second certificate chain of this server, PEM, proved to clients that ask for one (`chanbind connect authenticator --second-ca`).
    #[arg(long, value_name = "FILE", requires = "second_key")]
    second_cert: Option<PathBuf>,

    /// The key of the second certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "second_cert")]
    second_key: Option<PathBuf>,

    #[command(flatten)]
    server: ServerArguments,
}

/// The section `[proof.authenticator]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    /// The authorities for the proof `authenticator`.
    #[serde(default)]
    client_ca: Option<PathBuf>,
    /// Further authorities, each for the proof `authenticator:NAME`.
    #[serde(default)]
    authorities: BTreeMap<String, PathBuf>,
    /// Keys that are refused: SHA-256 of their SubjectPublicKeyInfo, in hexadecimal.
    #[serde(default)]
    revoked: Vec<String>,
    /// Further identities of this server.
    #[serde(default)]
    identity: Vec<IdentityEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityEntry {
    certificate: PathBuf,
    key: PathBuf,
}

impl Arguments {
    pub(super) fn config(self) -> Config {
        let identity = self.second_cert.zip(self.second_key);
        let identity = identity.map(|(certificate, key)| IdentityEntry { certificate, key });
        let section = Section {
            client_ca: Some(self.client_ca),
            identity: identity.into_iter().collect(),
            ..Section::default()
        };
        let proofs = Proofs {
            authenticator: Some(section),
            ..Proofs::default()
        };
        self.server.config(KIND, proofs)
    }
}

impl Section {
    pub(super) fn set_up(&self, site: Site<'_>) -> Result<SetUp, Failure> {
        let folder = site.folder;
        let revocations = Revocations::new();
        for key in &self.revoked {
            let mut spki_sha256 = [0; 32];
            hex::decode_to_slice(key, &mut spki_sha256).map_err(|error| {
                format!("revoked = {key:?}: {error}: write SHA-256 of a SubjectPublicKeyInfo in hexadecimal")
            })?;
            revocations.revoke(spki_sha256);
        }
        let mut set_up = SetUp::default();
        let own = self.client_ca.iter().map(|path| (KIND.to_owned(), path));
        let named_ones = self.authorities.iter();
        let named_ones = named_ones.map(|(name, path)| (format!("{KIND}:{name}"), path));
        for (name, path) in own.chain(named_ones) {
            let path = folder.join(path);
            let pem = read(&path)?;
            let trust = Trust::from_pem(&pem).map_err(|error| named(&path, error))?;
            set_up.warnings.extend(check::certificate(&path, &pem));
            set_up
                .summary
                .push(format!("certificates of {}", path.display()));
            let verifier = AuthenticatorVerifier::with_revocations(trust, &revocations);
            set_up.requirements.push((name, verifier.into()));
        }
        let mut identities = Vec::new();
        for IdentityEntry { certificate, key } in &self.identity {
            let (certificate, key) = (folder.join(certificate), folder.join(key));
            let chain = read(&certificate)?;
            let credentials = Credentials::from_pem(&chain, &read(&key)?);
            identities.push(credentials.map_err(|error| {
                format!("{}, {}: {error}", certificate.display(), key.display())
            })?);
            set_up
                .warnings
                .extend(check::certificate(&certificate, &chain));
            set_up.warnings.extend(check::secret_file(&key));
        }
        // Also without identities: a client that asks is then told so.
        set_up.responders = vec![ServerIdentities::new(identities)];
        Ok(set_up)
    }
}
