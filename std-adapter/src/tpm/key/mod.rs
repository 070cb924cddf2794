//! Keys that are loaded in a TPM for use by a program, and the parts that all kinds of keys share.

mod hmac;
mod signing;

pub use {
    hmac::{MAX_HMAC_INPUT, TpmKey},
    signing::TpmSigningKey,
};

use super::{TpmError, device::Device, key_spec::KeySpec, worker::Worker};
use std::sync::Arc;

/// A key that the program holds. Dropping it flushes the key from the TPM.
struct LoadedKey {
    spec: Arc<KeySpec>,
    worker: Arc<Worker>,
}

impl LoadedKey {
    /// Loads a key, to check that the TPM can use it.
    async fn new(spec: KeySpec, worker: Arc<Worker>) -> Result<Arc<Self>, TpmError> {
        let loaded = Self {
            spec: Arc::new(spec),
            worker,
        };
        loaded.run(Device::load).await?;
        Ok(Arc::new(loaded))
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Device, &KeySpec) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, TpmError> {
        let spec = Arc::clone(&self.spec);
        self.worker.run(move |device| job(device, &spec)).await
    }

    fn run_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Device, &KeySpec) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, TpmError> {
        let spec = Arc::clone(&self.spec);
        self.worker.run_blocking(move |device| job(device, &spec))
    }
}

impl Drop for LoadedKey {
    fn drop(&mut self) {
        let id = self.spec.id;
        self.worker.send(move |device| device.unload(id));
    }
}
