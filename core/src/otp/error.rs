use crate::error_messages;

/// The error of creating or verifying a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// The caller's buffer is too small. [`super::scratch_len`] returns a length that is sufficient to verify a token.
    BufferTooSmall,
    /// The bytes are not a token of this form. The sender can find this out without the key, so the reason may be disclosed.
    Malformed(MalformedToken),
    /// The signature or encryption is valid, but the content is malformed. Only a holder of the key can create such a token.
    Content(MalformedToken),
    /// The token was not created with this key, was created on another connection, or was modified. These cases are not
    /// distinguished.
    Rejected,
    /// The token is refused because of its header, or because of its claims after its signature was verified.
    Refused(TokenRefusal),
}

/// A defect in the form of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MalformedToken {
    /// The number of parts differs from that of the compact serialization, or a part has an invalid length.
    Structure,
    /// A part is not base64, is not canonical, or has padding where none is allowed.
    Base64,
    /// A part is not JSON or not an object, or a member has a value of the wrong type.
    Json,
    /// A member name occurs twice in one object (RFC 7515 section 4, RFC 7519 section 4).
    DuplicateMember,
    /// An object has more than 32 members.
    TooManyMembers,
    /// Objects and arrays are nested more than 32 levels deep.
    TooDeep,
}

/// The reason why a well-formed token is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenRefusal {
    /// `alg` or `enc` is missing or is not the algorithm that this crate requires.
    Algorithm,
    /// `crit` is present. This crate supports no extension (RFC 7515 section 4.1.11).
    Critical,
    /// `typ` is not `JWT`, `cty` of a nested token is missing or not `JWT`, or `zip` (compression) is present.
    Type,
    /// `exp` has passed, or it is required but missing or cannot be checked without a clock.
    Expired,
    /// `nbf` or `iat` is in the future.
    NotYetValid,
    /// `iat` is too long ago, or a maximum age is required and `iat` is missing or cannot be checked without a clock.
    TooOld,
    /// `sub` names a client other than the one that presents the token.
    Subject,
    /// `iss` is not the required issuer.
    Issuer,
    /// `aud` does not contain the required audience.
    Audience,
    /// `htm` is missing or is not the method of the request.
    Method,
    /// `htu` is missing or is not the URI of the request.
    Uri,
    /// `jti` is missing or is not the required token id.
    TokenId,
}

impl TokenError {
    /// Converts [`TokenError::Malformed`] to [`TokenError::Content`], for content whose signature or encryption was verified.
    pub(super) fn into_content_error(self) -> Self {
        match self {
            Self::Malformed(defect) => Self::Content(defect),
            other => other,
        }
    }
}

error_messages! { TokenError {
    Self::BufferTooSmall => "the buffer is too small for the token";
    Self::Malformed(defect) => "malformed token: {}", defect;
    Self::Content(defect) => "the token is authentic, but its content is malformed: {}", defect;
    Self::Rejected => "the token was not created with the key of this connection";
    Self::Refused(refusal) => "token refused: {}", refusal;
}}

error_messages! { MalformedToken {
    Self::Structure => "the number of parts or the length of a part is invalid";
    Self::Base64 => "a part is not canonical base64";
    Self::Json => "a part is not a JSON object with values of the right types";
    Self::DuplicateMember => "a member name occurs twice in an object";
    Self::TooManyMembers => "an object has more than 32 members";
    Self::TooDeep => "objects and arrays are nested more than 32 levels deep";
}}

error_messages! { TokenRefusal {
    Self::Algorithm => "its algorithm is not the required one";
    Self::Critical => "it has a critical extension, which is not supported";
    Self::Type => "its type is not the expected one, or it is compressed";
    Self::Expired => "it has expired or has no expiration time";
    Self::NotYetValid => "it is not valid yet: check the clocks of both sides";
    Self::TooOld => "it was issued too long ago or has no time of issue";
    Self::Subject => "its subject is not the client that presents it";
    Self::Issuer => "its issuer is not the required one";
    Self::Audience => "its audience is not the required one";
    Self::Method => "it is for another request method";
    Self::Uri => "it is for another URI";
    Self::TokenId => "its jti is missing, was used before or is not the required one";
}}

impl core::error::Error for TokenError {}
