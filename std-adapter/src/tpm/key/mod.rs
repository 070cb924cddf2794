//! Keys that are loaded in a TPM for use by a program, and the parts that all kinds of keys share.

mod hmac;
mod signing;

pub(super) use signing::parameters as signing_parameters;
pub use {
    hmac::{MAX_HMAC_INPUT, TpmKey},
    signing::TpmSigningKey,
};

use super::{KeyFile, TpmError, device::Device, worker::Tpm};
use std::{fmt, sync::Arc};
use tss_esapi::{
    structures::{Auth as TssAuth, Private, Public, PublicBuffer},
    traits::UnMarshall,
};

/// The password of a key or hierarchy, of at most [`Auth::MAX_LEN`] bytes. It is zeroized when dropped.
pub struct Auth(TssAuth);

impl Auth {
    /// The maximum length of a password, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Creates a password from its bytes. Trailing zero bytes are removed.
    ///
    /// # Errors
    /// Returns [`TpmError::AuthLength`] if the password is longer than [`Auth::MAX_LEN`] bytes.
    pub fn new(password: &[u8]) -> Result<Self, TpmError> {
        let too_long = TpmError::AuthLength {
            actual: password.len(),
            max: Self::MAX_LEN,
        };
        if password.len() > Self::MAX_LEN {
            return Err(too_long);
        }
        // A TPM removes trailing zeroes from a password (TPM 2.0 Part 1 section 19.6.4.3). Do the same here, to compute the same
        // HMAC.
        let end = password
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        TssAuth::try_from(&password[..end])
            .map(Self)
            .map_err(|_| too_long)
    }

    pub(super) fn into_inner(self) -> TssAuth {
        self.0
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth(hidden)")
    }
}

/// All data for loading a key, as often as it is evicted. `id` is unique within a worker.
pub(super) struct KeySpec {
    pub(super) id: u64,
    pub(super) file: KeyFile,
    pub(super) public: Public,
    pub(super) private: Private,
    pub(super) auth: Option<TssAuth>,
}

impl KeySpec {
    /// Parses the public and private parts of a key file.
    pub(super) fn new(id: u64, file: KeyFile, auth: Option<Auth>) -> Result<Self, TpmError> {
        let damaged = |_| TpmError::KeyFile(super::KeyFileError::Blob);
        let public = Public::try_from(PublicBuffer::unmarshall(&file.public).map_err(damaged)?)
            .map_err(damaged)?;
        let private =
            Private::try_from(file.private.get(2..).unwrap_or_default()).map_err(damaged)?;
        Ok(Self {
            id,
            file,
            public,
            private,
            auth: auth.map(Auth::into_inner),
        })
    }
}

/// A key that the program holds. Dropping it flushes the key from the TPM.
struct LoadedKey {
    spec: Arc<KeySpec>,
    tpm: Tpm,
}

impl LoadedKey {
    /// Loads a key, to check that the TPM can use it.
    async fn new(spec: KeySpec, tpm: Tpm) -> Result<Arc<Self>, TpmError> {
        let loaded = Self {
            spec: Arc::new(spec),
            tpm,
        };
        loaded.run(Device::load).await?;
        Ok(Arc::new(loaded))
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Device, &KeySpec) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, TpmError> {
        let spec = Arc::clone(&self.spec);
        self.tpm.run(move |device| job(device, &spec)).await
    }

    fn run_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Device, &KeySpec) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, TpmError> {
        let spec = Arc::clone(&self.spec);
        self.tpm.run_blocking(move |device| job(device, &spec))
    }
}

impl Drop for LoadedKey {
    fn drop(&mut self) {
        let id = self.spec.id;
        self.tpm.send(move |device| device.unload(id));
    }
}
