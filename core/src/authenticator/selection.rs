//! Certificates held against what a request asks for (RFC 9261 section 5.2.1).

use super::{CertificateChain, Offered, OidFilter, Request, Unsuitable};
use crate::{
    wire::Reader,
    x509::{
        BIT_STRING, Fields, OBJECT_IDENTIFIER, OID_EXTENDED_KEY_USAGE, OID_KEY_USAGE, SEQUENCE,
        SignatureScheme, has_name,
    },
};

impl Request<'_> {
    /// Whether `chain` is what this request asks for: by the schemes of its key and of its signatures, its authority, key usages and
    /// name. Filters for other extensions than the two key usages are ignored (RFC 8446 section 4.2.5).
    ///
    /// # Errors
    /// [`Unsuitable`]
    pub fn is_satisfied_by(&self, chain: &CertificateChain<'_>) -> Result<(), Unsuitable> {
        let offered = |scheme| self.signature_algorithms().any(|one| one == scheme);
        let in_certificates = |scheme| self.signature_algorithms_cert().any(|one| one == scheme);
        let mut from_authority = self.certificate_authorities().is_none();
        let leaf = signed_by(chain, &offered, &in_certificates, &mut |issuer| {
            let mut names = self.certificate_authorities().into_iter().flatten();
            from_authority |= names.any(|name| name == issuer);
        })?;
        if !from_authority {
            return Err(Unsuitable::Authority);
        }
        self.accepts_leaf(leaf)
    }

    /// Checks a leaf against the key usages and the server name that this request asks for.
    pub(super) fn accepts_leaf(&self, leaf: &[u8]) -> Result<(), Unsuitable> {
        let fields = Fields::parse(leaf).map_err(|_| Unsuitable::Certificate)?;
        if !self.oid_filters().all(|filter| passes(&fields, filter)) {
            return Err(Unsuitable::Usage);
        }
        match self.server_name() {
            Some(name) => has_name(leaf, name).map_err(|_| Unsuitable::ServerName),
            None => Ok(()),
        }
    }
}

impl Offered<'_> {
    /// Whether `chain` keeps to what the ClientHello offered, by the schemes of its key and of its signatures.
    ///
    /// # Errors
    /// [`Unsuitable`]
    pub fn is_satisfied_by(&self, chain: &CertificateChain<'_>) -> Result<(), Unsuitable> {
        let offered = |scheme| self.signature_algorithms.contains(&scheme);
        let in_certificates = |scheme| {
            self.signature_algorithms_cert.contains(&scheme)
                || (self.signature_algorithms_cert.is_empty() && offered(scheme))
        };
        signed_by(chain, &offered, &in_certificates, &mut |_| {}).map(|_| ())
    }
}

/// Holds the schemes of a chain's key and signatures against those that are offered, and shows the issuer of each certificate; gives the
/// leaf.
fn signed_by<'c>(
    chain: &CertificateChain<'c>,
    offered: &dyn Fn(SignatureScheme) -> bool,
    in_certificates: &dyn Fn(SignatureScheme) -> bool,
    show_issuer: &mut dyn FnMut(&[u8]),
) -> Result<&'c [u8], Unsuitable> {
    if !chain.scheme.is_for_messages() || !offered(chain.scheme) {
        return Err(Unsuitable::Scheme(chain.scheme));
    }
    for certificate in chain.certificates {
        let fields = Fields::parse(certificate).map_err(|_| Unsuitable::Certificate)?;
        let mut schemes = OF_CERTIFICATES.iter().copied();
        // One that signs itself is not verified.
        if fields.issuer != fields.subject
            && !schemes.any(|one| in_certificates(one) && is_of(fields.signature_algorithm, one))
        {
            return Err(Unsuitable::CertificateSignature);
        }
        show_issuer(fields.issuer);
    }
    let leaf = chain.certificates.first();
    leaf.copied().ok_or(Unsuitable::Certificate)
}

/// The schemes that certificates are signed by, as far as they are known here.
const OF_CERTIFICATES: [SignatureScheme; 10] = [
    SignatureScheme::ECDSA_SECP256R1_SHA256,
    SignatureScheme::ECDSA_SECP384R1_SHA384,
    SignatureScheme::ECDSA_SECP521R1_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PSS_RSAE_SHA256,
    SignatureScheme::RSA_PSS_RSAE_SHA384,
    SignatureScheme::RSA_PSS_RSAE_SHA512,
];

/// Whether an AlgorithmIdentifier is of this scheme. That of PSS leaves the hash to its parameters, which are not looked at.
fn is_of(algorithm: &[u8], scheme: SignatureScheme) -> bool {
    let Ok((OBJECT_IDENTIFIER, oid)) = Reader::new(algorithm).der() else {
        return false;
    };
    matches!(
        (oid, scheme),
        (ECDSA_WITH_SHA256, SignatureScheme::ECDSA_SECP256R1_SHA256)
            | (ECDSA_WITH_SHA384, SignatureScheme::ECDSA_SECP384R1_SHA384)
            | (ECDSA_WITH_SHA512, SignatureScheme::ECDSA_SECP521R1_SHA512)
            | (ED25519, SignatureScheme::ED25519)
            | (RSA_WITH_SHA256, SignatureScheme::RSA_PKCS1_SHA256)
            | (RSA_WITH_SHA384, SignatureScheme::RSA_PKCS1_SHA384)
            | (RSA_WITH_SHA512, SignatureScheme::RSA_PKCS1_SHA512)
            | (
                RSA_PSS,
                SignatureScheme::RSA_PSS_RSAE_SHA256
                    | SignatureScheme::RSA_PSS_RSAE_SHA384
                    | SignatureScheme::RSA_PSS_RSAE_SHA512
            )
    )
}

fn passes(certificate: &Fields<'_>, filter: OidFilter<'_>) -> bool {
    let Ok((OBJECT_IDENTIFIER, oid)) = Reader::new(filter.oid).der() else {
        return false;
    };
    if oid != OID_KEY_USAGE && oid != OID_EXTENDED_KEY_USAGE {
        return true;
    }
    let Some(value) = certificate.extension(oid) else {
        return false;
    };
    if filter.values.is_empty() {
        return true;
    }
    match (Reader::new(filter.values).der(), Reader::new(value).der()) {
        // Key usage: every bit that is asked for.
        (Ok((BIT_STRING, [_, asked @ ..])), Ok((BIT_STRING, [_, there @ ..]))) => {
            let there = there.iter().chain(core::iter::repeat(&0));
            asked
                .iter()
                .zip(there)
                .all(|(asked, there)| asked & !there == 0)
        }
        // Extended key usage: every purpose that is asked for; "any" is none of them.
        (Ok((SEQUENCE, asked)), Ok((SEQUENCE, there))) => {
            let mut asked = Reader::new(asked);
            while !asked.is_empty() {
                let Ok(purpose) = asked.der() else {
                    return false;
                };
                let mut there = Reader::new(there);
                let mut found = false;
                while let Ok(one) = there.der() {
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

/// 1.2.840.10045.4.3.2
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// 1.2.840.10045.4.3.3
const ECDSA_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
/// 1.2.840.10045.4.3.4
const ECDSA_WITH_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];
/// 1.3.101.112
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// 1.2.840.113549.1.1.10
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
/// 1.2.840.113549.1.1.11
const RSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
/// 1.2.840.113549.1.1.12
const RSA_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c];
/// 1.2.840.113549.1.1.13
const RSA_WITH_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d];
