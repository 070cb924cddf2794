use super::{Channel, Policy};
use crate::clock;
use chanbind_core::exporter::Protocol;
use serde::{Deserialize, Serialize};

/// The view that a gateway has of a connection, for a client that compares it with what it sees itself: `chanbind doctor` does.
///
/// No secret is in it: exported keying material appears as [fingerprints](crate::proof::fingerprint), and that of the connection alone.
///
/// ```no_run
/// use axum::{Extension, Json, Router, routing::get};
/// use chanbind::gateway::{Channel, Diagnosis, Policy};
///
/// # fn example(policy: Policy) -> Router {
/// let policy = policy.exempt("/diagnosis");
/// let diagnosed = policy.clone();
/// let answer = get(|Extension(channel): Extension<Channel>| async move {
///     Json(Diagnosis::of(&channel, &diagnosed, "client1"))
/// });
/// # let router =
/// Router::new().route("/diagnosis", answer)
/// # ; router
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The version of TLS: `1.3`, or `1.2`.
    pub tls: String,
    /// The time, in seconds since 1970.
    pub unix_time: u64,
    /// The SHA-256 of the server's certificate, in hexadecimal digits, if the gateway was told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The values that the verifiers export.
    pub exports: Vec<Export>,
}

/// An exported value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// The kind of proof.
    pub proof: String,
    /// The name of the value.
    pub name: String,
    /// Its fingerprint.
    pub fingerprint: String,
}

impl Diagnosis {
    /// Looks at a channel as the verifiers of a policy do for this client.
    #[must_use]
    pub fn of(channel: &Channel, policy: &Policy, client: &str) -> Self {
        let verifiers = policy.verifiers();
        let exports = verifiers.iter().flat_map(|verifier| {
            let exports = verifier.exports(channel, client).into_iter();
            exports.map(|(name, fingerprint)| Export {
                proof: verifier.kind().to_owned(),
                name: name.to_owned(),
                fingerprint,
            })
        });
        let tls = match channel.exporter().protocol() {
            Protocol::Tls13 => "1.3",
            _ => "1.2",
        };
        Self {
            tls: tls.to_owned(),
            unix_time: clock::now(),
            certificate: None,
            exports: exports.collect(),
        }
    }

    /// Adds the fingerprint of the server's certificate
    /// ([`ServerCertificate::fingerprint`](crate::tls::ServerCertificate::fingerprint)).
    #[must_use]
    pub fn with_certificate(mut self, fingerprint: String) -> Self {
        self.certificate = Some(fingerprint);
        self
    }
}
