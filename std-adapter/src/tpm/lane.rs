//! The threads behind a [`super::Tpm`]: a command thread (a lane), which talks to the TPM, and a watching thread, which enforces
//! time limits.
//!
//! The TPM software stack waits for a TPM without a time limit. Each command therefore has a limit here, depending on its kind.
//! When the limit has passed, the caller of the job gets an error and the stuck thread is abandoned. It ends as soon as its call
//! returns, and the next job gets a new thread with a connection of its own. Until then jobs fail at once, because many TPMs
//! serve one connection at a time and a new connection would only wait again. After a minute a new connection is tried
//! nevertheless, until [`MAX_STUCK`] threads are stuck.

use super::{
    TpmError,
    device::{Device, Settings},
    watch::{JOB, Watch},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// A piece of work for the command thread.
pub(super) struct Job {
    pub(super) run: Work,
    /// Reports to the caller that the job was not completed.
    pub(super) expire: Box<dyn FnOnce(TpmError) + Send>,
}

/// A request to the watching thread.
pub(super) enum Request {
    Run(Job),
    /// Ends the command thread after this job. The last field is dropped when the thread has ended, and tells the caller so.
    Close(Job, Box<dyn Send>),
}

type Work = Box<dyn FnOnce(&mut Device) + Send>;

/// Serves requests until the last sender is dropped. This is the main function of the watching thread.
pub(super) fn serve(settings: &Arc<Settings>, queue: &mpsc::Receiver<Request>) {
    let stuck = Arc::new(StuckThreads::default());
    let mut lane: Option<Lane> = None;
    while let Ok(request) = queue.recv() {
        let job = match request {
            Request::Run(job) => job,
            Request::Close(job, _ended) => {
                if let Some(open) = lane.take().and_then(|open| open.serve(job, settings)) {
                    open.end();
                }
                continue;
            }
        };
        let open = match lane.take() {
            Some(open) => open,
            None => match Lane::start(settings, &stuck) {
                Ok(open) => open,
                Err(error) => {
                    (job.expire)(error);
                    continue;
                }
            },
        };
        lane = open.serve(job, settings);
    }
}

/// A command thread, which talks to the TPM.
struct Lane {
    jobs: mpsc::Sender<Work>,
    done: mpsc::Receiver<()>,
    thread: JoinHandle<()>,
    watch: Watch,
    stuck: Arc<StuckThreads>,
    end: Arc<ThreadEnd>,
}

/// The command threads that are stuck in a call.
#[derive(Default)]
struct StuckThreads {
    count: AtomicUsize,
    /// The time at which the last one was abandoned.
    since: Mutex<Option<Instant>>,
}

impl StuckThreads {
    fn add(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Returns whether another connection may be tried.
    fn allows_another(&self) -> bool {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        match self.count.load(Ordering::Acquire) {
            0 => true,
            1..MAX_STUCK => since.is_none_or(|since| since.elapsed() >= BEFORE_ANOTHER),
            _ => false,
        }
    }
}

/// The state of a command thread's end, which may come while the watching thread abandons it.
#[derive(Default)]
struct ThreadEnd {
    has_ended: AtomicBool,
    /// True while the thread counts as stuck.
    is_counted: AtomicBool,
}

impl ThreadEnd {
    /// Removes the thread from the count of stuck threads, if it is counted.
    fn uncount(&self, stuck: &StuckThreads) {
        if self.is_counted.swap(false, Ordering::SeqCst) {
            stuck.count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// A guard that a command thread owns. It records the end of the thread, also after a panic.
struct ThreadGuard(Arc<StuckThreads>, Arc<ThreadEnd>);

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        let Self(stuck, end) = self;
        end.has_ended.store(true, Ordering::SeqCst);
        end.uncount(stuck);
    }
}

impl Lane {
    fn start(settings: &Arc<Settings>, stuck: &Arc<StuckThreads>) -> Result<Self, TpmError> {
        let watch = Watch::new(settings.command_limit);
        if !stuck.allows_another() {
            return Err(TpmError::Silent {
                tcti: settings.tcti.clone(),
            });
        }
        let (jobs, queue) = mpsc::channel::<Work>();
        let (completed, done) = mpsc::channel();
        let device = Device::new(Arc::clone(settings), watch.clone());
        let end = Arc::new(ThreadEnd::default());
        let guard = ThreadGuard(Arc::clone(stuck), Arc::clone(&end));
        let thread = thread::Builder::new()
            .name("chanbind-tpm".to_owned())
            .spawn(move || {
                // Dropped after the device, so that a stuck thread counts until it has flushed its objects from the TPM.
                let _guard = guard;
                let mut device = device;
                while let Ok(job) = queue.recv() {
                    job(&mut device);
                    if completed.send(()).is_err() {
                        break;
                    }
                }
                drop(device);
            })
            .map_err(|error| TpmError::Stack {
                command: "the start of a worker thread",
                reason: error.to_string(),
            })?;
        Ok(Self {
            jobs,
            done,
            thread,
            watch,
            stuck: Arc::clone(stuck),
            end,
        })
    }

    /// Ends the thread of a closed device, and waits for its end, which nothing delays.
    ///
    /// The cryptographic library of the TPM software stack frees the thread's data when the thread ends. If the process ended at
    /// the same time, that library would be freed first and the process would crash.
    fn end(self) {
        drop(self.jobs);
        let _ = self.thread.join();
    }

    /// Runs a job. Returns the lane unless it is stuck or has ended.
    fn serve(self, job: Job, settings: &Settings) -> Option<Self> {
        self.watch.begin(JOB);
        if self.jobs.send(job.run).is_err() {
            (job.expire)(TpmError::Closed);
            return None;
        }
        loop {
            match self.done.recv_timeout(self.watch.remaining()) {
                Ok(()) => return Some(self),
                Err(RecvTimeoutError::Disconnected) => {
                    (job.expire)(TpmError::Closed);
                    return None;
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(command) = self.watch.overdue() {
                        self.stuck.add();
                        self.end.is_counted.store(true, Ordering::SeqCst);
                        if self.end.has_ended.load(Ordering::SeqCst) {
                            self.end.uncount(&self.stuck);
                        }
                        (job.expire)(TpmError::TimedOut {
                            tcti: settings.tcti.clone(),
                            command,
                            seconds: self.watch.limit(command).as_secs_f32(),
                        });
                        return None;
                    }
                }
            }
        }
    }
}

/// The time to wait for a stuck thread before another connection is tried.
const BEFORE_ANOTHER: Duration = Duration::from_secs(60);
/// The number of stuck threads at which no further thread is started.
const MAX_STUCK: usize = 4;
