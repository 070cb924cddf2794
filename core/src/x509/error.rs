use crate::error_messages;
use webpki::Error;

/// Why a certificate, or the path to it, is not accepted. For operators: a peer is told no more than "bad certificate".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// A trust anchor is not an X.509 certificate.
    Anchor,
    /// There is no trust anchor.
    NoAnchor,
    /// More trust anchors than [`super::MAX_ANCHORS`].
    TooManyAnchors,
    /// More than [`super::MAX_INTERMEDIATES`] certificates stand between leaf and trust anchor, or more than [`super::MAX_CANDIDATES`]
    /// of those sent could, by their names.
    TooManyIntermediates,
    /// A certificate is malformed, or has a critical extension that is not known.
    Certificate,
    /// No path leads to a trust anchor.
    UnknownIssuer,
    /// No path leads by way of an authority that was asked for.
    Authority,
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
    /// A key is not of the required kind: a compressed point of P-256 anywhere in the path or in an anchor, or a leaf's key on another
    /// curve where P-256 is needed.
    PublicKey,
    /// The leaf's key is not the pinned one.
    Pin,
    /// A name constraint or path length constraint is violated.
    Constraints,
    /// The certificates allow more paths than are tried: webpki's limits of 100 signatures and of name comparisons.
    TooComplex,
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
            Error::NameConstraintViolation | Error::PathLenConstraintViolated => Self::Constraints,
            Error::MaximumPathDepthExceeded => Self::TooManyIntermediates,
            Error::MaximumSignatureChecksExceeded
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumNameConstraintComparisonsExceeded => Self::TooComplex,
            Error::UnknownIssuer => Self::UnknownIssuer,
            _ => Self::Certificate,
        }
    }
}

error_messages! { PathError {
    Self::Anchor => "the trust anchor is not an X.509 certificate: give the authority's own, DER";
    Self::NoAnchor => "there is no trust anchor: give the certificate of the authority that signs";
    Self::TooManyAnchors => "too many trust anchors: give at most 4";
    Self::TooManyIntermediates => "too many certificates between leaf and authority: a path may have 4, and of the certificates that are sent 8 may be named like its parts";
    Self::Certificate => "a certificate is malformed, or has a critical extension that is not known";
    Self::UnknownIssuer => "no path leads to the trusted authority: does the peer send its intermediate certificates, and is this the right authority?";
    Self::Authority => "the certificate comes from a trusted authority, but not from one that was asked for";
    Self::Expired { time, not_after } => "a certificate has expired at {} (seconds since 1970), and it is {}: renew it, or set the clock", not_after, time;
    Self::NotYetValid { time, not_before } => "a certificate is valid from {} (seconds since 1970), and it is {}: set the clock", not_before, time;
    Self::Name => "the certificate is for other names: it needs the name that was connected to as subject alternative name";
    Self::InvalidName => "the name is neither a DNS name nor an IP address";
    Self::Usage => "the certificate is for another use: its extended key usage must have the one at hand";
    Self::CaOrLeaf => "a certificate that may not sign others signed one, or one that may is used as leaf: mind basicConstraints";
    Self::Signature => "a signature in the certificate path is wrong";
    Self::SignatureAlgorithm => "a signature is of a kind that is not verified here: have keys on P-256, and ECDSA with SHA-256";
    Self::PublicKey => "a certificate's key is not an uncompressed point of P-256: issue the certificate anew with an uncompressed key";
    Self::Pin => "the certificate's key is not the pinned one";
    Self::Constraints => "the certificate path violates a name constraint or path length constraint";
    Self::TooComplex => "the certificates allow too many paths: have the peer send those of one path only";
}}

impl core::error::Error for PathError {}
