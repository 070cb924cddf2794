//! Exported Authenticators (RFC 9261), of a certificate whose key is in the TPM.

use super::{
    ProofError,
    signing::{point, signing_key},
};
use chanbind_core::{
    authenticator::{ClientIdentity, ProveError, Prover, Request, http},
    crypto::SignatureScheme,
    x509::{PublicKey, subject_public_key_info},
};
use chanbind_device_config::proof::authenticator::{self, MAX_CERTIFICATES, MAX_CERTIFICATES_LEN};
use chanbind_tpm_spi::key::SigningKey;
use heapless::Vec;

pub(super) use authenticator::TAG;

/// The longest request that is answered, in bytes.
const REQUEST_LEN: usize = 768;

/// The longest authenticator that is made, in bytes: the longest certificates of a configuration, and what is around them.
const AUTHENTICATOR_LEN: usize = MAX_CERTIFICATES_LEN + 448;

/// The longest head of a response, in bytes: a challenge is in it.
pub(super) const HEAD_LEN: usize = 1536;

pub(super) const FIELDS_LEN: usize =
    "authorization".len() + http::credentials_len(AUTHENTICATOR_LEN);

/// The memory of requests and authenticators.
pub(super) struct Memory {
    request: [u8; REQUEST_LEN],
    authenticator: [u8; AUTHENTICATOR_LEN],
}

impl Memory {
    pub(super) const fn new() -> Self {
        Self {
            request: [0; REQUEST_LEN],
            authenticator: [0; AUTHENTICATOR_LEN],
        }
    }
}

pub(crate) struct Proof<'a> {
    pub(super) prover: Prover<Certificates<'a>, &'a mut [u8]>,
    pub(super) key: SigningKey<'a, 'a>,
}

/// The device's certificates, for an ECDSA key on P-256.
pub(super) struct Certificates<'a>(Vec<&'a [u8], MAX_CERTIFICATES>);

impl ClientIdentity for Certificates<'_> {
    fn scheme(&self, _: &Request<'_>) -> Option<SignatureScheme> {
        Some(SignatureScheme::ECDSA_SECP256R1_SHA256)
    }

    fn with_certificates<T>(&self, f: impl FnOnce(&[&[u8]]) -> T) -> T {
        f(&self.0)
    }
}

impl<'a> Proof<'a> {
    pub(super) fn new(
        section: &'a [u8],
        memory: &'a mut Memory,
    ) -> Result<(Self, &'a [u8]), ProofError> {
        let authenticator::Section { certificates, key } = authenticator::Section::parse(section)?;
        let signing = signing_key(&key)?;
        let leaf = certificates.first().copied().unwrap_or_default();
        if !matches_key(leaf, &signing) {
            return Err(ProofError::Certificate);
        }
        let Memory {
            request,
            authenticator,
        } = memory;
        let proof = Self {
            prover: Prover::new(Certificates(certificates), request, authenticator),
            key: signing,
        };
        Ok((proof, key.parent_name))
    }
}

/// Returns true if a certificate is for this key.
fn matches_key(certificate: &[u8], key: &SigningKey<'_, '_>) -> bool {
    let public_key = subject_public_key_info(certificate).and_then(PublicKey::from_spki);
    public_key == Ok(PublicKey::P256(point(key)))
}

impl From<ProveError> for ProofError {
    fn from(error: ProveError) -> Self {
        Self::Authenticator(error)
    }
}
