use super::{
    Auth, KeyFile, KeyOptions, Parent, TpmError, TpmKey, TpmName, TpmSigningKey,
    device::{Device, Settings},
    key::KeySpec,
    lane::{self, Job},
    provision,
};
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// A TPM, and the thread that talks to it. Cloning gives another handle to the same thread; when the last handle and the last
/// key are dropped, the thread flushes what is left in the TPM and ends. A second thread keeps its time limits.
#[derive(Clone)]
pub struct Tpm {
    worker: Arc<Worker>,
}

struct Worker {
    jobs: mpsc::Sender<Job>,
    next_key: AtomicU64,
}

/// Options for opening a TPM.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// The name that the parent key must have; another one is [`TpmError::ParentName`]. Without it, an attacker between this
    /// program and the TPM can put a key of their own in the parent's place and read along.
    pub parent_name: Option<TpmName>,
    /// The password of the hierarchy that parents are made in.
    pub hierarchy_auth: Option<Auth>,
    /// A time limit for every command, where the ones by kind are longer: 15 seconds to connect, 300 to create a key, 60 for others. A TPM
    /// that does not keep it is [`TpmError::TimedOut`]; the next use connects anew.
    pub command_limit: Option<Duration>,
}

impl Tpm {
    /// Connects to the TPM behind a TCTI: `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321`, `mssim:...`, `tabrmd`.
    ///
    /// # Errors
    /// [`TpmError::Tcti`], [`TpmError::NotFound`], [`TpmError::NoPermission`], [`TpmError::Busy`], [`TpmError::NoTpm`],
    /// [`TpmError::TimedOut`]
    pub async fn open(tcti: &str, options: OpenOptions) -> Result<Self, TpmError> {
        let tpm = Self::start(tcti, options)?;
        tpm.run(Device::connect).await?;
        Ok(tpm)
    }

    /// As [`Tpm::open`], for callers without an executor.
    ///
    /// # Errors
    /// [`TpmError::Tcti`], [`TpmError::NotFound`], [`TpmError::NoPermission`], [`TpmError::Busy`], [`TpmError::NoTpm`],
    /// [`TpmError::TimedOut`]
    pub fn open_blocking(tcti: &str, options: OpenOptions) -> Result<Self, TpmError> {
        let tpm = Self::start(tcti, options)?;
        tpm.run_blocking(Device::connect)?;
        Ok(tpm)
    }

    /// The name of a parent key: what to pin when a device is provisioned.
    ///
    /// # Errors
    /// [`TpmError`]
    pub async fn parent_name(&self, parent: Parent) -> Result<TpmName, TpmError> {
        self.run(move |device| Ok(device.parent(parent)?.name))
            .await
    }

    /// Loads an HMAC key, and so finds out whether this TPM can use it. A password of `None` is the empty one.
    ///
    /// # Errors
    /// [`TpmError::ForeignKey`] for a key of another TPM, [`TpmError::NotHmacKey`], [`TpmError::ParentName`], and others.
    pub async fn load(&self, file: KeyFile, auth: Option<Auth>) -> Result<TpmKey, TpmError> {
        TpmKey::load(self.spec(file, auth)?, self.clone()).await
    }

    /// Loads a signing key, and so finds out whether this TPM can use it. A password of `None` is the empty one.
    ///
    /// # Errors
    /// [`TpmError::ForeignKey`] for a key of another TPM, [`TpmError::NotSigningKey`], [`TpmError::ParentName`], and others.
    pub async fn load_signing_key(
        &self,
        file: KeyFile,
        auth: Option<Auth>,
    ) -> Result<TpmSigningKey, TpmError> {
        TpmSigningKey::load(self.spec(file, auth)?, self.clone()).await
    }

    /// Wraps an HMAC-SHA256 key that exists in software, 1 to [`super::MAX_SECRET_LEN`] bytes, for this TPM.
    ///
    /// The key crosses the bus under an outer wrapper: encrypted to the parent's public key.
    ///
    /// # Errors
    /// [`TpmError::SecretLength`] and others.
    pub async fn import_hmac_key(
        &self,
        secret: &[u8],
        options: KeyOptions,
    ) -> Result<KeyFile, TpmError> {
        let secret = Zeroizing::new(secret.to_vec());
        self.run(move |device| provision::import(device, &secret, options))
            .await
    }

