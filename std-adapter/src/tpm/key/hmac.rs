use super::{KeySpec, Loaded};
use crate::tpm::{KeyFile, TpmError, worker::Tpm};
use chanbind_core::kdf::{AsyncPrf, Prf, PrfInput};
use std::{fmt, sync::Arc};
use tss_esapi::structures::{KeyedHashScheme, Public, PublicKeyedHashParameters};
use zeroize::Zeroizing;

/// The most bytes that one TPM2_HMAC takes.
pub const MAX_HMAC_INPUT: usize = 1024;

/// An HMAC-SHA256 key in a TPM: core's PRF. The last clone to be dropped flushes it.
///
/// It may be evicted from the TPM's few slots and loaded again when it is used; that does not show.
#[derive(Clone)]
pub struct TpmKey {
    loaded: Arc<Loaded>,
}

impl TpmKey {
    /// Loads a key.
    pub(in crate::tpm) async fn load(spec: KeySpec, tpm: Tpm) -> Result<Self, TpmError> {
        check(&spec.public)?;
        Ok(Self {
            loaded: Loaded::new(spec, tpm).await?,
        })
    }

    /// HMAC-SHA256 over `data`, at most [`MAX_HMAC_INPUT`] bytes: 32 bytes.
    ///
    /// # Errors
    /// [`TpmError`]
    pub async fn hmac(&self, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let data = short_enough(data)?;
        self.loaded
            .run(move |device, spec| device.hmac(spec, &data))
            .await
    }

    /// As [`TpmKey::hmac`], for callers without an executor: waits on the calling thread.
    ///
    /// # Errors
    /// [`TpmError`]
    pub fn hmac_blocking(&self, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let data = short_enough(data)?;
        self.loaded
            .run_blocking(move |device, spec| device.hmac(spec, &data))
    }

    /// The file that the key came from.
    #[must_use]
    pub fn file(&self) -> &KeyFile {
        &self.loaded.spec.file
    }
}

impl fmt::Debug for TpmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TpmKey({})", self.loaded.spec.file.parent)
    }
}

impl AsyncPrf for TpmKey {
    type Error = TpmError;

    fn output_len(&self) -> usize {
        32
    }

    async fn compute(&mut self, input: &PrfInput<'_>, out: &mut [u8]) -> Result<(), TpmError> {
        let answer = self.hmac(&gather(input)).await?;
        give(&answer, out)
    }
}

/// Waits on the calling thread for the TPM: not for async code.
impl Prf for TpmKey {
    type Error = TpmError;

    fn output_len(&self) -> usize {
        32
    }

    fn compute(&mut self, input: &PrfInput<'_>, out: &mut [u8]) -> Result<(), TpmError> {
        let answer = self.hmac_blocking(&gather(input))?;
        give(&answer, out)
    }
}

fn short_enough(data: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
    if data.len() > MAX_HMAC_INPUT {
        return Err(TpmError::DataTooLong {
            actual: data.len(),
            max: MAX_HMAC_INPUT,
        });
    }
    Ok(Zeroizing::new(data.to_vec()))
}

/// HMAC with SHA-256, or without a scheme, which leaves the choice to the command.
fn check(public: &Public) -> Result<(), TpmError> {
    match public {
        Public::KeyedHash {
            object_attributes,
            parameters,
            ..
        } if object_attributes.sign_encrypt()
            && [KeyedHashScheme::HMAC_SHA_256, KeyedHashScheme::Null]
                .map(PublicKeyedHashParameters::new)
                .contains(parameters) =>
        {
            Ok(())
        }
        _ => Err(TpmError::NotHmacKey),
    }
}

fn gather(input: &PrfInput<'_>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(input.parts().concat())
}

fn give(answer: &[u8], out: &mut [u8]) -> Result<(), TpmError> {
    if answer.len() != out.len() {
        return Err(TpmError::NotHmacKey);
    }
    out.copy_from_slice(answer);
    Ok(())
}
