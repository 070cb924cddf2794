use super::ExtensionType;
use crate::{
    error_messages,
    exporter::ExporterError,
    wire::Truncated,
    x509::{PathError, SignatureScheme},
};

/// A defect in the encoding of a request or an authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MalformedMessage {
    /// The bytes end within a field, or a length field does not match the data.
    Length,
    /// A handshake message has an unexpected type.
    Message {
        /// The expected handshake type (RFC 8446 section 4).
        expected: u8,
        /// The handshake type of the message.
        actual: u8,
    },
    /// There are bytes after the end of a message.
    TrailingBytes,
    /// A Certificate message has no certificate or an empty one. (An authenticator that declines consists of a Finished only.)
    NoCertificate,
    /// An extension occurs twice.
    DuplicateExtension(ExtensionType),
    /// There are more than [`super::MAX_EXTENSIONS`] extensions.
    TooManyExtensions,
    /// The data of an extension is malformed, or the extension is not allowed in this message.
    Extension(ExtensionType),
    /// The request has no signature_algorithms extension.
    NoSignatureAlgorithms,
}

impl From<Truncated> for MalformedMessage {
    fn from(_: Truncated) -> Self {
        Self::Length
    }
}

error_messages! { MalformedMessage {
    Self::Length => "the message is truncated, or a length field does not match the data";
    Self::Message { expected, actual } => "the handshake message has type {}, but type {} was expected", actual, expected;
    Self::TrailingBytes => "there are bytes after the end of the message";
    Self::NoCertificate => "the Certificate message has no certificate";
    Self::DuplicateExtension(extension) => "extension {} occurs twice", extension;
    Self::TooManyExtensions => "there are more than 32 extensions";
    Self::Extension(extension) => "extension {} is malformed, or is not allowed in this message", extension;
    Self::NoSignatureAlgorithms => "the request has no signature_algorithms extension";
}}

impl core::error::Error for MalformedMessage {}

/// The reason why no [`super::Endpoint`] can be created for a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelError {
    /// The channel fails to export keying material, or its keying material is not unique to it: TLS 1.2 without extended master
    /// secret is rejected (RFC 9261 section 5.1).
    Exporter(ExporterError),
    /// The channel does not provide the hash of its cipher suite.
    UnknownHash,
}

error_messages! { ChannelError {
    Self::Exporter(error) => "{}", error;
    Self::UnknownHash => "the channel does not provide the hash of its cipher suite: implement Exporter::hash";
}}

impl core::error::Error for ChannelError {}

/// The error of creating a request. The state of the endpoint is unchanged, so the context can still be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The context is longer than 255 bytes.
    ContextTooLong {
        /// The length of the context, in bytes.
        actual: usize,
    },
    /// The context was already used on this connection.
    ContextUsed,
    /// The endpoint has no space to remember a further context.
    ContextsExhausted,
    /// No signature scheme is given.
    NoSignatureAlgorithms,
    /// The request of a server has a server name, for which only a client can ask.
    ServerName,
    /// An extension is empty or malformed, has its own field in [`super::RequestParameters`], cannot occur in an answer, or is
    /// given twice.
    Extension(ExtensionType),
    /// The request has more than [`super::MAX_EXTENSIONS`] extensions.
    TooManyExtensions,
    /// The buffer is too short, or the request exceeds the length limit of a message. [`super::RequestParameters::encoded_len`]
    /// returns the length of the request.
    BufferTooShort,
}

error_messages! { RequestError {
    Self::ContextTooLong { actual } => "the context has {} bytes: use at most 255", actual;
    Self::ContextUsed => "the context was already used on this connection: use a new context";
    Self::ContextsExhausted => "no more contexts can be used on this connection: open a new connection";
    Self::NoSignatureAlgorithms => "no signature scheme is given: list the schemes that can be verified";
    Self::ServerName => "only a client can request a server name";
    Self::Extension(extension) => "extension {} cannot be in the request: it is empty or malformed, has its own parameter, cannot be answered, or is given twice", extension;
    Self::TooManyExtensions => "a request can have at most 32 extensions";
    Self::BufferTooShort => "the buffer is too short: RequestParameters::encoded_len returns the required length";
}}

impl core::error::Error for RequestError {}

