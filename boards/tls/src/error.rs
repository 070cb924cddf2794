use chanbind_core::{error_messages, x509::PathError};
use embedded_io::ErrorKind;
use embedded_tls::TlsError;

/// The reason why a connection could not be opened. No application data has been sent and nothing has been exported.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum ConnectError {
    /// A buffer is shorter than [`Buffers::MIN_WRITE`](crate::Buffers::MIN_WRITE).
    Buffers,
    /// All slots are taken by handshakes in progress.
    NoSlot,
    /// The transport failed.
    Transport(ErrorKind),
    /// The server closed the transport during the handshake.
    Closed,
    /// The server aborted the handshake with this alert (RFC 8446 section 6).
    Alert(u8),
    /// The server did not send a certificate.
    NoCertificate,
    /// The server sent a certificate but did not prove that it holds the certificate's key.
    NoCertificateVerify,
    /// A message of the server's flight is missing, repeated, out of order or unsolicited.
    MessageOrder,
    /// The server chose a version, suite, group or extension that was not offered.
    NotOffered,
    /// The certificate is not accepted.
    Certificate(PathError),
    /// The server signed with a scheme other than ecdsa_secp256r1_sha256.
    SignatureScheme,
    /// The server's signature is invalid: it was not made with the certificate's key, or the handshake was modified in transit.
    CertificateVerify,
    /// A record does not fit the read buffer.
    RecordTooLarge,
    /// A record is malformed, or not allowed in the current state.
    Record,
    /// A record cannot be decrypted, because it was modified in transit or the server has a different pre-shared key; or its
    /// content is not allowed in the current state.
    Decrypt,
    /// The server's Finished message is invalid.
    Finished,
    /// A message is malformed, or requires a feature that embedded-tls lacks: a group other than P-256, or a HelloRetryRequest.
    Handshake,
    /// The write buffer is too short for the ClientHello or the client certificate.
    WriteBuffer,
    /// The exporter secret was not captured: embedded-tls is not the version that this crate requires.
    NoExporter,
}

impl From<PathError> for ConnectError {
    fn from(error: PathError) -> Self {
        Self::Certificate(error)
    }
}

impl ConnectError {
    pub(crate) fn from_tls(error: TlsError) -> Self {
        match error {
            TlsError::Io(crate::record_filter::REFUSED) => Self::Record,
            TlsError::Io(crate::record_filter::TOO_LARGE) => Self::RecordTooLarge,
            TlsError::Io(kind) => Self::Transport(kind),
            TlsError::IoError | TlsError::ConnectionClosed => Self::Closed,
            TlsError::HandshakeAborted(_, description) => Self::Alert(alert_number(description)),
            TlsError::CryptoError => Self::Decrypt,
            TlsError::InvalidSignature => Self::Finished,
            TlsError::EncodeError | TlsError::InsufficientSpace => Self::WriteBuffer,
            TlsError::InvalidRecord => Self::Record,
            _ => Self::Handshake,
        }
    }
}

#[allow(
    clippy::as_conversions,
    reason = "the discriminants of the enum are the alert numbers"
)]
fn alert_number(description: embedded_tls::alert::AlertDescription) -> u8 {
    description as u8
}

error_messages! { ConnectError {
    Self::Buffers => "the buffers are too short: use 16,640 bytes for reading and 1,024 for writing";
    Self::NoSlot => "all handshake slots are in use: wait, or declare more with handshake_slots!";
    Self::Transport(kind) => "the transport failed: {}", kind;
    Self::Closed => "the server closed the connection during the handshake: check the server's log for the reason";
    Self::Alert(number) => "the server aborted the handshake with alert {}: check the server's log for the reason", number;
    Self::NoCertificate => "the server sent no certificate: it is the wrong server, or an attacker is in the middle";
    Self::NoCertificateVerify => "the server did not prove that it has its certificate's key: an attacker is in the middle";
    Self::MessageOrder => "the server's messages came in the wrong order: it is faulty, or an attacker is in the middle";
    Self::NotOffered => "the server chose a version, suite, group or extension that was not offered: it is faulty, or an attacker is in the middle";
    Self::Certificate(error) => "{}", error;
    Self::SignatureScheme => "the server did not sign with ecdsa_secp256r1_sha256: give it a certificate with a key on P-256";
    Self::CertificateVerify => "the server's signature is invalid: an attacker is in the middle";
    Self::RecordTooLarge => "a record of the server does not fit the read buffer: use 16,640 bytes, or lower the server's maximum fragment size";
    Self::Record => "the server sent a malformed or unexpected record";
    Self::Decrypt => "a record of the server cannot be decrypted or is unexpected: check the pre-shared key; otherwise an attacker may be in the middle";
    Self::Finished => "the server's Finished is invalid: the handshake was modified in transit";
    Self::Handshake => "the server sent a malformed or unsupported message: it must use TLS 1.3, key exchange on P-256, and whole messages in records";
    Self::WriteBuffer => "the ClientHello or client certificate does not fit the write buffer: make it 1,024 bytes longer than the certificate";
    Self::NoExporter => "the exporter secret was not captured: build with embedded-tls 0.19.0";
}}

impl core::error::Error for ConnectError {}

/// The reason why a connection failed. Nothing more can be read from it or written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The transport failed.
    Transport(ErrorKind),
    /// The transport ended without a close_notify, so data may be missing (RFC 8446 section 6.1).
    Truncated,
    /// The server sent a record that is malformed, not allowed in the current state, or cannot be decrypted.
    Record,
    /// A record does not fit the read buffer.
    RecordTooLarge,
    /// An earlier operation failed, or its future was dropped before completion.
    Broken,
}

impl StreamError {
    pub(crate) fn from_tls(error: TlsError) -> Self {
        match error {
            TlsError::Io(crate::record_filter::TOO_LARGE) => Self::RecordTooLarge,
            TlsError::Io(crate::record_filter::REFUSED) => Self::Record,
            TlsError::Io(kind) => Self::Transport(kind),
            TlsError::IoError => Self::Truncated,
            _ => Self::Record,
        }
    }
}

impl embedded_io::Error for StreamError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Transport(kind) => *kind,
            Self::Truncated => ErrorKind::ConnectionAborted,
            Self::Record | Self::RecordTooLarge => ErrorKind::InvalidData,
            Self::Broken => ErrorKind::NotConnected,
        }
    }
}

error_messages! { StreamError {
    Self::Transport(kind) => "the transport failed: {}", kind;
    Self::Truncated => "the connection ended without close_notify: data may be missing";
    Self::Record => "the server sent an unexpected record, or a record was modified in transit: connect again";
    Self::RecordTooLarge => "a record of the server does not fit the read buffer: use 16,640 bytes, or lower the server's maximum fragment size";
    Self::Broken => "an earlier operation on the connection failed or was cancelled: connect again";
}}

impl core::error::Error for StreamError {}
