use crate::error_messages;
use webpki::Error;

/// The reason why a certificate or its path is rejected. It is meant for operators; do not report more than "bad certificate" to a
/// peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// A trust anchor is not an X.509 certificate.
    Anchor,
    /// No trust anchor is given.
    NoAnchor,
    /// More than [`super::MAX_ANCHORS`] trust anchors are given.
    TooManyAnchors,
    /// The path has more than [`super::MAX_INTERMEDIATES`] certificates between leaf and trust anchor, or the peer sent more than
    /// [`super::MAX_CANDIDATES`] certificates that can be part of a path by their names.
    TooManyIntermediates,
    /// A certificate is malformed, or has an unknown critical extension.
    Certificate,
    /// No path leads to a trust anchor.
    UnknownIssuer,
    /// No path contains a certificate that was issued by one of the requested authorities.
    Authority,
    /// A certificate has expired.
    Expired {
        /// The time of the verification, in seconds since 1970-01-01T00:00:00Z.
        time: u64,
        /// The end of the certificate's validity, in seconds since 1970-01-01T00:00:00Z.
        not_after: u64,
    },
    /// A certificate is not valid yet.
    NotYetValid {
        /// The time of the verification, in seconds since 1970-01-01T00:00:00Z.
        time: u64,
        /// The start of the certificate's validity, in seconds since 1970-01-01T00:00:00Z.
        not_before: u64,
    },
    /// The certificate is not for the given name.
    Name,
    /// The given name is neither a DNS name nor an IP address.
    InvalidName,
    /// The key usage or the extended key usage of the certificate does not permit the required use.
    Usage,
    /// An authority's certificate is used as a leaf, or a certificate that may not sign certificates signed one.
    CaOrLeaf,
    /// A signature is invalid.
    Signature,
    /// A signature algorithm is not supported. Firmware supports ECDSA on P-256 with SHA-256 only.
    SignatureAlgorithm,
    /// A key is not of the required kind: the path or a trust anchor has a point of P-256 that is not uncompressed, or the leaf's
    /// key is not on P-256 where P-256 is required.
    PublicKey,
    /// The leaf's key is not the pinned key.
    Pin,
    /// A name constraint or a path length constraint is violated.
    Constraints,
    /// The certificates allow too many paths: the search exceeds webpki's limit on signature checks (100), path-building calls or
    /// name comparisons.
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
    Self::Anchor => "a trust anchor is not an X.509 certificate: use the authority's own certificate in DER";
    Self::NoAnchor => "there is no trust anchor: add the certificate of the trusted authority";
    Self::TooManyAnchors => "too many trust anchors: use at most 4";
    Self::TooManyIntermediates => "too many certificates between leaf and authority: use at most 4 in a path, and send at most 8 whose names can be part of a path";
    Self::Certificate => "a certificate is malformed, or has an unknown critical extension";
    Self::UnknownIssuer => "no path leads to the trusted authority: check that the peer sends its intermediate certificates, and that the authority is the right one";
    Self::Authority => "the certificate comes from a trusted authority, but not from one that was requested";
    Self::Expired { time, not_after } => "a certificate expired at {} (seconds since 1970), and the time is {}: renew the certificate, or set the clock", not_after, time;
    Self::NotYetValid { time, not_before } => "a certificate is valid from {} (seconds since 1970), and the time is {}: set the clock", not_before, time;
    Self::Name => "the certificate is for other names: its subject alternative names must include the expected name";
    Self::InvalidName => "the name is neither a DNS name nor an IP address";
    Self::Usage => "the certificate is for another use: its key usage and extended key usage must permit this use";
    Self::CaOrLeaf => "a certificate that may not sign certificates signed one, or an authority's certificate is used as a leaf: check basicConstraints and keyUsage";
    Self::Signature => "a signature in the certificate path is invalid";
    Self::SignatureAlgorithm => "a signature algorithm is not supported: use keys on P-256, and ECDSA with SHA-256";
    Self::PublicKey => "a certificate's key is not an uncompressed point of P-256: reissue the certificate with an uncompressed key";
    Self::Pin => "the certificate's key is not the pinned key";
    Self::Constraints => "the certificate path violates a name constraint or a path length constraint";
    Self::TooComplex => "the certificates allow too many paths: configure the peer to send the certificates of one path only";
}}

impl core::error::Error for PathError {}
