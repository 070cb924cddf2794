use crate::words;
use webpki::Error;

/// Why a certificate, or the path to it, is not accepted. For operators: a peer is told no more than "bad certificate".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// A trust anchor is no X.509 certificate.
    Anchor,
    /// There is no trust anchor.
    NoAnchor,
    /// More trust anchors than [`super::MAX_ANCHORS`].
    TooManyAnchors,
    /// More intermediate certificates than [`super::MAX_INTERMEDIATES`].
    TooManyIntermediates,
    /// A certificate is malformed, or has a critical extension that is not known.
    Certificate,
    /// No path leads to a trust anchor.
    UnknownIssuer,
    /// A certificate has expired.
    Expired {
        /// Seconds since 1970: the time that was given.
        time: u64,
        /// Seconds since 1970: when it expired.
        not_after: u64,
    },
    /// A certificate is not valid yet.
    NotYetValid {
        /// Seconds since 1970: the time that was given.
        time: u64,
        /// Seconds since 1970: when it begins.
        not_before: u64,
    },
    /// It is for other names.
    Name,
    /// The name asked for is neither DNS name nor IP address.
    InvalidName,
    /// It is for another use than the one at hand.
    Usage,
    /// A certificate that may sign certificates stands as leaf, or one that may not was used to sign.
    CaOrLeaf,
    /// A signature in the path is wrong.
    Signature,
    /// A signature is of a kind that is not verified here: firmware verifies ECDSA on P-256 with SHA-256.
    SignatureAlgorithm,
    /// The leaf's key is not an uncompressed point of P-256.
    PublicKey,
    /// The leaf's key is not the pinned one.
    Pin,
    /// A rule of the path is broken: name constraints, path length.
    Constraints,
}

impl From<Error> for PathError {
    fn from(error: Error) -> Self {
        match error {
            Error::CertExpired { time, not_after } => Self::Expired {
                time: time.as_secs(),
                not_after: not_after.as_secs(),
            },
            Error::CertNotValidYet { time, not_before } => Self::NotYetValid {
                time: time.as_secs(),
                not_before: not_before.as_secs(),
            },
            Error::CertNotValidForName(_) => Self::Name,
            Error::UnsupportedNameType => Self::InvalidName,
            Error::RequiredEkuNotFoundContext(_) => Self::Usage,
            Error::CaUsedAsEndEntity | Error::EndEntityUsedAsCa => Self::CaOrLeaf,
            Error::InvalidSignatureForPublicKey => Self::Signature,
            Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
            | Error::SignatureAlgorithmMismatch => Self::SignatureAlgorithm,
            Error::NameConstraintViolation
            | Error::PathLenConstraintViolated
            | Error::MaximumPathDepthExceeded
            | Error::MaximumSignatureChecksExceeded
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumNameConstraintComparisonsExceeded => Self::Constraints,
            Error::UnknownIssuer => Self::UnknownIssuer,
            _ => Self::Certificate,
        }
    }
}

words! { PathError {
    Self::Anchor => "the trust anchor is no X.509 certificate: give the authority's own, DER";
    Self::NoAnchor => "there is no trust anchor: give the certificate of the authority that signs";
    Self::TooManyAnchors => "too many trust anchors: give at most 4";
    Self::TooManyIntermediates => "too many intermediate certificates: at most 4 may lead to the authority";
    Self::Certificate => "a certificate is malformed, or has a critical extension that is not known";
    Self::UnknownIssuer => "no path leads to the trusted authority: does the peer send its intermediate certificates, and is this the right authority?";
    Self::Expired { time, not_after } => "a certificate has expired at {} (seconds since 1970), and it is {}: renew it, or set the clock", not_after, time;
    Self::NotYetValid { time, not_before } => "a certificate is valid from {} (seconds since 1970), and it is {}: set the clock", not_before, time;
    Self::Name => "the certificate is for other names: it needs the name that was connected to as subject alternative name";
    Self::InvalidName => "the name is neither a DNS name nor an IP address";
    Self::Usage => "the certificate is for another use: its extended key usage must have the one at hand";
    Self::CaOrLeaf => "a certificate that may not sign others signed one, or one that may is used as leaf: mind basicConstraints";
    Self::Signature => "a signature in the certificate path is wrong";
    Self::SignatureAlgorithm => "a signature is of a kind that is not verified here: have keys on P-256, and ECDSA with SHA-256";
    Self::PublicKey => "the certificate's key is not on P-256";
    Self::Pin => "the certificate's key is not the pinned one";
    Self::Constraints => "the certificate path breaks a constraint of its own: name constraints, or length";
}}

impl core::error::Error for PathError {}