    /// Makes an HMAC-SHA256 key inside the TPM. It never leaves it: who verifies needs this TPM too.
    ///
    /// # Errors
    /// [`TpmError`]
    pub async fn create_hmac_key(&self, options: KeyOptions) -> Result<KeyFile, TpmError> {
        self.run(move |device| provision::create(device, provision::hmac_key(), options))
            .await
    }

    /// Makes an ECDSA key on P-256 inside the TPM, which signs SHA-256 digests and nothing else. It never leaves it; firmware
    /// takes it too.
    ///
    /// # Errors
    /// [`TpmError`]
    pub async fn create_signing_key(&self, options: KeyOptions) -> Result<KeyFile, TpmError> {
        self.run(move |device| provision::create(device, provision::signing_key(), options))
            .await
    }

    /// Flushes everything that this handle's thread has in the TPM, and disconnects. The next use connects again.
    ///
    /// A bare TPM such as swtpm serves one program at a time: close before another one's turn.
    pub async fn close(&self) {
        // It fails only if the worker has ended, and then nothing is open.
        let _ = self
            .run(|device| {
                device.close();
                Ok(())
            })
            .await;
    }

    fn spec(&self, file: KeyFile, auth: Option<Auth>) -> Result<KeySpec, TpmError> {
        KeySpec::new(
            self.worker.next_key.fetch_add(1, Ordering::Relaxed),
            file,
            auth,
        )
    }

    fn start(tcti: &str, options: OpenOptions) -> Result<Self, TpmError> {
        let settings = Arc::new(Settings {
            tcti: tcti.to_owned(),
            parent_name: options.parent_name,
            hierarchy_auth: options.hierarchy_auth.map(Auth::into_inner),
            command_limit: options.command_limit,
        });
        let (jobs, queue) = mpsc::channel::<Job>();
        thread::Builder::new()
            .name("chanbind-tpm-watch".to_owned())
            .spawn(move || lane::serve(&settings, &queue))
            .map_err(|error| TpmError::Stack {
                command: "a worker thread",
                reason: error.to_string(),
            })?;
        Ok(Self {
            worker: Arc::new(Worker {
                jobs,
                next_key: AtomicU64::new(0),
            }),
        })
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Device) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, TpmError> {
        let (answer, receiver) = oneshot::channel();
        self.submit(Answer::Async(answer), job);
        receiver.await.map_err(|_| TpmError::Closed)?
    }

    pub(super) fn run_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Device) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, TpmError> {
        let (answer, receiver) = mpsc::sync_channel(1);
        self.submit(Answer::Blocking(answer), job);
        receiver.recv().map_err(|_| TpmError::Closed)?
    }

    /// Has a job done whose result is not waited for.
    pub(super) fn send(&self, job: impl FnOnce(&mut Device) + Send + 'static) {
        let _ = self.worker.jobs.send(Job {
            run: Box::new(job),
            expire: Box::new(|_| ()),
        });
    }

    fn submit<T: Send + 'static>(
        &self,
        answer: Answer<T>,
        job: impl FnOnce(&mut Device) -> Result<T, TpmError> + Send + 'static,
    ) {
        // Whichever comes first answers: the job, or its time limit.
        let answer = Arc::new(Mutex::new(Some(answer)));
        let take = |answer: &Mutex<Option<Answer<T>>>| {
            let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
            answer.take()
        };
        let late = Arc::clone(&answer);
        let _ = self.worker.jobs.send(Job {
            run: Box::new(move |device| {
                // A job whose caller has given up is not worth doing.
                let is_waited_for = answer
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .as_ref()
                    .is_some_and(Answer::is_waited_for);
                if is_waited_for {
                    let result = job(device);
                    if let Some(answer) = take(&answer) {
                        answer.give(result);
                    }
                }
            }),
            expire: Box::new(move |error| {
                if let Some(answer) = take(&late) {
                    answer.give(Err(error));
                }
            }),
        });
    }
}

/// The way back to a caller.
enum Answer<T> {
    Async(oneshot::Sender<Result<T, TpmError>>),
    Blocking(mpsc::SyncSender<Result<T, TpmError>>),
}

impl<T> Answer<T> {
    fn is_waited_for(&self) -> bool {
        match self {
            Self::Async(sender) => !sender.is_closed(),
            Self::Blocking(_) => true,
        }
    }

    fn give(self, result: Result<T, TpmError>) {
        match self {
            Self::Async(sender) => drop(sender.send(result)),
            Self::Blocking(sender) => drop(sender.send(result)),
        }
    }
}

impl fmt::Debug for Tpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tpm")
    }
}
