//! The threads behind a [`super::Tpm`]: one that talks to the TPM, and one that watches it.
//!
//! The TPM software stack waits for a TPM without limit. Each command therefore has a limit here, by its kind; when it has passed, the job's
//! caller gets an error and the thread that is stuck is left to itself. As soon as it comes back it ends, and the next job gets a new thread
//! with a connection of its own. Until then jobs fail at once, for many a TPM serves one connection at a time and would only be waited for
//! again; after a while a new connection is tried all the same, a few times.

use super::{
    TpmError,
    device::{Device, Settings},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

/// A piece of work for the TPM's thread.
pub(super) struct Job {
    pub(super) run: Work,
    /// Tells the caller that it will not be done.
    pub(super) expire: Box<dyn FnOnce(TpmError) + Send>,
}

type Work = Box<dyn FnOnce(&mut Device) + Send>;

/// Serves jobs until the last sender is gone.
pub(super) fn serve(settings: &Arc<Settings>, queue: &mpsc::Receiver<Job>) {
    let stuck = Arc::new(Stuck::default());
    let mut lane = None;
    while let Ok(job) = queue.recv() {
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

/// The thread that talks to the TPM.
struct Lane {
    jobs: mpsc::Sender<Work>,
    done: mpsc::Receiver<()>,
    watch: Watch,
    stuck: Arc<Stuck>,
    end: Arc<End>,
}

/// The threads that are stuck.
#[derive(Default)]
struct Stuck {
    count: AtomicUsize,
    /// When the last one was given up on.
    since: Mutex<Option<Instant>>,
}

impl Stuck {
    fn add(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Returns whether another connection is worth a try.
    fn allows_another(&self) -> bool {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        match self.count.load(Ordering::Acquire) {
            0 => true,
            1..MAX_STUCK => since.is_none_or(|since| since.elapsed() >= BEFORE_ANOTHER),
            _ => false,
        }
    }
}

/// The end of a thread, which may come while it is being given up on.
#[derive(Default)]
struct End {
    has_come: AtomicBool,
    /// Set while the thread counts as stuck.
    is_counted: AtomicBool,
}

impl End {
    /// Takes the thread out of the count, once.
    fn take_back(&self, stuck: &Stuck) {
        if self.is_counted.swap(false, Ordering::SeqCst) {
            stuck.count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Lives as long as a thread, also if that ends by a panic.
struct Counted(Arc<Stuck>, Arc<End>);

impl Drop for Counted {
    fn drop(&mut self) {
        let Self(stuck, end) = self;
        end.has_come.store(true, Ordering::SeqCst);
        end.take_back(stuck);
    }
}

impl Lane {
    fn start(settings: &Arc<Settings>, stuck: &Arc<Stuck>) -> Result<Self, TpmError> {
        let watch = Watch::new(settings.command_limit);
        if !stuck.allows_another() {
            return Err(TpmError::Silent {
                tcti: settings.tcti.clone(),
            });
        }
        let (jobs, queue) = mpsc::channel::<Work>();
        let (answer, done) = mpsc::channel();
        let device = Device::new(Arc::clone(settings), watch.clone());
        let end = Arc::new(End::default());
        let counted = Counted(Arc::clone(stuck), Arc::clone(&end));
        thread::Builder::new()
            .name("chanbind-tpm".to_owned())
            .spawn(move || {
                // Dropped last, when what a job that was given up has left in the TPM is gone too.
                let _counted = counted;
                let mut device = device;
                while let Ok(job) = queue.recv() {
                    job(&mut device);
                    if answer.send(()).is_err() {
                        break;
                    }
                }
                drop(device);
            })
            .map_err(|error| TpmError::Stack {
                command: "a worker thread",
                reason: error.to_string(),
            })?;
        Ok(Self {
            jobs,
            done,
            watch,
            stuck: Arc::clone(stuck),
            end,
        })
    }

    /// Has a job done. Returns the lane unless it is stuck or has ended.
    fn serve(self, job: Job, settings: &Settings) -> Option<Self> {
        self.watch.begin(JOB);
        if self.jobs.send(job.run).is_err() {
            (job.expire)(TpmError::Closed);
            return None;
        }
        loop {
            match self.done.recv_timeout(self.watch.left()) {
                Ok(()) => return Some(self),
                Err(RecvTimeoutError::Disconnected) => {
                    (job.expire)(TpmError::Closed);
                    return None;
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(command) = self.watch.overdue() {
                        self.stuck.add();
                        self.end.is_counted.store(true, Ordering::SeqCst);
                        if self.end.has_come.load(Ordering::SeqCst) {
                            self.end.take_back(&self.stuck);
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

/// The command that is under way, and until when it may take.
#[derive(Clone)]
pub(super) struct Watch {
    now: Arc<Mutex<(Instant, &'static str)>>,
    at_most: Option<Duration>,
}

impl Watch {
    pub(super) fn new(at_most: Option<Duration>) -> Self {
        Self {
            now: Arc::new(Mutex::new((Instant::now(), JOB))),
            at_most,
        }
    }

    /// A command begins.
    pub(super) fn begin(&self, command: &'static str) {
        let end = Instant::now() + self.limit(command);
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = (end, command);
    }

    fn limit(&self, command: &str) -> Duration {
        let limit = match command {
            // RSA keys take some chips that long; other keys far less.
            "TPM2_CreatePrimary" | "TPM2_Create" => Duration::from_secs(300),
            CONNECT => Duration::from_secs(15),
            // A resource manager may serve another program's command first.
            _ => Duration::from_secs(60),
        };
        self.at_most.map_or(limit, |at_most| limit.min(at_most))
    }

    fn left(&self) -> Duration {
        let (end, _) = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
        // A little more, so that it is surely over then.
        end.saturating_duration_since(Instant::now()) + Duration::from_millis(1)
    }

    fn overdue(&self) -> Option<&'static str> {
        let (end, command) = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
        (Instant::now() >= end).then_some(command)
    }
}

/// The name under which connecting, with the commands that belong to it, is limited and reported.
pub(super) const CONNECT: &str = "connecting";
const JOB: &str = "the TPM software stack";

/// How long a stuck thread is waited for before another connection is tried beside it.
const BEFORE_ANOTHER: Duration = Duration::from_secs(60);
/// Threads that may be stuck before no further one is started.
const MAX_STUCK: usize = 4;
