//! Channel bindings: values that identify a TLS channel and are mixed into an authentication that runs on it (RFC 5056).
//!
//! | binding | identifies | defined for |
//! |---|---|---|
//! | [`ChannelBinding::tls_exporter`] | the connection | TLS 1.3, TLS 1.2 with extended master secret (RFC 9266) |
//! | [`ChannelBinding::tls_server_end_point`] | the server's certificate | every TLS version (RFC 5929 section 4) |
//! | [`ChannelBinding::tls_unique`] | the connection | TLS 1.2 with extended master secret only (RFC 5929 section 3) |
//!
//! A binding is not a secret and must not be used as a key (RFC 9266 section 4). [`DirectionTags`] holds two values that are
//! derived from one binding, one for each side.
//!
//! ```
//! use chanbind_core::{binding::{ChannelBinding, Side}, exporter::ExporterSecret};
//!
//! let channel = ExporterSecret::sha256(&[7; 32]);
//! let binding = ChannelBinding::tls_exporter(&channel)?;
//! let tags = binding.direction_tags();
//! assert_ne!(tags.of(Side::Client), tags.of(Side::Server));
//! # Ok::<(), chanbind_core::binding::BindingError>(())
//! ```

mod direction;
mod end_point;

pub use direction::{DirectionTag, DirectionTags, Side};

use crate::{
    crypto::equal,
    error_messages,
    exporter::{Exporter, ExporterError, Protocol},
};
use core::fmt;
use heapless::Vec;

/// The exporter label for `tls-exporter` (RFC 9266 section 2).
pub const TLS_EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// The maximum length of a binding value in bytes, which is that of a SHA-512 hash of a certificate.
pub const MAX_BINDING_LEN: usize = 64;

/// The value of one channel binding, at most [`MAX_BINDING_LEN`] bytes.
#[derive(Clone)]
pub struct ChannelBinding {
    kind: Kind,
    value: Vec<u8, MAX_BINDING_LEN>,
}

/// A registered channel binding type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The type `tls-exporter` (RFC 9266).
    TlsExporter,
    /// The type `tls-server-end-point` (RFC 5929 section 4).
    TlsServerEndPoint,
    /// The type `tls-unique` (RFC 5929 section 3).
    TlsUnique,
}

impl Kind {
    /// Returns the registered "channel-binding unique prefix" (RFC 5056 section 2.1).
    #[must_use]
    pub fn unique_prefix(self) -> &'static str {
        match self {
            Self::TlsExporter => "tls-exporter",
            Self::TlsServerEndPoint => "tls-server-end-point",
            Self::TlsUnique => "tls-unique",
        }
    }
}

impl ChannelBinding {
    /// Computes `tls-exporter`: 32 bytes that are exported for [`TLS_EXPORTER_LABEL`] and an empty context (RFC 9266 section 2).
    ///
    /// This binding is not defined if renegotiation is enabled (RFC 9266 section 4.2). TLS 1.3 has no renegotiation.
    ///
    /// # Errors
    /// [`BindingError::NotUnique`] if the secrets of the channel are not unique to it, [`BindingError::Exporter`] if the channel
    /// fails to export keying material.
    pub fn tls_exporter(channel: &impl Exporter) -> Result<Self, BindingError> {
        if !channel.protocol().has_unique_secrets() {
            return Err(BindingError::NotUnique);
        }
        let mut value = [0; 32];
        channel
            .export_keying_material(TLS_EXPORTER_LABEL, Some(&[]), &mut value)
            .map_err(BindingError::Exporter)?;
        Self::new(Kind::TlsExporter, &value)
    }

    /// Computes `tls-server-end-point`: the hash of the server's certificate in DER (RFC 5929 section 4.1).
    ///
    /// The hash function is that of the certificate's signature algorithm, with MD5 and SHA-1 replaced by SHA-256. The value has
    /// 28, 32, 48 or 64 bytes. It identifies the server, not the connection.
    ///
    /// # Errors
    /// [`BindingError::Certificate`] if the bytes are not exactly one certificate. [`BindingError::Undefined`] if the signature
    /// algorithm is not supported, or uses no hash function or several ones (Ed25519, RSASSA-PSS with two hash functions).
    pub fn tls_server_end_point(certificate: &[u8]) -> Result<Self, BindingError> {
        let mut value = [0; MAX_BINDING_LEN];
        let hash = end_point::hash(certificate, &mut value)?;
        Self::new(Kind::TlsServerEndPoint, hash)
    }

    /// Creates `tls-unique` from the first Finished message of the handshake, which the TLS stack provides (RFC 5929 section 3.1).
    ///
    /// `first_finished` is the `verify_data` of this message, 12 to 64 bytes. In a full handshake the client sends it; in an
    /// abbreviated handshake the server sends it.
    ///
    /// # Errors
    /// [`BindingError::Undefined`] with TLS 1.3 (RFC 9266 section 3), [`BindingError::NotUnique`] with TLS 1.2 without extended
    /// master secret (RFC 7627), [`BindingError::Finished`] if `first_finished` has another length.
    pub fn tls_unique(protocol: Protocol, first_finished: &[u8]) -> Result<Self, BindingError> {
        if protocol == Protocol::Tls13 {
            return Err(BindingError::Undefined);
        }
        if !protocol.has_unique_secrets() {
            return Err(BindingError::NotUnique);
        }
        if !(12..=MAX_BINDING_LEN).contains(&first_finished.len()) {
            return Err(BindingError::Finished {
                actual: first_finished.len(),
            });
        }
        Self::new(Kind::TlsUnique, first_finished)
    }

    /// Returns the type of the binding.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the value of the binding, without its unique prefix.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.value
    }

    /// Returns one value for each side, so that the proof of one side cannot be replayed as the proof of the other.
    #[must_use]
    pub fn direction_tags(&self) -> DirectionTags {
        DirectionTags::new(self)
    }

    fn new(kind: Kind, bytes: &[u8]) -> Result<Self, BindingError> {
        let value = Vec::from_slice(bytes).map_err(|_| BindingError::Finished {
            actual: bytes.len(),
        })?;
        Ok(Self { kind, value })
    }
}

impl PartialEq for ChannelBinding {
    /// Compares in constant time if both values have the same length.
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && equal(self.as_bytes(), other.as_bytes())
    }
}

impl Eq for ChannelBinding {}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelBinding({}", self.kind.unique_prefix())?;
        f.write_str(", hidden)")
    }
}

/// The error of computing a channel binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindingError {
    /// The binding is not defined for this protocol version or certificate.
    Undefined,
    /// The secrets of the channel are not unique to it (TLS 1.2 without extended master secret).
    NotUnique,
    /// The bytes are not exactly one certificate in DER.
    Certificate,
    /// The Finished message has a length that no cipher suite uses.
    Finished {
        /// The length of the message, in bytes.
        actual: usize,
    },
    /// The channel failed to export keying material.
    Exporter(ExporterError),
}

error_messages! { BindingError {
    Self::Undefined => "the channel binding is not defined for this protocol version or certificate: use tls-exporter with TLS 1.3, and tls-server-end-point with a certificate whose signature algorithm uses a single hash function";
    Self::NotUnique => "{}", ExporterError::NotUnique;
    Self::Certificate => "invalid X.509 certificate: pass exactly one certificate in DER, not in PEM";
    Self::Finished { actual } => "invalid Finished message of {} bytes: pass its verify_data, 12 to {} bytes", actual, MAX_BINDING_LEN;
    Self::Exporter(error) => "{}", error;
}}

impl core::error::Error for BindingError {}
