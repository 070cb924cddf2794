use core::fmt;

/// The error of making or verifying a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// The caller's buffer is too small; [`super::scratch_len`] gives a length that suffices to verify.
    BufferTooSmall,
    /// The bytes are not a token of this form. Its sender can see that, so the reason may be told.
    Malformed(MalformedToken),
    /// The signature or encryption is valid, but the payload is not a valid claims object. Only a holder of the key can make such a token.
    Content(MalformedToken),
    /// The key does not fit: a wrong key, a token of another connection, or a changed token. The reason is not told apart.
    Rejected,
    /// The verifier rejects the token for its header, or for its claims after the key was found to fit.
    Refused(TokenRefusal),
}

/// A defect in the form of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MalformedToken {
    /// Not the number of parts that the compact serialization has, or a part with a wrong length.
    Structure,
    /// Not base64, with padding where there must be none, or not canonical.
    Base64,
    /// Not JSON, not an object, or a member with a value of the wrong type.
    Json,
    /// A member name stands twice in one object (RFC 7515 section 4, RFC 7519 section 4).
    DuplicateMember,
    /// More than 32 members in one object.
    TooManyMembers,
    /// More than 32 objects and arrays within each other.
    TooDeep,
}

/// The reason why a well-formed token is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenRefusal {
    /// `alg` or `enc` is not the one that is pinned here.
    Algorithm,
    /// `crit` is present: no extension is understood here (RFC 7515 section 4.1.11).
    Critical,
    /// `typ` or `cty` names something else, or compression was asked for.
    Type,
    /// `exp` has passed, or is missing where it is required.
    Expired,
    /// `nbf` or `iat` lies in the future.
    NotYetValid,
    /// `iat` is missing or too long ago.
    TooOld,
    /// `sub` names another client than the one that presents the token.
    Subject,
    /// `iss` is not the one required.
    Issuer,
    /// `aud` does not hold the one required.
    Audience,
    /// `htm` is missing or not this request's method.
    Method,
    /// `htu` is missing or not this request's URI.
    Uri,
    /// `jti` is missing or not the one required.
    TokenId,
}

impl TokenError {
    /// The same, found behind a signature or encryption that was right.
    pub(super) fn behind_the_key(self) -> Self {
        match self {
            Self::Malformed(what) => Self::Content(what),
            other => other,
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferTooSmall => f.write_str("the buffer is too small for the token"),
            Self::Malformed(what) => write!(f, "malformed token: {what}"),
            Self::Content(what) => write!(f, "malformed content of a valid token: {what}"),
            Self::Rejected => f.write_str("the token was not made with this channel's key"),
            Self::Refused(why) => write!(f, "token refused: {why}"),
        }
    }
}

impl fmt::Display for MalformedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Structure => "wrong number or length of parts",
            Self::Base64 => "a part is not canonical base64",
            Self::Json => "a part is not the JSON object that it should be",
            Self::DuplicateMember => "a member name stands twice",
            Self::TooManyMembers => "an object has more than 32 members",
            Self::TooDeep => "objects and arrays are nested more than 32 deep",
        })
    }
}

impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Algorithm => "its algorithm is not the one pinned here",
            Self::Critical => "it names a critical extension",
            Self::Type => "its type is not the one expected",
            Self::Expired => "it has expired or does not expire",
            Self::NotYetValid => "it is not valid yet: compare the clocks",
            Self::TooOld => "it was issued too long ago",
            Self::Subject => "its subject is not the client that presents it",
            Self::Issuer => "it has another issuer",
            Self::Audience => "it is for another audience",
            Self::Method => "it is for another request method",
            Self::Uri => "it is for another URI",
            Self::TokenId => "its jti is missing or was used before",
        })
    }
}

impl core::error::Error for TokenError {}
