//! The activity of a connection: requests under way, and whose turn it is.

use super::Limits;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// The activity of one connection.
pub(super) struct Activity {
    start: Instant,
    requests: AtomicUsize,
    /// Milliseconds from `start`.
    idle_since: AtomicU64,
    /// When some of a response was written last, in the same milliseconds.
    wrote_at: AtomicU64,
    responses: Mutex<Vec<Weak<Turn>>>,
    evicted: Notify,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            requests: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            wrote_at: AtomicU64::new(0),
            responses: Mutex::default(),
            evicted: Notify::new(),
        }
    }

    /// Counts a request, until the guard is dropped.
    pub(super) fn request(self: &Arc<Self>) -> UnderWay {
        self.requests.fetch_add(1, Ordering::AcqRel);
        UnderWay(Arc::clone(self))
    }

    /// Counts a response whose client has to take it.
    pub(super) fn response(self: &Arc<Self>) -> Arc<Turn> {
        let turn = Arc::new(Turn {
            activity: Arc::clone(self),
            client_since: AtomicU64::new(0),
        });
        turn.is_clients();
        let mut responses = self.responses();
        responses.retain(|turn| turn.strong_count() > 0);
        responses.push(Arc::downgrade(&turn));
        turn
    }

    /// For how long nothing has been asked, if that is so.
    pub(super) fn idle(&self) -> Option<Duration> {
        (self.requests.load(Ordering::Acquire) == 0)
            .then(|| self.since(self.after_writing(self.idle_since.load(Ordering::Acquire))))
    }

    /// Some of a response was written.
    pub(super) fn wrote(&self) {
        self.wrote_at.store(self.now(), Ordering::Release);
    }

    fn after_writing(&self, millis: u64) -> u64 {
        millis.max(self.wrote_at.load(Ordering::Acquire))
    }

    /// Makes [`Activity::overdue`] return.
    pub(super) fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Waits until the connection is to be closed. Returns the reason.
    pub(super) async fn overdue(&self, limits: &Limits) -> &'static str {
        loop {
            let pause = match self.idle() {
                Some(idle) if idle >= limits.idle => return "it was idle for too long",
                // A request may begin meanwhile, and get stuck.
                Some(idle) => (limits.idle - idle).min(limits.response / 4),
                None if self.is_stuck(limits.response) => {
                    return "the client took nothing of a response for too long";
                }
                None => limits.response / 4,
            };
            tokio::select! {
                // A little more, so that it is surely over then.
                () = sleep(pause + Duration::from_millis(1)) => {}
                () = self.evicted.notified() => return "its place was needed",
            }
        }
    }

    fn is_stuck(&self, limit: Duration) -> bool {
        self.responses().iter().any(|turn| {
            let since = turn
                .upgrade()
                .map_or(0, |turn| turn.client_since.load(Ordering::Acquire));
            since > 0 && self.since(self.after_writing(since - 1)) >= limit
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn since(&self, millis: u64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(millis))
    }

    fn responses(&self) -> MutexGuard<'_, Vec<Weak<Turn>>> {
        self.responses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way, from its head to the end of its response.
pub(super) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.now(), Ordering::Release);
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The turn of a response: its client's, to take some of it, or the server's, to go on.
pub(super) struct Turn {
    activity: Arc<Activity>,
    /// 0 if it is the server's turn, else one more than the milliseconds since which it is the client's.
    client_since: AtomicU64,
}

impl Turn {
    pub(super) fn is_clients(&self) {
        let now = self.activity.now().saturating_add(1);
        self.client_since.store(now, Ordering::Release);
    }

    pub(super) fn is_servers(&self) {
        self.client_since.store(0, Ordering::Release);
    }
}
