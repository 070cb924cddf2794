use super::{
    TpmError,
    device::{Device, Settings},
    lane::{self, Job, Request},
};
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};
use tokio::sync::oneshot;

/// The queue of the threads that talk to the TPM. When it is dropped, the threads flush the TPM and end.
pub(super) struct Worker {
    requests: mpsc::Sender<Request>,
    next_key: AtomicU64,
}

impl Worker {
    /// Starts the watching thread. Performs no I/O.
    pub(super) fn start(settings: Settings) -> Result<Self, TpmError> {
        let settings = Arc::new(settings);
        let (requests, queue) = mpsc::channel();
        thread::Builder::new()
            .name("chanbind-tpm-watch".to_owned())
            .spawn(move || lane::serve(&settings, &queue))
            .map_err(|error| TpmError::Stack {
                command: "the start of a worker thread",
                reason: error.to_string(),
            })?;
        Ok(Self {
            requests,
            next_key: AtomicU64::new(0),
        })
    }

    /// Returns an identifier for a key, which no other key of this worker has.
    pub(super) fn next_key_id(&self) -> u64 {
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }

    /// Queues a job and waits for its result.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Device) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, TpmError> {
        let (reply, receiver) = oneshot::channel();
        self.submit(ReplySender::Async(reply), job);
        receiver.await.map_err(|_| TpmError::Closed)?
    }

    /// Queues a job and waits for its result on the calling thread.
    pub(super) fn run_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Device) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, TpmError> {
        let (reply, receiver) = mpsc::sync_channel(1);
        self.submit(ReplySender::Blocking(reply), job);
        receiver.recv().map_err(|_| TpmError::Closed)?
    }

    /// Queues a job without waiting for its result.
    pub(super) fn send(&self, job: impl FnOnce(&mut Device) + Send + 'static) {
        let _ = self.requests.send(Request::Run(unanswered(job)));
    }

    /// Closes the device and ends the thread that talks to it. Returns at the end of the thread, or when it is stuck in a call. The
    /// next job starts another thread.
    pub(super) async fn close(&self) {
        let (ended, end) = oneshot::channel::<Infallible>();
        self.send_close(ended);
        let _ = end.await;
    }

    /// Does the same as [`Worker::close`] on the calling thread.
    pub(super) fn close_blocking(&self) {
        let (ended, end) = mpsc::channel::<Infallible>();
        self.send_close(ended);
        let _ = end.recv();
    }

    fn send_close(&self, ended: impl Send + 'static) {
        let _ = self
            .requests
            .send(Request::Close(unanswered(Device::close), Box::new(ended)));
    }

    /// Queues a job that delivers its result to `reply`, unless its time limit passes first.
    fn submit<T: Send + 'static>(
        &self,
        reply: ReplySender<T>,
        job: impl FnOnce(&mut Device) -> Result<T, TpmError> + Send + 'static,
    ) {
        // The job and its time limit share the sender; the first of them takes it.
        let reply = Arc::new(Mutex::new(Some(reply)));
        let take = |reply: &Mutex<Option<ReplySender<T>>>| {
            let mut reply = reply.lock().unwrap_or_else(PoisonError::into_inner);
            reply.take()
        };
        let for_expiry = Arc::clone(&reply);
        let _ = self.requests.send(Request::Run(Job {
            run: Box::new(move |device| {
                // Skip the job if its caller has stopped waiting.
                let is_waited_for = reply
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .as_ref()
                    .is_some_and(ReplySender::is_waited_for);
                if is_waited_for {
                    let result = job(device);
                    if let Some(reply) = take(&reply) {
                        reply.send(result);
                    }
                }
            }),
            expire: Box::new(move |error| {
                if let Some(reply) = take(&for_expiry) {
                    reply.send(Err(error));
                }
            }),
        }));
    }
}

/// A job without a result.
fn unanswered(job: impl FnOnce(&mut Device) + Send + 'static) -> Job {
    Job {
        run: Box::new(job),
        expire: Box::new(|_| ()),
    }
}

/// The channel on which the caller of a job waits for its result.
enum ReplySender<T> {
    Async(oneshot::Sender<Result<T, TpmError>>),
    Blocking(mpsc::SyncSender<Result<T, TpmError>>),
}

impl<T> ReplySender<T> {
    fn is_waited_for(&self) -> bool {
        match self {
            Self::Async(sender) => !sender.is_closed(),
            Self::Blocking(_) => true,
        }
    }

    fn send(self, result: Result<T, TpmError>) {
        match self {
            Self::Async(sender) => drop(sender.send(result)),
            Self::Blocking(sender) => drop(sender.send(result)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, sync::atomic::AtomicBool, time::Duration};

    /// Data of a thread that takes time to free, as that of a cryptographic library.
    struct Slow(Arc<AtomicBool>);

    impl Drop for Slow {
        fn drop(&mut self) {
            thread::sleep(Duration::from_millis(200));
            self.0.store(true, Ordering::SeqCst);
        }
    }

    thread_local! {
        static SLOW: RefCell<Option<Slow>> = const { RefCell::new(None) };
    }

    #[test]
    fn the_thread_has_ended_when_the_worker_is_closed() {
        let worker = Worker::start(Settings {
            tcti: "none".to_owned(),
            parent_name: None,
            hierarchy_auth: None,
            command_limit: None,
        })
        .unwrap();
        for _ in 0..2 {
            let freed = Arc::new(AtomicBool::new(false));
            let slow = Slow(Arc::clone(&freed));
            worker
                .run_blocking(|_| {
                    SLOW.set(Some(slow));
                    Ok(())
                })
                .unwrap();
            worker.close_blocking();
            assert!(freed.load(Ordering::SeqCst));
        }
        worker.close_blocking();
    }
}
