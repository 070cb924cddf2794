//! Keying material that a TLS connection exports for a label and a context (RFC 5705 section 4, RFC 8446 section 7.5).
//!
//! A TLS stack that has an exporter implements [`Exporter`]. For a stack that provides only its exporter secret,
//! [`ExporterSecret`] implements the rest of the TLS 1.3 key schedule. This crate calls one end of a TLS connection, as a source
//! of keying material, a channel.
//!
//! ```
//! use chanbind_core::exporter::{Exporter, ExporterSecret};
//!
//! let channel = ExporterSecret::sha256(&[7; 32]);
//! let mut keying_material = [0; 32];
//! channel.export_keying_material(b"EXPORTER-my_label", Some(b"client1"), &mut keying_material)?;
//! # Ok::<(), chanbind_core::exporter::ExporterError>(())
//! ```

mod secret;

pub use secret::{ExporterSecret, MAX_LABEL};

pub use crate::crypto::HashAlgorithm;

use crate::error_messages;

/// A channel that exports keying material. For the same label and context, both ends of one TLS connection get the same bytes,
/// which no third party can compute.
pub trait Exporter {
    /// Returns the protocol version that the channel negotiated.
    fn protocol(&self) -> Protocol;

    /// Returns the hash of the negotiated cipher suite, which in TLS 1.2 is the hash of its PRF. Returns `None` if the channel
    /// does not provide it; the module `authenticator` then rejects the channel.
    fn hash(&self) -> Option<HashAlgorithm> {
        None
    }

    /// Calls `use_it` with the value of the channel binding `tls-server-end-point`, if the channel knows the server's certificate and has one
    /// ([`ChannelBinding::tls_server_end_point`](crate::binding::ChannelBinding::tls_server_end_point)).
    fn with_server_end_point(&self, use_it: &mut dyn FnMut(&[u8])) {
        let _ = use_it;
    }

    /// Fills `out` with keying material; `out.len()` is the requested length.
    ///
    /// In TLS 1.3 an absent context and an empty context give the same bytes (RFC 8446 section 7.5); in TLS 1.2 they do not (RFC
    /// 5705 section 4). Pass `Some(&[])` where a protocol specifies an empty context and `None` where it specifies no context.
    ///
    /// A label is ASCII and has at most 249 bytes. Labels that begin with `EXPERIMENTAL` are for private use; all others must be
    /// registered and should begin with `EXPORTER` (RFC 5705 sections 4 and 6). TLS 1.3 exports at most 255 times the length of
    /// the handshake's hash: 8,160 bytes with SHA-256, 12,240 bytes with SHA-384.
    ///
    /// # Errors
    /// [`ExporterError`] if the handshake is not complete, if the label, the context or `out` is too long, if `out` is empty, or
    /// if the TLS stack fails. The implementation then zeroes `out`.
    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError>;
}

impl<E: Exporter + ?Sized> Exporter for &E {
    fn protocol(&self) -> Protocol {
        (**self).protocol()
    }

    fn hash(&self) -> Option<HashAlgorithm> {
        (**self).hash()
    }

    fn with_server_end_point(&self, use_it: &mut dyn FnMut(&[u8])) {
        (**self).with_server_end_point(use_it);
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        (**self).export_keying_material(label, context, out)
    }
}

/// The negotiated protocol version, with the property on which channel bindings depend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// TLS 1.3 (RFC 8446, RFC 9846), whose secrets are always unique to the connection.
    Tls13,
    /// TLS 1.2 (RFC 5246).
    Tls12 {
        /// True if the extended master secret of RFC 7627 was negotiated. Without it, a man in the middle can make two connections
        /// use the same secrets, so that exported keying material does not identify one connection.
        extended_master_secret: bool,
    },
}

impl Protocol {
    /// Returns whether exported keying material identifies a single connection (RFC 9266 section 2).
    #[must_use]
    pub fn has_unique_secrets(self) -> bool {
        match self {
            Self::Tls13 => true,
            Self::Tls12 {
                extended_master_secret,
            } => extended_master_secret,
        }
    }
}

/// The error of an exporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExporterError {
    /// The handshake is not complete. Keying material can be exported after the handshake, when the peer is authenticated.
    HandshakeIncomplete,
    /// The label is longer than the 249 bytes that fit into the `HkdfLabel` of TLS 1.3.
    LabelTooLong {
        /// The length of the label, in bytes.
        actual: usize,
    },
    /// The context is longer than the channel accepts (65,535 bytes in TLS 1.2).
    ContextTooLong {
        /// The length of the context, in bytes.
        actual: usize,
    },
    /// Zero bytes were requested, or more than the channel can export.
    OutputLength {
        /// The number of bytes that were requested.
        actual: usize,
        /// The maximum number of bytes that this channel can export.
        max: usize,
    },
    /// The channel's secrets are not unique to it: it uses TLS 1.2 without extended master secret, or an older version.
    NotUnique,
    /// The connection has no TLS.
    NoTls,
    /// The TLS stack reported an error, which its own log or error explains.
    Stack,
}

error_messages! { ExporterError {
    Self::HandshakeIncomplete => "the TLS handshake is not complete: export keying material after the handshake";
    Self::LabelTooLong { actual } => "the exporter label has {} bytes: use at most 249 bytes", actual;
    Self::ContextTooLong { actual } => "the exporter context has {} bytes, which is more than this channel accepts", actual;
    Self::OutputLength { actual, max } => "cannot export {} bytes of keying material: request 1 to {} bytes", actual, max;
    Self::NotUnique => "the secrets of the TLS connection are not unique to it: use TLS 1.3, or TLS 1.2 with extended master secret";
    Self::NoTls => "the connection has no TLS, which this proof is bound to: use https";
    Self::Stack => "the TLS stack failed to export keying material";
}}

impl core::error::Error for ExporterError {}
