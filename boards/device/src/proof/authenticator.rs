//! Exported Authenticators (RFC 9261), of a certificate whose key is in the TPM.

use super::{KeyHolder, MAX_ANSWER_LEN, ProofError};
use crate::generator::Generator;
use chanbind_core::{
    authenticator::{ClientIdentity, ProveError, Prover, Request, http},
    crypto::{SignatureScheme, ecdsa, sha256},
    proof::KeyRequest,
    x509::{PublicKey, subject_public_key_info},
};
use chanbind_device_config::proof::authenticator::{self, MAX_CERTIFICATES, MAX_CERTIFICATES_LEN};
use chanbind_tpm_spi::{
    Chip, Error,
    command::EccPoint,
    key::{KeyBlobs, SigningKey, TpmKeys},
    session::AuthValue,
};
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
        let blobs = KeyBlobs::new(key.private, key.public).ok_or(ProofError::Key)?;
        let password = AuthValue::new(key.password).map_err(|_| ProofError::Key)?;
        let signing = SigningKey::new(blobs, password).map_err(|_| ProofError::Key)?;
        let leaf = certificates.first().copied().unwrap_or_default();
        if !matches_key(leaf, signing.public_key()) {
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
fn matches_key(certificate: &[u8], key: &EccPoint) -> bool {
    let public_key = subject_public_key_info(certificate).and_then(PublicKey::from_spki);
    let mut point = [0x04; 65];
    for (to, from) in point.iter_mut().skip(1).zip(key.x.iter().chain(&key.y)) {
        *to = *from;
    }
    public_key == Ok(PublicKey::P256(point))
}

impl<'m> KeyHolder<'m> for SigningKey<'_, 'm> {
    async fn answer<C: Chip>(
        &mut self,
        keys: &mut TpmKeys<'m, C, Generator>,
        request: KeyRequest<'_>,
        out: &mut [u8; MAX_ANSWER_LEN],
    ) -> Result<Option<usize>, Error<C::Error>> {
        let KeyRequest::Sign {
            scheme: SignatureScheme::ECDSA_SECP256R1_SHA256,
            message,
        } = request
        else {
            return Ok(None);
        };
        let signed = keys.sign(self, &sha256(message)).await?;
        let signature = ecdsa::Signature {
            r: signed.r,
            s: signed.s,
        };
        Ok(signature.to_der(out).ok().map(|der| der.len()))
    }
}

impl From<ProveError> for ProofError {
    fn from(error: ProveError) -> Self {
        Self::Authenticator(error)
    }
}
