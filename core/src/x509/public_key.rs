use super::{
    Fields, PathError,
    certificate::{BIT_STRING, sequence},
};
use crate::{
    crypto::{ecdsa::PUBLIC_KEY_LEN, sha256},
    wire::Reader,
};

/// The public key of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey {
    /// On P-256, uncompressed. Not checked to be on the curve: verifying does.
    P256([u8; PUBLIC_KEY_LEN]),
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7, RFC 5480 section 2).
    ///
    /// # Errors
    /// [`PathError::PublicKey`] for keys other than uncompressed points of P-256.
    pub fn from_spki(spki: &[u8]) -> Result<Self, PathError> {
        Self::point_of_spki(spki)
            .and_then(Self::uncompressed)
            .map(|point| Self::P256(*point))
            .ok_or(PathError::PublicKey)
    }

    /// The encoded point in a SubjectPublicKeyInfo of a key on P-256, in whatever form; `None` for other kinds of key.
    pub(super) fn point_of_spki(spki: &[u8]) -> Option<&[u8]> {
        Self::point_of_contents(sequence(&mut Reader::new(spki)).ok()?)
    }

    /// As [`Self::point_of_spki`], from the contents of the SubjectPublicKeyInfo.
    pub(super) fn point_of_contents(contents: &[u8]) -> Option<&[u8]> {
        let mut key = Reader::new(contents.strip_prefix(P256_ALGORITHM)?);
        match key.der().ok()? {
            (BIT_STRING, [0, point @ ..]) => Some(point),
            _ => None,
        }
    }

    /// The point, where it is encoded in the one form that is verified with (RFC 5480 section 2.2): uncompressed.
    pub(super) fn uncompressed(point: &[u8]) -> Option<&[u8; PUBLIC_KEY_LEN]> {
        let point: &[u8; PUBLIC_KEY_LEN] = point.try_into().ok()?;
        match point {
            [4, ..] => Some(point),
            _ => None,
        }
    }

    /// The encoded point in a certificate, as [`Self::point_of_spki`].
    pub(super) fn point_of_certificate(certificate: &[u8]) -> Option<&[u8]> {
        Self::point_of_spki(subject_public_key_info(certificate).ok()?)
    }

    /// Returns whether a key is a point of P-256 that is not uncompressed. Host libraries differ in which forms they take;
    /// such keys are rejected everywhere, so that host and device agree.
    pub(super) fn is_unsupported_point(point: Option<&[u8]>) -> bool {
        point.is_some_and(|point| Self::uncompressed(point).is_none())
    }
}

/// The SubjectPublicKeyInfo of a certificate, DER with its tag and length: what is pinned.
///
/// # Errors
/// [`PathError::Certificate`] if the bytes are not a certificate up to that field.
pub fn subject_public_key_info(certificate: &[u8]) -> Result<&[u8], PathError> {
    Fields::of(certificate).map(|fields| fields.spki)
}

/// The subject of a certificate: a distinguished name, DER with its tag and length.
///
/// # Errors
/// [`PathError::Certificate`]
pub fn subject(certificate: &[u8]) -> Result<&[u8], PathError> {
    Fields::of(certificate).map(|fields| fields.subject)
}

/// SHA-256 of [`subject_public_key_info`], the value of a pin (RFC 7469 section 2.4).
///
/// # Errors
/// [`PathError::Certificate`]
pub fn spki_sha256(certificate: &[u8]) -> Result<[u8; 32], PathError> {
    subject_public_key_info(certificate).map(sha256)
}

/// AlgorithmIdentifier of a key on P-256: id-ecPublicKey, prime256v1 (RFC 5480 section 2.1.1).
const P256_ALGORITHM: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07,
];
