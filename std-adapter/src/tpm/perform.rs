//! The operations of a [`Device`] with keys. If the TPM was reset while the connection was open, the whole operation is tried
//! once more with a new connection.

use super::{
    TpmError,
    device::{Attempt, Device},
    esys::padded,
    key_spec::KeySpec,
    response::describe,
};
use chanbind_core::crypto::ecdsa;
use tss_esapi::{
    Context,
    constants::tss::{TPM2_RH_NULL, TPM2_ST_HASHCHECK},
    handles::KeyHandle,
    interface_types::algorithm::HashingAlgorithm,
    structures::{Digest, HashScheme, HashcheckTicket, MaxBuffer, Signature, SignatureScheme},
    tss2_esys::TPMT_TK_HASHCHECK,
};
use zeroize::Zeroizing;

impl Device {
    /// Loads `spec`'s key, to check that the TPM can use it.
    pub(super) fn load(&mut self, spec: &KeySpec) -> Result<(), TpmError> {
        self.with_retry(|device| device.try_load(spec).map(|_| ()))
    }

    /// Computes the HMAC of `data` with the key of `spec`, by TPM2_HMAC.
    pub(super) fn hmac(
        &mut self,
        spec: &KeySpec,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let buffer = MaxBuffer::try_from(data.to_vec()).map_err(|_| TpmError::DataTooLong {
            actual: data.len(),
            max: MaxBuffer::MAX_SIZE,
        })?;
        let digest = self.with_key("TPM2_HMAC", spec, |context, key| {
            context.hmac(key.into(), buffer.clone(), HashingAlgorithm::Sha256)
        })?;
        Ok(Zeroizing::new(digest.value().to_vec()))
    }

    /// Signs `digest` by ECDSA with SHA-256 and the key of `spec`, by TPM2_Sign.
    pub(super) fn sign(
        &mut self,
        spec: &KeySpec,
        digest: &[u8; 32],
    ) -> Result<ecdsa::Signature, TpmError> {
        let failed = |error| describe(SIGN, error);
        let digest = Digest::try_from(digest.to_vec()).map_err(failed)?;
        let scheme = SignatureScheme::EcDsa {
            hash_scheme: HashScheme::new(HashingAlgorithm::Sha256),
        };
        // An unrestricted key may sign digests that the TPM has not computed itself (TPM 2.0 Part 3 section 20.2).
        let no_ticket = HashcheckTicket::try_from(TPMT_TK_HASHCHECK {
            tag: TPM2_ST_HASHCHECK,
            hierarchy: TPM2_RH_NULL,
            digest: Default::default(),
        })
        .map_err(failed)?;
        let signature = self.with_key(SIGN, spec, |context, key| {
            context.sign(key, digest.clone(), scheme, no_ticket.clone())
        })?;
        let Signature::EcDsa(signature) = signature else {
            return Err(not_ecdsa());
        };
        Ok(ecdsa::Signature {
            r: padded(signature.signature_r()).ok_or_else(not_ecdsa)?,
            s: padded(signature.signature_s()).ok_or_else(not_ecdsa)?,
        })
    }

    /// Runs a command that uses `spec`'s key.
    fn with_key<T>(
        &mut self,
        command: &'static str,
        spec: &KeySpec,
        run: impl Fn(&mut Context, KeyHandle) -> tss_esapi::Result<T>,
    ) -> Result<T, TpmError> {
        self.with_retry(|device| {
            let key = device.try_load(spec)?;
            let session = device.session_for(&spec.file.policy)?;
            device.with_context(command, |context| {
                context.execute_with_session(Some(session), |context| run(context, key))
            })
        })
    }

    fn with_retry<T>(
        &mut self,
        run: impl Fn(&mut Self) -> Result<T, Attempt>,
    ) -> Result<T, TpmError> {
        Ok(match run(self) {
            Err(Attempt::Stale) => run(self)?,
            result => result?,
        })
    }
}

fn not_ecdsa() -> TpmError {
    TpmError::Stack {
        command: SIGN,
        reason: "the response is not an ECDSA signature on P-256".to_owned(),
    }
}

const SIGN: &str = "TPM2_Sign";
