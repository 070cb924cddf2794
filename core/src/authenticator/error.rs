use super::ExtensionType;
use crate::{
    error_messages,
    exporter::ExporterError,
    wire::Truncated,
    x509::{PathError, SignatureScheme},
};

/// Why bytes are no request, or no authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MalformedMessage {
    /// They end within a field, or a length does not fit.
    Length,
    /// Another handshake message stands where this one belongs.
    Message {
        /// Its type, of those in RFC 8446 section 4.
        expected: u8,
        /// The type that is there.
        actual: u8,
    },
    /// Bytes stand behind the end.
    TrailingBytes,
    /// A Certificate message has no certificate, or an empty one: an authenticator that declines is a Finished alone.
    NoCertificate,
    /// An extension is there twice.
    DuplicateExtension(ExtensionType),
    /// More than [`super::MAX_EXTENSIONS`] extensions.
    TooManyExtensions,
    /// What is in an extension is malformed, or it cannot be in such a message.
    Extension(ExtensionType),
    /// A request without signature_algorithms.
    NoSignatureAlgorithms,
}

impl From<Truncated> for MalformedMessage {
    fn from(_: Truncated) -> Self {
        Self::Length
    }
}

error_messages! { MalformedMessage {
    Self::Length => "a length does not fit what follows";
    Self::Message { expected, actual } => "handshake message {} stands where {} belongs", actual, expected;
    Self::TrailingBytes => "bytes stand behind the end";
    Self::NoCertificate => "a Certificate message has no certificate";
    Self::DuplicateExtension(extension) => "extension {} is there twice", extension;
    Self::TooManyExtensions => "more than 32 extensions";
    Self::Extension(extension) => "extension {} is malformed, or cannot be in this message", extension;
    Self::NoSignatureAlgorithms => "a request must have signature_algorithms";
}}

impl core::error::Error for MalformedMessage {}

/// Why a channel gives no [`super::Endpoint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelError {
    /// It exports nothing, or nothing that is unique to it: TLS 1.2 without extended master secret is refused (RFC 9261 section 5.1).
    Exporter(ExporterError),
    /// It does not say which hash its cipher suite has.
    UnknownHash,
}

error_messages! { ChannelError {
    Self::Exporter(error) => "{}", error;
    Self::UnknownHash => "the channel does not say which hash its cipher suite has: implement Exporter::hash";
}}

impl core::error::Error for ChannelError {}

/// Why there is no request. Nothing has changed: the context can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The context is longer than 255 bytes.
    ContextTooLong {
        /// Its length.
        actual: usize,
    },
    /// The context was used on this connection.
    ContextUsed,
    /// As many contexts were used on this connection as are remembered.
    ContextsExhausted,
    /// No scheme is given.
    NoSignatureAlgorithms,
    /// A server cannot ask a client for a server's name.
    ServerName,
    /// A further extension is one of those that have a field of their own or that no answer can have, or is given twice.
    Extension(ExtensionType),
    /// More than [`super::MAX_EXTENSIONS`] extensions.
    TooManyExtensions,
    /// The buffer is too short, or the request longer than a message can be: [`super::RequestParameters::encoded_len`] says what is
    /// needed.
    BufferTooShort,
}

error_messages! { RequestError {
    Self::ContextTooLong { actual } => "the context has {} bytes: use at most 255", actual;
    Self::ContextUsed => "the context was used on this connection: take a new one";
    Self::ContextsExhausted => "no more contexts can be used on this connection: open a new one";
    Self::NoSignatureAlgorithms => "no signature scheme is given: give those that are verified";
    Self::ServerName => "only a client can ask for a server name";
    Self::Extension(extension) => "extension {} cannot be in the request: it is empty or malformed, has a field of its own, cannot be answered, or is given twice", extension;
    Self::TooManyExtensions => "a request has at most 32 extensions";
    Self::BufferTooShort => "the buffer is too short: RequestParameters::encoded_len says what is needed";
}}

impl core::error::Error for RequestError {}

/// Why there is no authenticator. Nothing has changed: the request can still be answered, by another certificate or the empty
/// authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthenticateError {
    /// The request is one that this side makes.
    OwnRequest,
    /// The context is longer than 255 bytes.
    ContextTooLong {
        /// Its length.
        actual: usize,
    },
    /// The context was used on this connection.
    ContextUsed,
    /// As many contexts were used on this connection as are remembered.
    ContextsExhausted,
    /// The certificate is not what is asked for.
    Unsuitable(Unsuitable),
    /// The buffer is too short: [`super::CertificateChain::max_authenticator_len`] bytes suffice.
    BufferTooShort,
}

