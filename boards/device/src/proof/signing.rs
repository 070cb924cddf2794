//! Signing keys in the TPM, for every kind of proof that signs.

use super::{KeyHolder, MAX_ANSWER_LEN, ProofError};
use crate::generator::Generator;
use chanbind_core::{
    crypto::{SignatureScheme, ecdsa, sha256},
    proof::KeyRequest,
};
use chanbind_device_config::Key;
use chanbind_tpm_spi::{
    Chip, Error,
    key::{KeyBlobs, SigningKey, TpmKeys},
    session::AuthValue,
};

/// Returns the ECDSA key of a section.
pub(super) fn signing_key<'a>(key: &Key<'a>) -> Result<SigningKey<'a, 'a>, ProofError> {
    let blobs = KeyBlobs::new(key.private, key.public).ok_or(ProofError::Key)?;
    let password = AuthValue::new(key.password).map_err(|_| ProofError::Key)?;
    SigningKey::new(blobs, password).map_err(|_| ProofError::Key)
}

/// Returns the uncompressed point of its public key.
pub(super) fn point(key: &SigningKey<'_, '_>) -> [u8; ecdsa::PUBLIC_KEY_LEN] {
    let public_key = key.public_key();
    let mut point = [0x04; ecdsa::PUBLIC_KEY_LEN];
    let coordinates = public_key.x.iter().chain(&public_key.y);
    for (to, from) in point.iter_mut().skip(1).zip(coordinates) {
        *to = *from;
    }
    point
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
