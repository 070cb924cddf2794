//! What a channel offers: keying material for a label and a context (RFC 5705 section 4, RFC 8446 section 7.5).
//!
//! A TLS stack that has an exporter implements [`Exporter`]. For a stack that only yields its exporter secret,
//! [`ExporterSecret`] is the rest of the TLS 1.3 key schedule.
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

/// A channel that exports keying material. Both ends of one TLS connection, and no one else, get the same bytes for the
/// same label and context.
pub trait Exporter {
    /// The protocol that the channel negotiated.
    fn protocol(&self) -> Protocol;

    /// The hash of the negotiated cipher suite: in TLS 1.2, of its PRF. `None` where the channel does not say; what needs it
    /// (`authenticator`) then refuses.
    fn hash(&self) -> Option<HashAlgorithm> {
        None
    }

    /// Fills `out` with keying material; `out.len()` is the length asked for.
    ///
    /// In TLS 1.3 an absent context and an empty one give the same bytes (RFC 8446 section 7.5); in TLS 1.2 they do not
    /// (RFC 5705 section 4). Pass `Some(&[])` where a protocol says "empty context" and `None` where it says "no context".
    ///
    /// Labels are ASCII, at most 249 bytes. Those that begin with `EXPERIMENTAL` are for private use, all others are to be
    /// registered and should begin with `EXPORTER` (RFC 5705 sections 4 and 6). The most that TLS 1.3 can give is 255 times the length of the
    /// handshake's hash: 8,160 bytes for SHA-256, 12,240 for SHA-384.
    ///
    /// # Errors
    /// [`ExporterError`]; `out` is then all zeroes.
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

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        (**self).export_keying_material(label, context, out)
    }
}

/// What a channel negotiated, as far as bindings need to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// TLS 1.3 (RFC 8446, RFC 9846): its secrets are always unique to the connection.
    Tls13,
    /// TLS 1.2 (RFC 5246).
    Tls12 {
        /// The extended master secret of RFC 7627 was negotiated. Without it a man in the middle can give two connections
        /// the same secrets, and nothing that is exported says which connection it is.
        extended_master_secret: bool,
    },
}

impl Protocol {
    /// Whether exported keying material identifies this one connection (RFC 9266 section 2).
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

/// Why no keying material came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExporterError {
    /// The handshake has not finished: export after it, when the peer is authenticated.
    HandshakeIncomplete,
    /// The label is longer than the 249 bytes that TLS 1.3's `HkdfLabel` leaves.
    LabelTooLong {
        /// Bytes given.
        actual: usize,
    },
    /// The context is longer than the channel takes (65,535 bytes in TLS 1.2).
    ContextTooLong {
        /// Bytes given.
        actual: usize,
    },
    /// No bytes were asked for, or more than the channel's hash can give.
    OutputLength {
        /// Bytes asked for.
        actual: usize,
        /// The most that this channel gives.
        max: usize,
    },
    /// The channel's secrets are not unique to it: TLS 1.2 without extended master secret, or older.
    NotUnique,
    /// The TLS stack refused; its own log or error says why.
    Stack,
}

error_messages! { ExporterError {
    Self::HandshakeIncomplete => "the TLS handshake is not complete: export keying material after it";
    Self::LabelTooLong { actual } => "the exporter label has {} bytes: use at most 249", actual;
    Self::ContextTooLong { actual } => "the exporter context has {} bytes: more than this channel takes", actual;
    Self::OutputLength { actual, max } => "{} bytes of keying material asked for: ask for 1 to {}", actual, max;
    Self::NotUnique => "the channel's secrets are not unique to it: use TLS 1.3, or TLS 1.2 with extended master secret";
    Self::Stack => "the TLS stack refused to export keying material";
}}

impl core::error::Error for ExporterError {}
