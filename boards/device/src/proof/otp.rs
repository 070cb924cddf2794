//! One-time passwords, in the form of an API key.

use super::{KeyHolder, MAX_ANSWER_LEN, ProofError};
use crate::generator::Generator;
use chanbind_core::{
    otp::{ApiKeyProver, FieldNames, MAX_CLIENT_ID_LEN, Profile, ProveError, api_key_fields_len},
    proof::KeyRequest,
};
use chanbind_device_config::proof::otp;
use chanbind_tpm_spi::{
    Chip, Error,
    key::{HmacKey, KeyBlobs, TpmKeys},
    session::AuthValue,
};

pub(super) use otp::TAG;

pub(super) const FIELDS_LEN: usize = api_key_fields_len(MAX_CLIENT_ID_LEN);

pub(crate) struct Proof<'a> {
    pub(super) prover: ApiKeyProver<'static, &'a str>,
    pub(super) key: HmacKey<'a, 'a>,
}

impl<'a> Proof<'a> {
    pub(super) fn new(section: &'a [u8]) -> Result<(Self, &'a [u8]), ProofError> {
        let otp::Section { client_id, key } = otp::Section::parse(section)?;
        let blobs = KeyBlobs::new(key.private, key.public).ok_or(ProofError::Key)?;
        let password = AuthValue::new(key.password).map_err(|_| ProofError::Key)?;
        let proof = Self {
            prover: ApiKeyProver::new(Profile::default(), client_id.into(), FieldNames::default()),
            key: HmacKey::new(blobs, password).map_err(|_| ProofError::Key)?,
        };
        Ok((proof, key.parent_name))
    }
}

impl<'m> KeyHolder<'m> for HmacKey<'_, 'm> {
    async fn answer<C: Chip>(
        &mut self,
        keys: &mut TpmKeys<'m, C, Generator>,
        request: KeyRequest<'_>,
        out: &mut [u8; MAX_ANSWER_LEN],
    ) -> Result<Option<usize>, Error<C::Error>> {
        let KeyRequest::Hmac(input) = request else {
            return Ok(None);
        };
        let Some(mac) = out.first_chunk_mut::<32>() else {
            return Ok(None);
        };
        keys.hmac(self, &input.parts(), mac).await?;
        Ok(Some(mac.len()))
    }
}

impl From<ProveError> for ProofError {
    fn from(error: ProveError) -> Self {
        Self::Otp(error)
    }
}
