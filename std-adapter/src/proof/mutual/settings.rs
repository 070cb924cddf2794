use chanbind_core::mutual::{HostValidation, MutualError, Origin, Realm, Validation};
use std::time::Duration;

/// The settings of one realm of a gateway.
#[derive(Debug, Clone)]
pub struct RealmSettings {
    /// The realm.
    pub realm: Realm,
    /// The gateway as its clients see it: for the validation `host`, and to check the realm's scope.
    pub origin: Origin,
    /// The host validation methods that are offered and accepted, in the order of the challenges. Default: over TLS the certificate, if there is
    /// one in [`RealmSettings::certificates`], and the exporter, which this project's client prefers; over plain HTTP the host.
    pub validations: Vec<Validation>,
    /// The gateway's certificates, in DER, for `tls-server-end-point`: one, or those between which it chooses by name. Default: none.
    pub certificates: Vec<Vec<u8>>,
    /// The bounds of the table of sessions.
    pub limits: SessionTableLimits,
}

/// The bounds of the table of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTableLimits {
    /// The number of sessions. With one more, the one that was not used for the longest time goes. Default: 4,096.
    pub sessions: usize,
    /// The number of key exchanges whose first proof has not come. With one more, the oldest goes. Default: 1,024.
    pub pending: usize,
    /// The number of pending key exchanges of one connection. With one more, its oldest goes. Default: 4.
    pub pending_per_connection: usize,
    /// The time for which a key exchange may be pending. Default: 5 minutes.
    pub pending_time: Duration,
    /// The time for which a session lives without requests. Clients are told the smaller of both, in the parameter `time`. Default: 5 minutes.
    pub idle_time: Duration,
    /// The time for which a session lives. Default: 1 hour.
    pub lifetime: Duration,
    /// The largest nonce number, and so the requests of one session. Default: 65,535.
    pub nc_max: u32,
}

impl Default for SessionTableLimits {
    fn default() -> Self {
        Self {
            sessions: 4_096,
            pending: 1_024,
            pending_per_connection: 4,
            pending_time: Duration::from_secs(300),
            idle_time: Duration::from_secs(300),
            lifetime: Duration::from_secs(3_600),
            nc_max: 65_535,
        }
    }
}

impl SessionTableLimits {
    /// Returns the seconds for which clients may count on a session.
    pub(super) fn stated_time(&self) -> u32 {
        let time = self.idle_time.min(self.pending_time);
        u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
    }
}

/// The error of settings that contradict each other.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The scope does not cover the gateway.
    #[error(
        "the authentication scope {scope:?} does not cover {origin}: no client would use a password there. Use {host}"
    )]
    Scope {
        /// The scope.
        scope: String,
        /// The gateway.
        origin: String,
        /// Its host, which is a scope that covers it.
        host: String,
    },
    /// No validation method is possible.
    #[error("no host validation method is offered: name one, or give the gateway's certificate")]
    NoValidation,
    /// The method does not suit the gateway's protocol.
    #[error(
        "the host validation method {0} is not for this gateway: `host` is for plain HTTP, the others for TLS, `tls-server-end-point` needs the certificate, and `tls-unique` is not supported"
    )]
    Validation(Validation),
    /// A certificate has no binding.
    #[error("{0}")]
    Certificate(MutualError),
    /// The system gives no random numbers.
    #[error("{0}")]
    Random(String),
}

impl RealmSettings {
    /// Creates settings with the defaults.
    #[must_use]
    pub fn new(realm: Realm, origin: Origin) -> Self {
        let validations = if origin.is_https() {
            vec![Validation::TlsServerEndPoint, Validation::TlsExporter]
        } else {
            vec![Validation::Host]
        };
        Self {
            realm,
            origin,
            validations,
            certificates: Vec::new(),
            limits: SessionTableLimits::default(),
        }
    }

    /// Returns the methods that are offered.
    pub(super) fn offered(&self) -> Result<Vec<Validation>, SettingsError> {
        if !self.origin.is_covered_by(self.realm.auth_scope()) {
            return Err(SettingsError::Scope {
                scope: self.realm.auth_scope().to_owned(),
                origin: self.origin.to_string(),
                host: self.origin.host().to_owned(),
            });
        }
        let mut offered = Vec::new();
        for &method in &self.validations {
            match method {
                Validation::TlsServerEndPoint if self.certificates.is_empty() => {}
                Validation::Host => offered.push(method),
                Validation::TlsServerEndPoint | Validation::TlsExporter
                    if self.origin.is_https() =>
                {
                    offered.push(method);
                }
                _ => return Err(SettingsError::Validation(method)),
            }
        }
        if offered.is_empty() {
            return Err(SettingsError::NoValidation);
        }
        Ok(offered)
    }

    /// Returns the values of the methods that do not depend on the connection.
    pub(super) fn fixed(&self) -> Result<Vec<HostValidation>, SettingsError> {
        let mut fixed = Vec::new();
        for method in self.offered()? {
            match method {
                Validation::Host => fixed.push(HostValidation::host(&self.origin)),
                Validation::TlsServerEndPoint => {
                    for certificate in &self.certificates {
                        let value = HostValidation::tls_server_end_point(certificate);
                        fixed.push(value.map_err(SettingsError::Certificate)?);
                    }
                }
                _ => {}
            }
        }
        Ok(fixed)
    }
}