error_messages! { AuthenticateError {
    Self::OwnRequest => "the request is one that this side makes, not its peer";
    Self::ContextTooLong { actual } => "the context has {} bytes: use at most 255", actual;
    Self::ContextUsed => "a request with this context was answered on this connection";
    Self::ContextsExhausted => "no more requests can be answered on this connection: open a new one";
    Self::Unsuitable(unsuitable) => "{}", unsuitable;
    Self::BufferTooShort => "the buffer is too short: CertificateChain::max_authenticator_len says what suffices";
}}

impl core::error::Error for AuthenticateError {}

impl From<Unsuitable> for AuthenticateError {
    fn from(unsuitable: Unsuitable) -> Self {
        Self::Unsuitable(unsuitable)
    }
}

/// The reason why a certificate does not meet a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsuitable {
    /// There is no certificate, or it cannot be read.
    Certificate,
    /// The key's signature scheme was not offered.
    Scheme(SignatureScheme),
    /// A certificate is signed with an algorithm that was not offered.
    CertificateSignature,
    /// It does not come from any of the authorities that the request names.
    Authority,
    /// It lacks key usages that the request asks for.
    Usage,
    /// It is not for the server name that the request asks for.
    ServerName,
    /// It has an extension twice, or more than [`super::MAX_EXTENSIONS`].
    Extensions,
}

error_messages! { Unsuitable {
    Self::Certificate => "the certificate cannot be read";
    Self::Scheme(scheme) => "the request does not offer {}, which the key signs with", scheme;
    Self::CertificateSignature => "a certificate of the chain is signed with an algorithm that the request does not offer";
    Self::Authority => "the certificate does not come from any of the authorities that the request names";
    Self::Usage => "the certificate lacks key usages that the request asks for";
    Self::Extensions => "the certificate comes with an extension twice, or with more than 32";
    Self::ServerName => "the certificate is not for the server name that the request asks for";
}}

impl core::error::Error for Unsuitable {}

/// Why an authenticator is not valid. For operators: its sender is told no more than that it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValidateError {
    /// It is the empty authenticator: the peer declines.
    Empty,
    /// It is none.
    Malformed(MalformedMessage),
    /// It answers another request.
    Context,
    /// Its context was used on this connection.
    ContextUsed,
    /// As many contexts were used on this connection as are remembered.
    ContextsExhausted,
    /// It has an extension that was not asked for.
    UnsolicitedExtension(ExtensionType),
    /// Its scheme was not offered, or is not verified here.
    Scheme(SignatureScheme),
    /// Its Finished is wrong: it was made on another connection, by the other side, for another request, or it was changed.
    Finished,
    /// The certificate is not accepted.
    Path(PathError),
    /// The certificate is valid, but not what the request asks for: its key usages or its server name differ.
    Unsuitable(Unsuitable),
    /// The signature was not made with the certificate's key.
    CertificateVerify,
}

error_messages! { ValidateError {
    Self::Empty => "the peer declines: it sent the empty authenticator";
    Self::Malformed(malformed) => "no authenticator: {}", malformed;
    Self::Context => "the authenticator answers another request";
    Self::ContextUsed => "an authenticator with this context was used on this connection";
    Self::ContextsExhausted => "no more authenticators can be accepted on this connection: open a new one";
    Self::UnsolicitedExtension(extension) => "the certificate comes with extension {}, which was not asked for", extension;
    Self::Scheme(scheme) => "the authenticator is signed by {}, which was not offered", scheme;
    Self::Finished => "the authenticator was made on another connection, by the other side or for another request, or was changed";
    Self::Path(error) => "{}", error;
    Self::Unsuitable(unsuitable) => "the authenticator does not answer what was asked for: {}", unsuitable;
    Self::CertificateVerify => "the authenticator's signature was not made with the certificate's key";
}}

impl core::error::Error for ValidateError {}

impl From<Unsuitable> for ValidateError {
    fn from(unsuitable: Unsuitable) -> Self {
        Self::Unsuitable(unsuitable)
    }
}

impl From<MalformedMessage> for ValidateError {
    fn from(malformed: MalformedMessage) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<PathError> for ValidateError {
    fn from(error: PathError) -> Self {
        Self::Path(error)
    }
}
