use super::{
    PathError, PublicKey, SubjectAltNames,
    certificate::{Fields, OID_SUBJECT_ALT_NAME},
    names,
};
use core::fmt;
use rustls_pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

/// A certificate whose path has been verified: an identity.
#[derive(Clone, Copy)]
pub struct VerifiedLeaf<'c> {
    certificate: &'c [u8],
    fields: Fields<'c>,
}

impl<'c> VerifiedLeaf<'c> {
    /// `None` where its subject alternative names are malformed.
    pub(super) fn new(certificate: &'c [u8], fields: Fields<'c>) -> Option<Self> {
        SubjectAltNames::new(fields.extension(OID_SUBJECT_ALT_NAME))?;
        Some(Self {
            certificate,
            fields,
        })
    }

    /// Whether it is for `name`: a DNS name or an IP address that its subject alternative names have (RFC 9525 section 6).
    ///
    /// # Errors
    /// [`PathError::Name`] if not, [`PathError::InvalidName`] if `name` is neither.
    #[inline(never)]
    pub fn has_name(&self, name: &str) -> Result<(), PathError> {
        has_name(self.certificate, name)
    }

    /// Its subject alternative names: DNS names, URIs, IP addresses.
    #[must_use]
    pub fn subject_alt_names(&self) -> SubjectAltNames<'c> {
        let names = SubjectAltNames::new(self.fields.extension(OID_SUBJECT_ALT_NAME));
        names.unwrap_or_default()
    }

    /// Its subject: a distinguished name, DER.
    #[must_use]
    pub fn subject(&self) -> &'c [u8] {
        self.fields.subject
    }

    /// The common name in its subject, for people: what a certificate is for, its subject alternative names say.
    #[must_use]
    pub fn common_name(&self) -> Option<&'c str> {
        names::common_name(self.fields.subject)
    }

    /// Its SubjectPublicKeyInfo, DER.
    #[must_use]
    pub fn subject_public_key_info(&self) -> &'c [u8] {
        self.fields.spki
    }

    /// Its public key.
    ///
    /// # Errors
    /// [`PathError::PublicKey`] for other keys than uncompressed points of P-256.
    pub fn public_key(&self) -> Result<PublicKey, PathError> {
        PublicKey::from_spki(self.fields.spki)
    }

    /// The certificate, DER.
    #[must_use]
    pub fn as_der(&self) -> &'c [u8] {
        self.certificate
    }
}

/// Of a certificate that need not have been verified.
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
