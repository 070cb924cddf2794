use super::{Fields, PathError};
use crate::crypto::{ecdsa::PUBLIC_KEY_LEN, sha256};

/// The public key of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey {
    /// On P-256, uncompressed. Not checked to be on the curve: verifying does.
    P256([u8; PUBLIC_KEY_LEN]),
}

impl PublicKey {
    /// From SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7, RFC 5480 section 2).
    ///
    /// # Errors
    /// [`PathError::PublicKey`] for other keys than uncompressed points of P-256.
    pub fn from_spki(spki: &[u8]) -> Result<Self, PathError> {
        let contents = spki.strip_prefix(SPKI_TAG_AND_LEN);
        contents
            .and_then(Self::point_of_contents)
            .map(|point| Self::P256(*point))
            .ok_or(PathError::PublicKey)
    }

    /// The point in the contents of a SubjectPublicKeyInfo, where it stands.
    pub(super) fn point_of_contents(contents: &[u8]) -> Option<&[u8; PUBLIC_KEY_LEN]> {
        let point: &[u8; PUBLIC_KEY_LEN] =
            contents.strip_prefix(P256_SPKI_HEAD)?.try_into().ok()?;
        match point {
            [4, ..] => Some(point),
            _ => None,
        }
    }

    /// The point in a certificate, where it stands.
    pub(super) fn point_of_certificate(certificate: &[u8]) -> Option<&[u8; PUBLIC_KEY_LEN]> {
        let spki = subject_public_key_info(certificate).ok()?;
        Self::point_of_contents(spki.strip_prefix(SPKI_TAG_AND_LEN)?)
    }
}

/// The SubjectPublicKeyInfo of a certificate, DER with its tag and length: what is pinned.
///
/// # Errors
/// [`PathError::Certificate`] for bytes that are no certificate as far as that field.
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

/// A SEQUENCE of so many bytes is the SubjectPublicKeyInfo of a key on P-256.
const SPKI_TAG_AND_LEN: &[u8] = &[0x30, 0x59];

/// Its contents, as far as the point: id-ecPublicKey, prime256v1, a BIT STRING of 66 bytes.
const P256_SPKI_HEAD: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
