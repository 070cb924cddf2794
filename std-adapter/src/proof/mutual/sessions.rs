//! The table of sessions of one realm, by session identifier: they outlive connections.

use super::SessionTableLimits;
use chanbind_core::mutual::{ServerSession, SessionId};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// The bytes of a session identifier: 128 random bits, where the RFC wants 80 or the square of the number of sessions (section 4.3).
pub(super) const SID_LEN: usize = 16;

/// A session in the table.
pub(super) struct Entry {
    session: Mutex<ServerSession>,
    created: Instant,
    /// Milliseconds since `created`.
    used: AtomicU64,
    is_pending: AtomicBool,
    /// The changes of the user store that this session has seen.
    pub(super) seen_changes: AtomicU64,
}

impl Entry {
    /// Locks the session. The first proof is verified under the lock, so that others of the same session wait for its outcome.
    pub(super) fn lock(&self) -> MutexGuard<'_, ServerSession> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_pending(&self) -> bool {
        self.is_pending.load(Ordering::Relaxed)
    }

    /// Notes that a proof is right.
    pub(super) fn proved(&self) {
        self.is_pending.store(false, Ordering::Relaxed);
        self.touch();
    }

    fn touch(&self) {
        let since = self.created.elapsed().as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.used.store(since, Ordering::Relaxed);
    }

    fn last_used(&self) -> Instant {
        self.created + Duration::from_millis(self.used.load(Ordering::Relaxed))
    }

    fn is_expired(&self, now: Instant, limits: &SessionTableLimits) -> bool {
        let age = now.saturating_duration_since(self.created);
        let idle = now.saturating_duration_since(self.last_used());
        if self.is_pending() {
            age >= limits.pending_time
        } else {
            age >= limits.lifetime || idle >= limits.idle_time
        }
    }
}

/// The table.
pub(super) struct Sessions {
    limits: SessionTableLimits,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    sessions: HashMap<SessionId, Arc<Entry>>,
    /// The identifiers of key exchanges in the order of their creation. Some may be proved or gone.
    pending: VecDeque<SessionId>,
    next_sweep: Option<Instant>,
}

/// The pending key exchanges of one connection, in the order of their creation.
pub(super) type OwnPending = Mutex<VecDeque<SessionId>>;

