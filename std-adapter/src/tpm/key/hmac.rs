use super::LoadedKey;
use crate::tpm::{KeyFile, TpmError, key_spec::KeySpec, worker::Worker};
use chanbind_core::kdf::{Prf, PrfInput};
use std::{fmt, sync::Arc};
use tss_esapi::structures::{KeyedHashScheme, Public, PublicKeyedHashParameters};
use zeroize::Zeroizing;

/// The maximum length of the input of one TPM2_HMAC command, in bytes.
pub const MAX_HMAC_INPUT: usize = 1024;

/// An HMAC-SHA256 key in a TPM, which implements [`KeyHolder`](crate::proof::KeyHolder) and [`Prf`]. Dropping the last clone flushes the key from the TPM.
///
/// The key may be evicted from the TPM to make room for another one. It is loaded again when it is used.
#[derive(Clone)]
pub struct TpmKey {
    loaded: Arc<LoadedKey>,
}

impl TpmKey {
    /// Loads a key, after checking its type.
    pub(in crate::tpm) async fn load(spec: KeySpec, worker: Arc<Worker>) -> Result<Self, TpmError> {
        check_type(&spec.public)?;
        Ok(Self {
            loaded: LoadedKey::new(spec, worker).await?,
        })
    }

    /// Computes HMAC-SHA256 of `data`, which has at most [`MAX_HMAC_INPUT`] bytes. Returns 32 bytes.
    ///
    /// # Errors
    /// Returns [`TpmError::DataTooLong`] if `data` is too long, [`TpmError::WrongAuth`] or [`TpmError::LockedOut`] if the TPM
    /// rejects the key's password, [`TpmError::PolicyFailed`] if the key's policy is not satisfied, and other errors if a command
    /// fails.
    pub async fn hmac(&self, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let data = check_len(data)?;
        self.loaded
            .run(move |device, spec| device.hmac(spec, &data))
            .await
    }

    /// Does the same as [`TpmKey::hmac`] for callers without an executor: blocks the calling thread.
    ///
    /// # Errors
    /// Returns the errors of [`TpmKey::hmac`].
    pub fn hmac_blocking(&self, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let data = check_len(data)?;
        self.loaded
            .run_blocking(move |device, spec| device.hmac(spec, &data))
    }

    /// Returns the key file from which the key was loaded.
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

impl Prf for TpmKey {
    type Error = TpmError;

    fn output_len(&self) -> usize {
        32
    }

    fn compute(&mut self, input: &PrfInput<'_>, out: &mut [u8]) -> Result<(), TpmError> {
        let mac = self.hmac_blocking(&concatenate(input))?;
        copy_output(&mac, out)
    }
}

fn check_len(data: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
    if data.len() > MAX_HMAC_INPUT {
        return Err(TpmError::DataTooLong {
            actual: data.len(),
            max: MAX_HMAC_INPUT,
        });
    }
    Ok(Zeroizing::new(data.to_vec()))
}

/// Checks that a key is for HMAC-SHA256, or has no scheme, which leaves the choice to the command.
fn check_type(public: &Public) -> Result<(), TpmError> {
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

fn concatenate(input: &PrfInput<'_>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(input.parts().concat())
}

fn copy_output(mac: &[u8], out: &mut [u8]) -> Result<(), TpmError> {
    if mac.len() != out.len() {
        return Err(TpmError::NotHmacKey);
    }
    out.copy_from_slice(mac);
    Ok(())
}
