use super::{Fields, PathError};
use crate::{
    crypto::{ecdsa::PUBLIC_KEY_LEN, sha256},
    der::{Reader, Tag, oid},
};

/// The public key of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey {
    /// An uncompressed point of P-256. Signature verification checks that the point is on the curve; parsing does not.
    P256([u8; PUBLIC_KEY_LEN]),
}

impl PublicKey {
    /// Parses a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7, RFC 5480 section 2).
    ///
    /// # Errors
    /// [`PathError::PublicKey`] if the key is not an uncompressed point of P-256.
    pub fn from_spki(spki: &[u8]) -> Result<Self, PathError> {
        Self::point_of_spki(spki)
            .and_then(Self::uncompressed)
            .map(|point| Self::P256(*point))
            .ok_or(PathError::PublicKey)
    }

    /// Returns the encoded point, in any form, from a SubjectPublicKeyInfo of a key on P-256. Returns `None` for other kinds of
    /// key.
    pub(super) fn point_of_spki(spki: &[u8]) -> Option<&[u8]> {
        Self::point_of_contents(Reader::new(spki).contents(Tag::SEQUENCE).ok()?)
    }

    /// Returns the encoded point as [`Self::point_of_spki`] does, from the contents of the SubjectPublicKeyInfo.
    pub(super) fn point_of_contents(contents: &[u8]) -> Option<&[u8]> {
        let mut fields = Reader::new(contents);
        let (oid::EC_PUBLIC_KEY, mut parameters) = fields.algorithm().ok()? else {
            return None;
        };
        let curve = parameters.contents(Tag::OBJECT_IDENTIFIER).ok()?;
        let is_p256 = curve == oid::SECP256R1 && parameters.is_empty();
        fields.bit_string_of_bytes().ok().filter(|_| is_p256)
    }

    /// Returns the point if it is uncompressed (RFC 5480 section 2.2), which is the only form that is supported.
    pub(super) fn uncompressed(point: &[u8]) -> Option<&[u8; PUBLIC_KEY_LEN]> {
        let point: &[u8; PUBLIC_KEY_LEN] = point.try_into().ok()?;
        match point {
            [4, ..] => Some(point),
            _ => None,
        }
    }

    /// Returns the encoded point as [`Self::point_of_spki`] does, from a certificate.
    pub(super) fn point_of_certificate(certificate: &[u8]) -> Option<&[u8]> {
        Self::point_of_spki(subject_public_key_info(certificate).ok()?)
    }

    /// Returns whether a key is a point of P-256 that is not uncompressed. Libraries on hosts accept different forms. Such keys
    /// are rejected everywhere, so that hosts and devices agree.
    pub(super) fn is_unsupported_point(point: Option<&[u8]>) -> bool {
        point.is_some_and(|point| Self::uncompressed(point).is_none())
    }
}

/// Returns the SubjectPublicKeyInfo of a certificate in DER, with its tag and length. A pin is the hash of these bytes.
///
/// # Errors
/// [`PathError::Certificate`] if the bytes are not a certificate, as far as they are parsed: up to this field.
pub fn subject_public_key_info(certificate: &[u8]) -> Result<&[u8], PathError> {
    Fields::parse(certificate).map(|fields| fields.spki)
}

/// Returns the subject of a certificate: a distinguished name in DER, with its tag and length.
///
/// # Errors
/// Fails under the same conditions as [`subject_public_key_info`].
pub fn subject(certificate: &[u8]) -> Result<&[u8], PathError> {
    Fields::parse(certificate).map(|fields| fields.subject)
}

/// Returns the SHA-256 hash of [`subject_public_key_info`], which is the value of a pin (RFC 7469 section 2.4).
///
/// # Errors
/// Fails under the same conditions as [`subject_public_key_info`].
pub fn spki_sha256(certificate: &[u8]) -> Result<[u8; 32], PathError> {
    subject_public_key_info(certificate).map(sha256)
}