impl Sessions {
    pub(super) fn new(limits: SessionTableLimits) -> Self {
        Self {
            limits,
            table: Mutex::default(),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the session with this identifier, unless it has expired.
    pub(super) fn find(&self, sid: &SessionId) -> Option<Arc<Entry>> {
        let entry = self.table().sessions.get(sid).map(Arc::clone)?;
        (!entry.is_expired(Instant::now(), &self.limits)).then_some(entry)
    }

    /// Adds a session whose key exchange is pending, and removes others where the bounds need it.
    pub(super) fn add(
        &self,
        sid: SessionId,
        session: ServerSession,
        changes: u64,
        own: &OwnPending,
    ) {
        let now = Instant::now();
        let entry = Arc::new(Entry {
            session: Mutex::new(session),
            created: now,
            used: AtomicU64::new(0),
            is_pending: AtomicBool::new(true),
            seen_changes: AtomicU64::new(changes),
        });
        let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = self.table();
        table.sweep(now, &self.limits);
        own.retain(|sid| table.is_pending(sid));
        while own.len() >= self.limits.pending_per_connection.max(1) {
            if let Some(oldest) = own.pop_front() {
                table.sessions.remove(&oldest);
            }
        }
        table.make_room(&self.limits);
        own.push_back(sid.clone());
        table.pending.push_back(sid.clone());
        table.sessions.insert(sid, entry);
    }

    /// Removes a session.
    pub(super) fn remove(&self, sid: &SessionId) {
        self.table().sessions.remove(sid);
    }

    /// Returns the number of sessions, and of those whose key exchange is pending.
    #[cfg(test)]
    fn len(&self) -> (usize, usize) {
        let table = self.table();
        let pending = table.sessions.values().filter(|entry| entry.is_pending());
        (table.sessions.len(), pending.count())
    }
}

impl Table {
    fn is_pending(&self, sid: &SessionId) -> bool {
        let entry = self.sessions.get(sid);
        entry.is_some_and(|entry| entry.is_pending())
    }

    /// Removes what has expired, at most once in a second.
    fn sweep(&mut self, now: Instant, limits: &SessionTableLimits) {
        if self.next_sweep.is_some_and(|next| now < next) {
            return;
        }
        self.next_sweep = Some(now + Duration::from_secs(1));
        self.sessions
            .retain(|_, entry| !entry.is_expired(now, limits));
        self.forget_proved();
    }

    /// Removes the identifiers of sessions that are not pending from the list of pending ones.
    fn forget_proved(&mut self) {
        let sessions = &self.sessions;
        self.pending.retain(|sid| {
            let entry = sessions.get(sid);
            entry.is_some_and(|entry| entry.is_pending())
        });
    }

    /// Makes room for one more session: the oldest pending ones go, then the one that was not used for the longest time.
    fn make_room(&mut self, limits: &SessionTableLimits) {
        let max_pending = limits.pending.max(1);
        if self.pending.len() >= max_pending {
            // Some of them may be proved or gone by now.
            self.forget_proved();
        }
        while self.pending.len() >= max_pending
            && let Some(oldest) = self.pending.pop_front()
        {
            self.sessions.remove(&oldest);
        }
        if self.sessions.len() < limits.sessions.max(1) {
            return;
        }
        let proved = self
            .sessions
            .iter()
            .filter(|(_, entry)| !entry.is_pending());
        let oldest = proved.min_by_key(|(_, entry)| entry.last_used());
        let oldest = oldest.map(|(sid, _)| sid.clone());
        if let Some(oldest) = oldest.or_else(|| self.pending.pop_front()) {
            self.sessions.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chanbind_core::mutual::{
        Algorithm, ClientExchange, Credentials, Decoy, MAX_MESSAGE_LEN, Realm, Validation,
    };

    fn sid(number: u32) -> SessionId {
        SessionId::from_slice(&number.to_be_bytes()).unwrap()
    }

    fn session() -> ServerSession {
        let realm = Realm::new(Algorithm::P256_SHA256, "h", "r").unwrap();
        let decoy = Decoy::new(&realm, &[1; 64]).unwrap();
        let pi = realm.credential("u", "p").unwrap();
        let exchange = ClientExchange::begin(realm.clone(), pi, &[2; 64]).unwrap();
        let mut out = [0; MAX_MESSAGE_LEN];
        let message = exchange.write(Validation::Host, "u", &mut out).unwrap();
        let credentials = Credentials::parse(message).unwrap().unwrap();
        ServerSession::begin(&realm, &credentials, None, &decoy, 9, &[3; 64]).unwrap()
    }

    fn limits() -> SessionTableLimits {
        SessionTableLimits {
            sessions: 6,
            pending: 3,
            pending_per_connection: 2,
            ..SessionTableLimits::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn numbers_are_bounded() {
        let sessions = Sessions::new(limits());
        let (one, other) = (OwnPending::default(), OwnPending::default());
        let add = |number, own| sessions.add(sid(number), session(), 0, own);
        // Of one connection.
        (0..3).for_each(|number| add(number, &one));
        assert_eq!(sessions.len(), (2, 2));
        assert!(sessions.find(&sid(0)).is_none());
        // Of all connections: the oldest goes.
        (3..5).for_each(|number| add(number, &other));
        assert_eq!(sessions.len(), (3, 3));
        assert!(sessions.find(&sid(1)).is_none());
        // Proved sessions have room of their own, and leave by their last use.
        for number in 2..5 {
            sessions.find(&sid(number)).unwrap().proved();
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        sessions.find(&sid(2)).unwrap().touch();
        let others = [(); 5].map(|()| OwnPending::default());
        for (number, own) in (5..8).zip(&others) {
            add(number, own);
        }
        assert_eq!(sessions.len(), (6, 3));
        add(8, &others[3]);
        assert_eq!(sessions.len(), (6, 3));
        sessions.find(&sid(8)).unwrap().proved();
        add(9, &others[4]);
        assert!(sessions.find(&sid(3)).is_none());
        assert!(sessions.find(&sid(2)).is_some() && sessions.find(&sid(8)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn ages_are_bounded() {
        let sessions = Sessions::new(SessionTableLimits::default());
        let own = OwnPending::default();
        sessions.add(sid(1), session(), 0, &own);
        tokio::time::advance(Duration::from_secs(299)).await;
        let entry = sessions.find(&sid(1)).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(sessions.find(&sid(1)).is_none());
        entry.proved();
        for _ in 0..10 {
            assert!(sessions.find(&sid(1)).is_some());
            tokio::time::advance(Duration::from_secs(299)).await;
            entry.touch();
        }
        tokio::time::advance(Duration::from_secs(300)).await;
        assert!(sessions.find(&sid(1)).is_none());
        entry.touch();
        tokio::time::advance(Duration::from_secs(299)).await;
        entry.touch();
        // An hour is over.
        assert!(sessions.find(&sid(1)).is_none());
        sessions.add(sid(2), session(), 0, &own);
        assert_eq!(sessions.len(), (1, 1));
    }
}
