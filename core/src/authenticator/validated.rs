use super::{
    Certified, Entries, Extension, ValidateError,
    endpoint_keys::{Content, EndpointKeys, content},
    solicitation::Solicitation,
};
use crate::{
    binding::Side,
    crypto::equal,
    x509::{PathError, PathRules, SignatureScheme, Usage, VerifiedLeaf},
};

/// A valid authenticator. The peer has proved on this connection that it has the key of the certificate, and the certificate meets
/// the request.
#[derive(Debug, Clone, Copy)]
pub struct Validated<'a> {
    leaf: VerifiedLeaf<'a>,
    certified: Certified<'a>,
}

impl<'a> Validated<'a> {
    /// Returns the leaf certificate of the peer, with its names and its key.
    #[must_use]
    pub fn leaf(&self) -> &VerifiedLeaf<'a> {
        &self.leaf
    }

    /// Returns an iterator over all certificates with their extensions. The leaf is first. Other certificates are not necessarily
    /// part of the path.
    #[must_use]
    pub fn entries(&self) -> Entries<'a> {
        self.certified.entries()
    }

    /// Returns the certificate_request_context, 0 to 255 bytes.
    #[must_use]
    pub fn context(&self) -> &'a [u8] {
        self.certified.context()
    }

    /// Returns the scheme of the signature.
    #[must_use]
    pub fn scheme(&self) -> SignatureScheme {
        self.certified.scheme()
    }
}

/// Validates an authenticator with a certificate. Cheap checks run first; Finished, which only the peer of this connection can
/// make, is checked before any signature.
pub(super) fn validate_certified<'a>(
    keys: &EndpointKeys,
    validator: Side,
    solicitation: &Solicitation<'_>,
    certified: Certified<'a>,
    rules: &PathRules<'_>,
) -> Result<Validated<'a>, ValidateError> {
    let scheme = certified.scheme();
    if !solicitation.offers(scheme) || !rules.verifies(scheme) {
        return Err(ValidateError::Scheme(scheme));
    }
    for entry in certified.entries() {
        for Extension { extension_type, .. } in entry.extensions {
            if !solicitation.allows(extension_type) {
                return Err(ValidateError::UnsolicitedExtension(extension_type));
            }
        }
    }
    let content = verify_finished(keys, solicitation, &certified)?;
    let rules = rules.with_usage(match validator {
        Side::Server => Usage::ClientAuth,
        Side::Client => Usage::ServerAuth,
    });
    let leaf = verify_path(&certified, solicitation, &rules)?;
    if let Solicitation::Request(request) = solicitation {
        request.accepts_leaf(leaf.as_der())?;
    }
    match rules.verify_signature(&leaf, scheme, &content, certified.signature()) {
        Ok(()) => Ok(Validated { leaf, certified }),
        Err(PathError::Signature) => Err(ValidateError::CertificateVerify),
        Err(error) => Err(error.into()),
    }
}

/// Verifies Finished and returns the content that CertificateVerify must sign.
#[inline(never)]
fn verify_finished(
    keys: &EndpointKeys,
    solicitation: &Solicitation<'_>,
    certified: &Certified<'_>,
) -> Result<Content, ValidateError> {
    let [before, after] = keys.transcripts(
        solicitation.as_bytes(),
        certified.certificate,
        certified.certificate_verify,
    );
    if equal(&keys.finished(&after), certified.verify_data()) {
        Ok(content(&before))
    } else {
        Err(ValidateError::Finished)
    }
}

#[inline(never)]
fn verify_path<'a>(
    certified: &Certified<'a>,
    solicitation: &Solicitation<'_>,
    rules: &PathRules<'_>,
) -> Result<VerifiedLeaf<'a>, PathError> {
    let mut entries = certified.entries();
    let leaf = entries.next().ok_or(PathError::Certificate)?.certificate;
    let sent = entries.map(|entry| entry.certificate);
    rules.verify_issued_by(leaf, sent, &|issuer| solicitation.is_authority(issuer))
}
