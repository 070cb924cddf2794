//! Checks of certificates against the requirements of a request (RFC 9261 section 5.2.1).

use super::{CertificateChain, Offered, OidFilter, Request, Unsuitable};
use crate::{
    der::{Reader, Tag, oid},
    x509::{Fields, SignatureScheme, has_name},
};

impl Request<'_> {
    /// Checks that `chain` meets this request: the signature schemes of its key and of its certificates, its authority, its key
    /// usages and its name. Filters for extensions other than key usage and extended key usage are ignored (RFC 8446 section
    /// 4.2.5).
    ///
    /// # Errors
    /// [`Unsuitable`] with the first requirement that is not met.
    pub fn is_satisfied_by(&self, chain: &CertificateChain<'_>) -> Result<(), Unsuitable> {
        let offered = |scheme| self.signature_algorithms().any(|one| one == scheme);
        let offered_for_certificates =
            |scheme| self.signature_algorithms_cert().any(|one| one == scheme);
        let mut from_authority = self.certificate_authorities().is_none();
        let leaf = check_schemes(chain, &offered, &offered_for_certificates, &mut |issuer| {
            let mut names = self.certificate_authorities().into_iter().flatten();
            from_authority |= names.any(|name| name == issuer);
        })?;
        if !from_authority {
            return Err(Unsuitable::Authority);
        }
        self.accepts_leaf(leaf)
    }

    /// Checks that a leaf has the key usages and the server name that this request requires.
    pub(super) fn accepts_leaf(&self, leaf: &[u8]) -> Result<(), Unsuitable> {
        let fields = Fields::parse(leaf).map_err(|_| Unsuitable::Certificate)?;
        if !self
            .oid_filters()
            .all(|filter| matches_filter(&fields, filter))
        {
            return Err(Unsuitable::Usage);
        }
        match self.server_name() {
            Some(name) => has_name(leaf, name).map_err(|_| Unsuitable::ServerName),
            None => Ok(()),
        }
    }
}

impl Offered<'_> {
    /// Checks that the ClientHello offered the signature schemes of the key and of the certificates of `chain`.
    ///
    /// # Errors
    /// [`Unsuitable`] with the first requirement that is not met.
    pub fn is_satisfied_by(&self, chain: &CertificateChain<'_>) -> Result<(), Unsuitable> {
        let offered = |scheme| self.signature_algorithms.contains(&scheme);
        let offered_for_certificates = |scheme| {
            self.signature_algorithms_cert.contains(&scheme)
                || (self.signature_algorithms_cert.is_empty() && offered(scheme))
        };
        check_schemes(chain, &offered, &offered_for_certificates, &mut |_| {}).map(|_| ())
    }
}

/// Checks that the signature schemes of a chain's key and certificates are offered. Calls `visit_issuer` with the issuer of each
/// certificate, and returns the leaf.
fn check_schemes<'c>(
    chain: &CertificateChain<'c>,
    offered: &dyn Fn(SignatureScheme) -> bool,
    offered_for_certificates: &dyn Fn(SignatureScheme) -> bool,
    visit_issuer: &mut dyn FnMut(&[u8]),
) -> Result<&'c [u8], Unsuitable> {
    if !chain.scheme.is_for_messages() || !offered(chain.scheme) {
        return Err(Unsuitable::Scheme(chain.scheme));
    }
    for certificate in chain.certificates {
        let fields = Fields::parse(certificate).map_err(|_| Unsuitable::Certificate)?;
        let algorithm = Reader::new(fields.signature_algorithm).contents(Tag::OBJECT_IDENTIFIER);
        let mut schemes = CERTIFICATE_SCHEMES.iter();
        // The signature of a self-signed certificate is not verified.
        if fields.issuer != fields.subject
            && !schemes.any(|(one, oid)| offered_for_certificates(*one) && algorithm == Ok(*oid))
        {
            return Err(Unsuitable::CertificateSignature);
        }
        visit_issuer(fields.issuer);
    }
    let leaf = chain.certificates.first();
    leaf.copied().ok_or(Unsuitable::Certificate)
}

/// The known signature schemes of certificates, each with the object identifier of its algorithm. For PSS the parameters, which
/// specify the hash, are not checked.
const CERTIFICATE_SCHEMES: [(SignatureScheme, &[u8]); 10] = [
    (
        SignatureScheme::ECDSA_SECP256R1_SHA256,
        oid::ECDSA_WITH_SHA256,
    ),
    (
        SignatureScheme::ECDSA_SECP384R1_SHA384,
        oid::ECDSA_WITH_SHA384,
    ),
    (
        SignatureScheme::ECDSA_SECP521R1_SHA512,
        oid::ECDSA_WITH_SHA512,
    ),
    (SignatureScheme::ED25519, oid::ED25519),
    (SignatureScheme::RSA_PKCS1_SHA256, oid::SHA256_WITH_RSA),
    (SignatureScheme::RSA_PKCS1_SHA384, oid::SHA384_WITH_RSA),
    (SignatureScheme::RSA_PKCS1_SHA512, oid::SHA512_WITH_RSA),
    (SignatureScheme::RSA_PSS_RSAE_SHA256, oid::RSASSA_PSS),
    (SignatureScheme::RSA_PSS_RSAE_SHA384, oid::RSASSA_PSS),
    (SignatureScheme::RSA_PSS_RSAE_SHA512, oid::RSASSA_PSS),
];

/// Returns whether a certificate satisfies a filter (RFC 8446 section 4.2.5).
fn matches_filter(certificate: &Fields<'_>, filter: OidFilter<'_>) -> bool {
    let Ok(oid) = Reader::new(filter.oid).contents(Tag::OBJECT_IDENTIFIER) else {
        return false;
    };
    if oid != oid::KEY_USAGE && oid != oid::EXTENDED_KEY_USAGE {
        return true;
    }
    let Some(value) = certificate.extension(oid) else {
        return false;
    };
    if filter.values.is_empty() {
        return true;
    }
    match (
        Reader::new(filter.values).element(),
        Reader::new(value).element(),
    ) {
        // Key usage: the certificate must have every required bit.
        (Ok((Tag::BIT_STRING, [_, required @ ..])), Ok((Tag::BIT_STRING, [_, actual @ ..]))) => {
            let actual = actual.iter().chain(core::iter::repeat(&0));
            required
                .iter()
                .zip(actual)
                .all(|(required, actual)| required & !actual == 0)
        }
        // Extended key usage: the certificate must list every required purpose. anyExtendedKeyUsage does not replace one.
        (Ok((Tag::SEQUENCE, required)), Ok((Tag::SEQUENCE, actual))) => {
            let mut required = Reader::new(required);
            while !required.is_empty() {
                let Ok(purpose) = required.element() else {
                    return false;
                };
                let mut actual = Reader::new(actual);
                let mut found = false;
                while let Ok(one) = actual.element() {
                    found |= one == purpose;
                }
                if !found {
                    return false;
                }
            }
            true
        }
        _ => false,
    }
}
