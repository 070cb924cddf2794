use chanbind_core::{error_messages, x509::PathError};
use embedded_io::ErrorKind;
use embedded_tls::TlsError;

/// Why there is no connection. Nothing has been sent over it, and nothing was exported.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The buffers are too short to be of use.
    Buffers,
    /// As many handshakes are under way as there are slots.
    NoSlot,
    /// The transport failed.
    Transport(ErrorKind),
    /// The server closed the transport during the handshake.
    Closed,
    /// The server refused, with this alert (RFC 8446 section 6).
    Alert(u8),
    /// The server showed no certificate.
    NoCertificate,
    /// The server showed a certificate, and did not prove that it has the key.
    NoCertificateVerify,
    /// Certificate and CertificateVerify came in another order, more than once, or unasked.
    MessageOrder,
    /// The server chose a version, suite, group or extension that was not offered.
    NotOffered,
    /// The certificate is not accepted.
    Certificate(PathError),
    /// The server's signature is of another kind than ecdsa_secp256r1_sha256.
    SignatureScheme,
    /// The server's signature is wrong: it does not have the certificate's key, or somebody changed the handshake.
    CertificateVerify,
    /// A record does not fit the read buffer.
    RecordTooLarge,
    /// A record that may not come now, or is malformed.
    Record,
    /// What the server sent cannot be decrypted: somebody changed it, the pre-shared key is another, or it holds what may not come.
    Decrypt,
    /// The server's Finished is wrong.
    Finished,
    /// A message is malformed, or asks for what embedded-tls cannot do: another group than P-256, a HelloRetryRequest.
    Handshake,
    /// The write buffer is too short for ClientHello or client certificate.
    WriteBuffer,
    /// The exporter secret could not be had: is embedded-tls the version that this crate was made for?
    NoExporter,
}

impl From<PathError> for ConnectError {
    fn from(error: PathError) -> Self {
        Self::Certificate(error)
    }
}

impl ConnectError {
    pub(crate) fn of(error: TlsError) -> Self {
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
    reason = "the enum has the alerts' numbers for discriminants"
)]
fn alert_number(description: embedded_tls::alert::AlertDescription) -> u8 {
    description as u8
}

error_messages! { ConnectError {
    Self::Buffers => "the buffers are too short: give 16,640 bytes to read and 1,024 to write";
    Self::NoSlot => "as many handshakes are under way as there are slots: wait, or declare more with handshake_slots!";
    Self::Transport(kind) => "the transport failed: {}", kind;
    Self::Closed => "the server closed the connection during the handshake: its log may say why";
    Self::Alert(number) => "the server refused the handshake with alert {}: its log may say why", number;
    Self::NoCertificate => "the server showed no certificate: it is another server, or an attacker is in the middle";
    Self::NoCertificateVerify => "the server did not prove that it has its certificate's key: an attacker is in the middle";
    Self::MessageOrder => "the server's messages came in a wrong order: it is faulty, or an attacker is in the middle";
    Self::NotOffered => "the server chose a version, suite, group or extension that was not offered: it is faulty, or an attacker is in the middle";
    Self::Certificate(error) => "{}", error;
    Self::SignatureScheme => "the server signed by another scheme than ecdsa_secp256r1_sha256: give it a certificate with a key on P-256";
    Self::CertificateVerify => "the server's signature is wrong: an attacker is in the middle";
    Self::RecordTooLarge => "a record of the server does not fit the read buffer: give it 16,640 bytes, or set the server's maximum fragment size";
    Self::Record => "the server sent a record that may not come now, or is malformed";
    Self::Decrypt => "what the server sent cannot be decrypted or may not come now: does it have the same pre-shared key, is the handshake changed on the way?";
    Self::Finished => "the server's Finished is wrong: the handshake was changed on the way";
    Self::Handshake => "the server sent a malformed message, or needs what this client cannot do: TLS 1.3 with key exchange on P-256, messages that are not cut";
    Self::WriteBuffer => "ClientHello or client certificate do not fit the write buffer: give it 1,024 bytes more than the certificate";
    Self::NoExporter => "there is no exporter secret: build with embedded-tls 0.19.0";
}}

impl core::error::Error for ConnectError {}

/// Why a connection ended. No more can be read from it or written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The transport failed.
    Transport(ErrorKind),
    /// The transport ended without the close_notify that says that nothing is missing (RFC 8446 section 6.1).
    Truncated,
    /// The server sent a record that may not come, is malformed, or cannot be decrypted.
    Record,
    /// A record does not fit the read buffer.
    RecordTooLarge,
    /// It failed before, or a future of it was dropped before it was ready.
    Broken,
}

impl StreamError {
    pub(crate) fn of(error: TlsError) -> Self {
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
    Self::Truncated => "the connection ended without close_notify: what came may not be all";
    Self::Record => "the server sent a record that may not come now, or somebody changed one: connect again";
    Self::RecordTooLarge => "a record of the server does not fit the read buffer: give it 16,640 bytes, or set the server's maximum fragment size";
    Self::Broken => "the connection failed before, or an operation on it was given up: connect again";
}}

impl core::error::Error for StreamError {}
