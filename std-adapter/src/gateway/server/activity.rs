//! The activity of a connection: its requests in progress, and whether the client or the server must act next.

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
    /// The number of requests in progress.
    requests: AtomicUsize,
    /// The time at which the last request ended, in milliseconds since `start`.
    idle_since: AtomicU64,
    /// The time at which a part of a response was last written, in milliseconds since `start`.
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

    /// Counts a request as in progress until the guard is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> RequestGuard {
        self.requests.fetch_add(1, Ordering::AcqRel);
        RequestGuard(Arc::clone(self))
    }

    /// Registers a response that the client must read.
    pub(super) fn begin_response(self: &Arc<Self>) -> Arc<Turn> {
        let turn = Arc::new(Turn {
            activity: Arc::clone(self),
            client_since: AtomicU64::new(0),
        });
        turn.start_client_turn();
        let mut responses = self.responses();
        responses.retain(|turn| turn.strong_count() > 0);
        responses.push(Arc::downgrade(&turn));
        turn
    }

    /// Returns for how long the connection has been idle, or `None` if a request is in progress.
    pub(super) fn idle(&self) -> Option<Duration> {
        (self.requests.load(Ordering::Acquire) == 0)
            .then(|| self.since(self.max_with_last_write(self.idle_since.load(Ordering::Acquire))))
    }

    /// Records that a part of a response was written.
    pub(super) fn record_write(&self) {
        self.wrote_at.store(self.now(), Ordering::Release);
    }

    fn max_with_last_write(&self, millis: u64) -> u64 {
        millis.max(self.wrote_at.load(Ordering::Acquire))
    }

    /// Makes [`Activity::wait_until_overdue`] return.
    pub(super) fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Waits until the connection must be closed. Returns the reason.
    pub(super) async fn wait_until_overdue(&self, limits: &Limits) -> &'static str {
        loop {
            let pause = match self.idle() {
                Some(idle) if idle >= limits.idle => return "the connection was idle for too long",
                // A request may begin in the meantime and get stuck, so check at least that often.
                Some(idle) => (limits.idle - idle).min(limits.response / 4),
                None if self.is_stuck(limits.response) => {
                    return "the client read nothing of a response for too long";
                }
                None => limits.response / 4,
            };
            tokio::select! {
                // One millisecond more, so that the limit has passed when the wait ends.
                () = sleep(pause + Duration::from_millis(1)) => {}
                () = self.evicted.notified() => return "the connection's slot was needed for a new connection",
            }
        }
    }

    fn is_stuck(&self, limit: Duration) -> bool {
        self.responses().iter().any(|turn| {
            let since = turn
                .upgrade()
                .map_or(0, |turn| turn.client_since.load(Ordering::Acquire));
            since > 0 && self.since(self.max_with_last_write(since - 1)) >= limit
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

/// A guard for a request in progress, from its head to the end of its response.
pub(super) struct RequestGuard(Arc<Activity>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.now(), Ordering::Release);
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The turn of a response: either the client must read a part of it, or the server must produce the next part.
pub(super) struct Turn {
    activity: Arc<Activity>,
    /// 0 if it is the server's turn. Otherwise one more than the time at which the client's turn began, in milliseconds since
    /// `start`.
    client_since: AtomicU64,
}

impl Turn {
    /// Starts the client's turn.
    pub(super) fn start_client_turn(&self) {
        let now = self.activity.now().saturating_add(1);
        self.client_since.store(now, Ordering::Release);
    }

    /// Starts the server's turn.
    pub(super) fn start_server_turn(&self) {
        self.client_since.store(0, Ordering::Release);
    }
}
