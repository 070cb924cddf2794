use super::{
    Auth, KeyFile, KeyOptions, Parent, TpmError, TpmKey, TpmName, TpmSigningKey,
    device::{Device, Settings},
    key_spec::KeySpec,
    provision,
    worker::Worker,
};
use std::{fmt, sync::Arc, time::Duration};
use zeroize::Zeroizing;

/// A handle to a TPM and to the thread that talks to it.
///
/// A clone is another handle to the same thread. When the last handle and the last key are dropped, the thread flushes all
/// objects and sessions that it still has in the TPM, and ends. A second thread enforces the time limits.
#[derive(Clone)]
pub struct Tpm {
    worker: Arc<Worker>,
}

/// Options for opening a TPM.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// The name that parent keys must have; a parent key with another name is rejected with [`TpmError::ParentName`]. If it is
    /// `None`, an attacker between this program and the TPM can replace the parent by a key of their own and decrypt what is
    /// sent.
    pub parent_name: Option<TpmName>,
    /// The password of the hierarchy in which parent keys are created. `None` is the empty password.
    pub hierarchy_auth: Option<Auth>,
    /// An upper bound on the time limit of every command. The default limits are 15 seconds to connect, 300 seconds to create a
    /// key and 60 seconds for other commands. When a limit has passed, the call fails with [`TpmError::TimedOut`]; the next use
    /// opens a new connection.
    pub command_limit: Option<Duration>,
}

impl Tpm {
    /// Starts the threads and connects to the TPM behind a TCTI string: `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321`,
    /// `mssim:...` or `tabrmd`.
    ///
    /// # Errors
    /// Returns [`TpmError::Tcti`] if the string is invalid; [`TpmError::NotFound`], [`TpmError::NoPermission`],
    /// [`TpmError::Busy`] or [`TpmError::NoTpm`] if the TPM cannot be reached; [`TpmError::TimedOut`] if it does not respond in
    /// time; and [`TpmError::Stack`] if a thread cannot be started.
    pub async fn open(tcti: &str, options: OpenOptions) -> Result<Self, TpmError> {
        let tpm = Self::start(tcti, options)?;
        let connected = tpm.worker.run(Device::connect).await;
        if connected.is_err() {
            tpm.close().await;
        }
        connected.map(|()| tpm)
    }

    /// Does the same as [`Tpm::open`] for callers without an executor: blocks the calling thread.
    ///
    /// # Errors
    /// Returns the errors of [`Tpm::open`].
    pub fn open_blocking(tcti: &str, options: OpenOptions) -> Result<Self, TpmError> {
        let tpm = Self::start(tcti, options)?;
        let connected = tpm.worker.run_blocking(Device::connect);
        if connected.is_err() {
            tpm.worker.close_blocking();
        }
        connected.map(|()| tpm)
    }

    /// Returns the name of a parent key. Pin it when the device is provisioned.
    ///
    /// # Errors
    /// Returns [`TpmError::NoParent`] if there is no key at a persistent handle, [`TpmError::HierarchyAuth`] if the hierarchy's
    /// password is wrong or missing, [`TpmError::ParentName`] if another name was pinned, and other errors if a command fails.
    pub async fn parent_name(&self, parent: Parent) -> Result<TpmName, TpmError> {
        self.worker
            .run(move |device| Ok(device.parent(parent)?.name))
            .await
    }

    /// Loads an HMAC key, to check that this TPM can use it. `auth` is the key's password; `None` is the empty one. A wrong
    /// password is detected only when the key is used.
    ///
    /// # Errors
    /// Returns [`TpmError::NotHmacKey`] if the file holds no HMAC-SHA256 key, [`TpmError::ForeignKey`] if the key belongs to
    /// another TPM, [`TpmError::KeyFile`] if the file is damaged, the errors of [`Tpm::parent_name`], and other errors if a
    /// command fails.
    pub async fn load(&self, file: KeyFile, auth: Option<Auth>) -> Result<TpmKey, TpmError> {
        TpmKey::load(self.spec(file, auth)?, Arc::clone(&self.worker)).await
    }

    /// Loads a signing key, to check that this TPM can use it. `auth` is the key's password; `None` is the empty one. A wrong
    /// password is detected only when the key is used.
    ///
    /// # Errors
    /// Returns [`TpmError::NotSigningKey`] if the file does not hold an ECDSA P-256 key that signs SHA-256 digests,
    /// [`TpmError::ForeignKey`] if the key belongs to another TPM, [`TpmError::KeyFile`] if the file is damaged, the errors of
    /// [`Tpm::parent_name`], and other errors if a command fails.
    pub async fn load_signing_key(
        &self,
        file: KeyFile,
        auth: Option<Auth>,
    ) -> Result<TpmSigningKey, TpmError> {
        TpmSigningKey::load(self.spec(file, auth)?, Arc::clone(&self.worker)).await
    }

    /// Imports an HMAC-SHA256 key that exists in software, so that this TPM can use it. `secret` has 1 to
    /// [`super::MAX_SECRET_LEN`] bytes.
    ///
    /// The key is sent in an outer wrapper, which encrypts it to the parent's public key.
    ///
    /// # Errors
    /// Returns [`TpmError::SecretLength`] if the length of `secret` is out of range, the errors of [`Tpm::parent_name`], and
    /// other errors if a command fails.
    pub async fn import_hmac_key(
        &self,
        secret: &[u8],
        options: KeyOptions,
    ) -> Result<KeyFile, TpmError> {
        let secret = Zeroizing::new(secret.to_vec());
        self.worker
            .run(move |device| provision::import(device, &secret, options))
            .await
    }

    /// Creates an HMAC-SHA256 key inside the TPM. The key never leaves the TPM, so a verifier must use the same TPM.
    ///
    /// # Errors
    /// Returns the errors of [`Tpm::parent_name`], and other errors if a command fails.
    pub async fn create_hmac_key(&self, options: KeyOptions) -> Result<KeyFile, TpmError> {
        self.worker
            .run(move |device| provision::create(device, provision::hmac_key_template(), options))
            .await
    }

    /// Creates an ECDSA P-256 key inside the TPM, which can only sign SHA-256 digests. The key never leaves the TPM. Firmware can
    /// use the key file too.
    ///
    /// # Errors
    /// Returns the errors of [`Tpm::parent_name`], and other errors if a command fails.
    pub async fn create_signing_key(&self, options: KeyOptions) -> Result<KeyFile, TpmError> {
        self.worker
            .run(move |device| {
                provision::create(device, provision::signing_key_template(), options)
            })
            .await
    }

    /// Flushes all objects and sessions that this handle's thread has in the TPM, and disconnects. The next use connects again.
    ///
    /// A TPM without a resource manager, such as swtpm, serves one program at a time: close the handle before another program
    /// uses it.
    ///
    /// Close the last handle before the process ends: when a handle is dropped, its thread ends later, and a process that ends at the
    /// same time may crash in the TPM software stack.
    pub async fn close(&self) {
        self.worker.close().await;
    }

    fn spec(&self, file: KeyFile, auth: Option<Auth>) -> Result<KeySpec, TpmError> {
        KeySpec::new(self.worker.next_key_id(), file, auth)
    }

    fn start(tcti: &str, options: OpenOptions) -> Result<Self, TpmError> {
        let worker = Worker::start(Settings {
            tcti: tcti.to_owned(),
            parent_name: options.parent_name,
            hierarchy_auth: options.hierarchy_auth.map(Auth::into_inner),
            command_limit: options.command_limit,
        })?;
        Ok(Self {
            worker: Arc::new(worker),
        })
    }
}

impl fmt::Debug for Tpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tpm")
    }
}