/// The error of creating an authenticator. The state of the endpoint is unchanged, so the request can still be answered with
/// another certificate or with the empty authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthenticateError {
    /// The request is of the kind that this side sends, not its peer.
    OwnRequest,
    /// The context is longer than 255 bytes.
    ContextTooLong {
        /// The length of the context, in bytes.
        actual: usize,
    },
    /// The context was already used on this connection.
    ContextUsed,
    /// The endpoint has no space to remember a further context.
    ContextsExhausted,
    /// The certificate does not meet the request.
    Unsuitable(Unsuitable),
    /// The buffer is too short; [`super::CertificateChain::max_authenticator_len`] bytes are sufficient.
    BufferTooShort,
}

error_messages! { AuthenticateError {
    Self::OwnRequest => "the request is of the kind that this side sends, not its peer";
    Self::ContextTooLong { actual } => "the context has {} bytes: use at most 255", actual;
    Self::ContextUsed => "a request with this context was already answered on this connection";
    Self::ContextsExhausted => "no more requests can be answered on this connection: open a new connection";
    Self::Unsuitable(unsuitable) => "{}", unsuitable;
    Self::BufferTooShort => "the buffer is too short: CertificateChain::max_authenticator_len returns a sufficient length";
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
    /// There is no certificate, or it cannot be parsed.
    Certificate,
    /// The signature scheme of the key was not offered.
    Scheme(SignatureScheme),
    /// A certificate is signed with an algorithm that was not offered.
    CertificateSignature,
    /// The chain does not come from any of the authorities that the request names.
    Authority,
    /// The certificate lacks key usages that the request requires.
    Usage,
    /// The certificate is not for the server name in the request.
    ServerName,
    /// The extensions of the chain have a duplicate, or are more than [`super::MAX_EXTENSIONS`].
    Extensions,
}

error_messages! { Unsuitable {
    Self::Certificate => "there is no certificate, or it cannot be parsed";
    Self::Scheme(scheme) => "the request does not offer {}, the signature scheme of the key", scheme;
    Self::CertificateSignature => "a certificate of the chain is signed with an algorithm that the request does not offer";
    Self::Authority => "the certificate does not come from any of the authorities that the request names";
    Self::Usage => "the certificate lacks key usages that the request requires";
    Self::Extensions => "the extensions of the certificate have a duplicate, or are more than 32";
    Self::ServerName => "the certificate is not for the server name in the request";
}}

impl core::error::Error for Unsuitable {}

/// The reason why an authenticator is invalid. It is meant for operators; do not report more to the sender than that the
/// authenticator is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValidateError {
    /// The peer declined the request by sending the empty authenticator.
    Empty,
    /// The bytes are not an authenticator.
    Malformed(MalformedMessage),
    /// The authenticator answers another request.
    Context,
    /// The context of the authenticator was already used on this connection.
    ContextUsed,
    /// The endpoint has no space to remember a further context.
    ContextsExhausted,
    /// A certificate entry has an extension that was not requested.
    UnsolicitedExtension(ExtensionType),
    /// The signature scheme was not offered, or is not supported by the path rules.
    Scheme(SignatureScheme),
    /// The Finished message is invalid: the authenticator was made on another connection, by the other side or for another
    /// request, or was modified.
    Finished,
    /// The certificate or its path is rejected.
    Path(PathError),
    /// The certificate is valid, but does not meet the request: its key usages or its server name differ.
    Unsuitable(Unsuitable),
    /// The signature was not made with the certificate's key.
    CertificateVerify,
}

error_messages! { ValidateError {
    Self::Empty => "the peer declined the request: it sent the empty authenticator";
    Self::Malformed(malformed) => "malformed authenticator: {}", malformed;
    Self::Context => "the authenticator answers another request";
    Self::ContextUsed => "an authenticator with this context was already used on this connection";
    Self::ContextsExhausted => "no more authenticators can be accepted on this connection: open a new connection";
    Self::UnsolicitedExtension(extension) => "the certificate has extension {}, which was not requested", extension;
    Self::Scheme(scheme) => "the authenticator is signed with {}, which was not offered or is not supported", scheme;
    Self::Finished => "the authenticator was made on another connection, by the other side or for another request, or was modified";
    Self::Path(error) => "{}", error;
    Self::Unsuitable(unsuitable) => "the authenticator does not meet the request: {}", unsuitable;
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
