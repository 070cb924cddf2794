//! Channel bindings: a value that names one TLS channel, to be mixed into an authentication that runs on it (RFC 5056).
//!
//! | binding | names | defined for |
//! |---|---|---|
//! | [`ChannelBinding::tls_exporter`] | the connection | TLS 1.3, TLS 1.2 with extended master secret (RFC 9266) |
//! | [`ChannelBinding::tls_server_end_point`] | the server's certificate | every TLS version (RFC 5929 section 4) |
//! | [`ChannelBinding::tls_unique`] | the connection | TLS 1.2 with extended master secret only (RFC 5929 section 3) |
//!
//! A binding is not a secret and must not be used as a key (RFC 9266 section 4). [`DirectionTags`] makes two values of one
//! binding, one for each side.
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

use crate::crypto::equal;
use crate::exporter::{Exporter, ExporterError, Protocol};
use core::fmt;

/// The exporter label of `tls-exporter` (RFC 9266 section 2).
pub const TLS_EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// The longest binding value: SHA-512 of a certificate.
pub const MAX_BINDING_LEN: usize = 64;

/// The value of one channel binding, at most [`MAX_BINDING_LEN`] bytes.
#[derive(Clone)]
pub struct ChannelBinding {
    kind: Kind,
    value: [u8; MAX_BINDING_LEN],
    len: usize,
}

/// The registered channel binding types that this crate makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `tls-exporter` (RFC 9266).
    TlsExporter,
    /// `tls-server-end-point` (RFC 5929 section 4).
    TlsServerEndPoint,
    /// `tls-unique` (RFC 5929 section 3).
    TlsUnique,
}

impl Kind {
    /// The registered "channel-binding unique prefix" (RFC 5056 section 2.1).
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
    /// `tls-exporter`: 32 bytes exported under [`TLS_EXPORTER_LABEL`] with an empty context (RFC 9266 section 2).
    ///
    /// Not defined where renegotiation is enabled (RFC 9266 section 4.2); TLS 1.3 has none.
    ///
    /// # Errors
    /// [`BindingError::NotUnique`] for a channel without unique secrets, [`BindingError::Exporter`] as the channel says.
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

    /// `tls-server-end-point`: the hash of the server's certificate, given as DER (RFC 5929 section 4.1).
    ///
    /// The hash is the one of the certificate's signature algorithm, with MD5 and SHA-1 replaced by SHA-256: 28, 32, 48 or
    /// 64 bytes. It names the server, not the connection.
    ///
    /// # Errors
    /// [`BindingError::Certificate`] for bytes that are not one certificate, [`BindingError::Undefined`] for a signature
    /// algorithm that uses no hash or several (Ed25519, RSASSA-PSS with two hashes) and for one that is not known here.
    pub fn tls_server_end_point(certificate: &[u8]) -> Result<Self, BindingError> {
        let mut value = [0; MAX_BINDING_LEN];
        let hash = end_point::hash(certificate, &mut value)?;
        Self::new(Kind::TlsServerEndPoint, hash)
    }

    /// `tls-unique`: the first Finished message of the handshake, 12 to 64 bytes, as the TLS stack hands it out
    /// (RFC 5929 section 3.1). `first_finished` is its `verify_data`, the client's in a full handshake and the server's in
    /// an abbreviated one.
    ///
    /// # Errors
    /// [`BindingError::Undefined`] on TLS 1.3 (RFC 9266 section 3), [`BindingError::NotUnique`] on TLS 1.2 without extended
    /// master secret (RFC 7627), [`BindingError::Finished`] for another length.
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

    /// Which binding this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The binding's value, without its prefix.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.value.get(..self.len).unwrap_or_default()
    }

    /// One value for each side, so that what one side proves cannot be played back as the other's.
    #[must_use]
    pub fn direction_tags(&self) -> DirectionTags {
        DirectionTags::new(self)
    }

    fn new(kind: Kind, bytes: &[u8]) -> Result<Self, BindingError> {
        let mut value = [0; MAX_BINDING_LEN];
        value
            .get_mut(..bytes.len())
            .ok_or(BindingError::Finished {
                actual: bytes.len(),
            })?
            .copy_from_slice(bytes);
        Ok(Self {
            kind,
            value,
            len: bytes.len(),
        })
    }
}

impl PartialEq for ChannelBinding {
    /// In constant time for values of one length.
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

/// Why there is no binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindingError {
    /// The binding is not defined for this protocol version or certificate.
    Undefined,
    /// The channel's secrets are not unique to it (TLS 1.2 without extended master secret).
    NotUnique,
    /// The bytes are not one DER certificate.
    Certificate,
    /// The Finished message has a length that no cipher suite gives.
    Finished {
        /// Bytes given.
        actual: usize,
    },
    /// The channel gave no keying material.
    Exporter(ExporterError),
}

impl fmt::Display for BindingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined => f.write_str(
                "this channel binding is not defined here: use tls-exporter on TLS 1.3, and for tls-server-end-point a \
                 certificate whose signature uses one hash",
            ),
            Self::NotUnique => fmt::Display::fmt(&ExporterError::NotUnique, f),
            Self::Certificate => f.write_str("not an X.509 certificate in DER: give exactly one, without PEM armour"),
            Self::Finished { actual } => write!(
                f,
                "a Finished message of {actual} bytes: give its verify_data, 12 to {MAX_BINDING_LEN} bytes"
            ),
            Self::Exporter(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl core::error::Error for BindingError {}
