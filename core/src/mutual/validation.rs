use super::{MAX_ORIGIN_LEN, MutualError, Origin};
use crate::{binding::ChannelBinding, exporter::Exporter};
use core::fmt;
use heapless::Vec;

/// The longest value vh, in bytes: that of the validation `host`.
pub const MAX_VALIDATION_LEN: usize = MAX_ORIGIN_LEN;

/// A host validation method (RFC 8120 section 7): the way in which an authentication is bound to its transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Validation {
    /// `host`: scheme, name and port of the server. For plain HTTP. Over TLS it does not stop a man in the middle that has a valid certificate
    /// of its own.
    Host,
    /// `tls-server-end-point`: the server's certificate (RFC 5929 section 4). It does not tell two connections to one server apart.
    TlsServerEndPoint,
    /// `tls-unique`: the first Finished message, with TLS 1.2 only (RFC 5929 section 3).
    TlsUnique,
    /// [`TLS_EXPORTER`]: the one connection, with TLS 1.3 (RFC 9266). A private extension of this project's.
    TlsExporter,
}

/// The token of [`Validation::TlsExporter`]. RFC 8120 has no token for TLS 1.3; section 3.2.1 gives extensions this form.
pub const TLS_EXPORTER: &str = "-tls-exporter.chanbind.github.io";

impl Validation {
    /// All methods, the strongest first.
    pub const ALL: [Self; 4] = [
        Self::TlsExporter,
        Self::TlsUnique,
        Self::TlsServerEndPoint,
        Self::Host,
    ];

    /// Returns the token, in lower case.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::TlsServerEndPoint => "tls-server-end-point",
            Self::TlsUnique => "tls-unique",
            Self::TlsExporter => TLS_EXPORTER,
        }
    }

    /// Returns the method that a token names, in letters of any case.
    #[must_use]
    pub fn of_token(token: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.token().eq_ignore_ascii_case(token))
    }
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}

/// The value vh of one method on one connection (RFC 8120 section 7).
#[derive(Clone)]
pub struct HostValidation {
    method: Validation,
    value: Vec<u8, MAX_VALIDATION_LEN>,
}

impl HostValidation {
    /// Creates the value of `host`. A server takes its own name from its configuration, never from the request: otherwise a
    /// relay could choose it.
    #[must_use]
    pub fn host(origin: &Origin) -> Self {
        Self::new(Validation::Host, origin.validation().as_bytes())
    }

    /// Creates the value of [`Validation::TlsExporter`] for a connection.
    ///
    /// # Errors
    /// [`MutualError::Channel`] if the connection has no such binding.
    pub fn tls_exporter(channel: &dyn Exporter) -> Result<Self, MutualError> {
        let binding = ChannelBinding::tls_exporter(&channel).map_err(MutualError::Channel)?;
        Ok(Self::new(Validation::TlsExporter, binding.as_bytes()))
    }

    /// Creates the value of `tls-server-end-point` from the server's certificate, in DER.
    ///
    /// # Errors
    /// [`MutualError::Channel`] if there is no such binding for the certificate.
    pub fn tls_server_end_point(certificate: &[u8]) -> Result<Self, MutualError> {
        let binding = ChannelBinding::tls_server_end_point(certificate);
        Ok(Self::of_binding(&binding.map_err(MutualError::Channel)?))
    }

    /// Creates the value of `tls-server-end-point` from the binding's octets.
    pub(super) fn of_end_point(value: &[u8]) -> Self {
        Self::new(Validation::TlsServerEndPoint, value)
    }

    /// Creates the value of the method to which a channel binding belongs. [`ChannelBinding::tls_unique`] refuses TLS 1.3.
    #[must_use]
    pub fn of_binding(binding: &ChannelBinding) -> Self {
        use crate::binding::Kind;
        let method = match binding.kind() {
            Kind::TlsExporter => Validation::TlsExporter,
            Kind::TlsServerEndPoint => Validation::TlsServerEndPoint,
            Kind::TlsUnique => Validation::TlsUnique,
        };
        Self::new(method, binding.as_bytes())
    }

    fn new(method: Validation, value: &[u8]) -> Self {
        Self {
            method,
            // Cannot fail: all values are shorter.
            value: Vec::from_slice(value).unwrap_or_default(),
        }
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> Validation {
        self.method
    }

    /// Returns the octets of vh.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.value
    }
}

impl fmt::Debug for HostValidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostValidation({}, hidden)", self.method)
    }
}
