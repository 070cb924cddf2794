//! The activity of a connection: its requests in progress, and whether the client or the server must act next.

use slab::Slab;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
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
    /// 0 unless a write waits for the client. Otherwise one more than the time since which it does, in milliseconds since `start`.
    blocked_since: AtomicU64,
    /// True once the connection serves tunnels alone, whose own limits hold.
    is_tunnel: AtomicBool,
    /// The responses in progress: the time at which the client's turn began, in milliseconds since `start`, or `None` if it is the server's
    /// turn.
    responses: Mutex<Slab<Option<u64>>>,
    evicted: Notify,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            requests: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            wrote_at: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            is_tunnel: AtomicBool::new(false),
            responses: Mutex::default(),
            evicted: Notify::new(),
        }
    }

    /// Starts the time in which the connection is idle.
    pub(super) fn start_idle(&self) {
        self.idle_since.store(self.now(), Ordering::Release);
    }

    /// Counts a request as in progress until the guard is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> RequestGuard {
        self.requests.fetch_add(1, Ordering::AcqRel);
        RequestGuard(Arc::clone(self))
    }

    /// Registers a response, which the client must read.
    pub(super) fn begin_response(self: &Arc<Self>) -> Turn {
        let key = self.responses().insert(Some(self.now()));
        Turn {
            activity: Arc::clone(self),
            key,
        }
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

    /// Records whether a write waits for the client.
    pub(super) fn record_blocked(&self, is_blocked: bool) {
        let since = self.blocked_since.load(Ordering::Acquire);
        if is_blocked == (since > 0) {
            return;
        }
        let since = if is_blocked {
            self.now().saturating_add(1)
        } else {
            0
        };
        self.blocked_since.store(since, Ordering::Release);
    }

    /// Records that the connection serves tunnels alone from now on.
    pub(super) fn start_tunnels(&self) {
        self.is_tunnel.store(true, Ordering::Release);
    }

    fn max_with_last_write(&self, millis: u64) -> u64 {
        millis.max(self.wrote_at.load(Ordering::Acquire))
    }

    /// Makes [`Activity::wait_until_overdue`] return.
    pub(super) fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Waits until the connection must be closed: it has been idle for `idle_limit`, or its client has read nothing of a response for
    /// `response_limit`. Returns the reason.
    pub(super) async fn wait_until_overdue(
        &self,
        idle_limit: Duration,
        response_limit: Duration,
    ) -> &'static str {
        loop {
            let pause = match self.idle() {
                Some(idle) if idle >= idle_limit => return "the connection was idle for too long",
                // A request may begin in the meantime and get stuck, so check at least that often.
                Some(idle) => (idle_limit - idle).min(response_limit / 4),
                None if self.is_stuck(response_limit) => {
                    return "the client read nothing of a response for too long";
                }
                None => response_limit / 4,
            };
            tokio::select! {
                // One millisecond more, so that the limit has passed when the wait ends.
                () = sleep(pause + Duration::from_millis(1)) => {}
                () = self.evicted.notified() => return "the connection's slot was needed for a new connection",
            }
        }
    }

    fn is_stuck(&self, limit: Duration) -> bool {
        // A request may be in progress whose response cannot begin, because the client has not read those before it.
        let blocked = self.blocked_since.load(Ordering::Acquire).checked_sub(1);
        let is_tunnel = self.is_tunnel.load(Ordering::Acquire);
        if !is_tunnel && blocked.is_some_and(|since| self.since(since) >= limit) {
            return true;
        }
        let responses = self.responses();
        let mut since = responses.iter().filter_map(|(_, since)| *since);
        since.any(|since| self.since(self.max_with_last_write(since)) >= limit)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn since(&self, millis: u64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(millis))
    }

    fn responses(&self) -> MutexGuard<'_, Slab<Option<u64>>> {
        self.responses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A guard for a request in progress, from its head to the end of its response.
pub(super) struct RequestGuard(Arc<Activity>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.start_idle();
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The turn of a response: either the client must read a part of it, or the server must produce the next part.
pub(super) struct Turn {
    activity: Arc<Activity>,
    key: usize,
}

impl Turn {
    /// Starts the client's turn.
    pub(super) fn start_client_turn(&self) {
        self.set(Some(self.activity.now()));
    }

    /// Starts the server's turn.
    pub(super) fn start_server_turn(&self) {
        self.set(None);
    }

    fn set(&self, client_since: Option<u64>) {
        if let Some(turn) = self.activity.responses().get_mut(self.key) {
            *turn = client_since;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.activity.responses().try_remove(self.key);
    }
}
