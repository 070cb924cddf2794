use super::{Fields, PathError, PublicKey, SubjectAltNames, names};
use crate::der::oid;
use core::fmt;
use rustls_pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

/// A leaf certificate whose path has been verified.
#[derive(Clone, Copy)]
pub struct VerifiedLeaf<'c> {
    certificate: &'c [u8],
    fields: Fields<'c>,
}

impl<'c> VerifiedLeaf<'c> {
    /// Creates a verified leaf. Returns `None` if its subject alternative names are malformed.
    pub(super) fn new(certificate: &'c [u8], fields: Fields<'c>) -> Option<Self> {
        SubjectAltNames::new(fields.extension(oid::SUBJECT_ALT_NAME))?;
        Some(Self {
            certificate,
            fields,
        })
    }

    /// Verifies that the certificate is for `name`, a DNS name or an IP address: the subject alternative names must include it
    /// (RFC 9525 section 6).
    ///
    /// # Errors
    /// [`PathError::Name`] if they do not include it, [`PathError::InvalidName`] if `name` is neither a DNS name nor an IP
    /// address.
    #[inline(never)]
    pub fn has_name(&self, name: &str) -> Result<(), PathError> {
        has_name(self.certificate, name)
    }

    /// Returns an iterator over the subject alternative names: DNS names, URIs, IP addresses and e-mail addresses.
    #[must_use]
    pub fn subject_alt_names(&self) -> SubjectAltNames<'c> {
        let names = SubjectAltNames::new(self.fields.extension(oid::SUBJECT_ALT_NAME));
        names.unwrap_or_default()
    }

    /// Returns the subject, a distinguished name in DER.
    #[must_use]
    pub fn subject(&self) -> &'c [u8] {
        self.fields.subject
    }

    /// Returns the last common name of the subject, for display. Use the subject alternative names to identify the holder.
    #[must_use]
    pub fn common_name(&self) -> Option<&'c str> {
        names::common_name(self.fields.subject)
    }

    /// Returns the SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn subject_public_key_info(&self) -> &'c [u8] {
        self.fields.spki
    }

    /// Returns the public key.
    ///
    /// # Errors
    /// [`PathError::PublicKey`] if the key is not an uncompressed point of P-256.
    pub fn public_key(&self) -> Result<PublicKey, PathError> {
        PublicKey::from_spki(self.fields.spki)
    }

    /// Returns the certificate in DER.
    #[must_use]
    pub fn as_der(&self) -> &'c [u8] {
        self.certificate
    }
}

/// Verifies as [`VerifiedLeaf::has_name`] does that a certificate is for `name`, without requiring a verified path.
pub(crate) fn has_name(certificate: &[u8], name: &str) -> Result<(), PathError> {
    let name = ServerName::try_from(name).map_err(|_| PathError::InvalidName)?;
    let der = CertificateDer::from(certificate);
    EndEntityCert::try_from(&der)
        .and_then(|certificate| certificate.verify_is_valid_for_subject_name(&name))
        .map_err(PathError::from)
}

impl fmt::Debug for VerifiedLeaf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedLeaf({} bytes)", self.certificate.len())
    }
}
