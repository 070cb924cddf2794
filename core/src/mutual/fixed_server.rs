use super::{
    Credentials, Decoy, HostValidation, MutualError, Realm, Reason, SecretNumber, ServerSession,
    SessionId, StoredCredential, Verdict, realm::UserName, write_init,
};
use core::fmt;
use heapless::Vec;

/// A server of one realm with memory for a fixed number of sessions, by the procedure of RFC 8120 section 11: for firmware. It performs no I/O.
///
/// It answers one request at a time, with at most two scalar multiplications. With one more key exchange than there is room for, the oldest pending
/// one goes; one place is never taken by an authenticated session. So two sessions are the least that is useful: others who begin key exchanges do
/// not end the session of a user who has logged in, and can only keep a user from logging in while they go on.
///
/// Wrong passwords make the server wait: see [`ServerLimits::free_attempts`].
pub struct MutualServer<const SESSIONS: usize> {
    realm: Realm,
    validation: HostValidation,
    decoy: Decoy,
    limits: ServerLimits,
    sessions: Vec<Entry, SESSIONS>,
    /// The wrong proofs since the last right one.
    failures: u32,
    /// The time until which no key exchange is answered, in seconds.
    closed_until: u64,
}

struct Entry {
    sid: SessionId,
    session: ServerSession,
    /// The times of its beginning and of its last use, in seconds.
    begun: u64,
    used: u64,
}

/// The limits of a [`MutualServer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// The largest nonce number, and so the requests of one session. Default: 65,535.
    pub nc_max: u32,
    /// The seconds for which a key exchange may be pending. Default: 300.
    pub pending_time: u32,
    /// The seconds for which a session lives without requests. Clients are told the smaller of both. Default: 300.
    pub idle_time: u32,
    /// The wrong proofs that are answered at once. After each further one the server answers no key exchange for a time that doubles, from one second,
    /// so that a PIN cannot be guessed one by one. A right proof sets this back; until then others cannot log in either. Default: 5.
    pub free_attempts: u32,
    /// The longest such time in seconds. Default: 60.
    pub max_delay: u32,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            nc_max: 65_535,
            pending_time: 300,
            idle_time: 300,
            free_attempts: 5,
            max_delay: 60,
        }
    }
}

/// The answer to a request.
#[derive(Debug)]
#[must_use]
pub enum ServerAnswer<'o> {
    /// The answer is 401, with this value of WWW-Authenticate.
    Challenge(&'o str),
    /// The proof is wrong. The answer is 401 all the same, with this value of WWW-Authenticate.
    Refused(&'o str),
    /// The user has proved itself: the response has this value of Authentication-Info.
    Proved {
        /// The user.
        user: UserName,
        /// The server's own proof.
        info: &'o str,
    },
}

impl<const SESSIONS: usize> MutualServer<SESSIONS> {
    /// Creates a server. `random` are bytes of a cryptographically secure generator.
    ///
    /// # Errors
    /// [`MutualError::Random`] if the bytes give no usable number.
    pub fn new(
        realm: Realm,
        validation: HostValidation,
        limits: ServerLimits,
        random: &[u8; 64],
    ) -> Result<Self, MutualError> {
        Ok(Self {
            decoy: Decoy::new(&realm, random)?,
            realm,
            validation,
            limits,
            sessions: Vec::new(),
            failures: 0,
            closed_until: 0,
        })
    }

    /// Returns the realm.
    #[must_use]
    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    /// Answers a request with this value of Authorization. `find` looks a user up, `now` is a time in seconds that does not go backwards, `random` are
    /// bytes of a cryptographically secure generator, new for each call. The answer is written to `out`.
    ///
    /// # Errors
    /// [`MutualError::BufferTooSmall`] if `out` has less than [`super::MAX_MESSAGE_LEN`] bytes, [`MutualError::Random`] if the bytes give no usable
    /// number.
    pub fn answer<'o>(
        &mut self,
        authorization: Option<&str>,
        find: impl FnOnce(&str) -> Option<StoredCredential>,
        now: u64,
        random: &[u8; 64],
        out: &'o mut [u8],
    ) -> Result<ServerAnswer<'o>, MutualError> {
        self.sessions
            .retain(|entry| !entry.is_over(now, &self.limits));
        let credentials = match authorization.and_then(Credentials::parse) {
            None => return self.challenge(Reason::Initial, out),
            Some(Err(_)) => return self.challenge(Reason::InvalidParameters, out),
            Some(Ok(credentials)) => credentials,
        };
        if !credentials.are_for(&self.realm, self.validation.method()) {
            return self.challenge(Reason::InvalidParameters, out);
        }
        let Some(sid) = credentials.session() else {
            return self.begin(&credentials, find, now, random, out);
        };
        let mut entries = self.sessions.iter_mut().enumerate();
        let Some((position, entry)) = entries.find(|(_, entry)| entry.sid == *sid) else {
            return self.challenge(Reason::StaleSession, out);
        };
        let was_pending = entry.session.is_pending();
        let validation = core::slice::from_ref(&self.validation);
        match entry.session.verify(&credentials, validation) {
            Verdict::Proved(proof) => {
                entry.used = now;
                let user = entry.session.user_name().clone();
                let info = proof.write(out)?;
                self.failures = 0;
                if was_pending {
                    self.keep_a_place(position);
                }
                Ok(ServerAnswer::Proved { user, info })
            }
            Verdict::Refused => {
                // A session without a user is over: a later change of the users must not show who they are.
                if entry.session.is_over() {
                    self.sessions.swap_remove(position);
                }
                self.count_failure(now);
                let text = self.challenge_text(Reason::AuthFailed, out)?;
                Ok(ServerAnswer::Refused(text))
            }
            Verdict::Stale => {
                self.sessions.swap_remove(position);
                self.challenge(Reason::StaleSession, out)
            }
        }
    }

    /// Answers a key exchange.
    fn begin<'o>(
        &mut self,
        credentials: &Credentials<'_>,
        find: impl FnOnce(&str) -> Option<StoredCredential>,
        now: u64,
        random: &[u8; 64],
        out: &'o mut [u8],
    ) -> Result<ServerAnswer<'o>, MutualError> {
        if now < self.closed_until {
            return self.challenge(Reason::InternalError, out);
        }
        let user = credentials.user().unwrap_or_default();
        let stored = find(user);
        let (realm, nc_max) = (&self.realm, self.limits.nc_max);
        let j = self.decoy.j(realm, user, stored.as_ref()).ok();
        let begun = ServerSession::begin(realm, credentials, j, &self.decoy, nc_max, random);
        let session = match begun {
            Ok(session) => session,
            Err(MutualError::Random) => return Err(MutualError::Random),
            Err(_) => return self.challenge(Reason::InvalidParameters, out),
        };
        let suite = self.realm.algorithm().suite();
        let mut sid = SecretNumber::default();
        suite.hash(&[b"sid", random], &mut sid);
        let sid = sid.as_bytes().get(..16).unwrap_or_default();
        let sid = SessionId::from_slice(sid).map_err(|_| MutualError::Value)?;
        if self.sessions.is_full() {
            // There is a pending one, unless there is one place alone.
            let all = self.sessions.iter().enumerate();
            let oldest = all.min_by_key(|(_, entry)| (!entry.session.is_pending(), entry.used));
            if let Some((oldest, _)) = oldest {
                self.sessions.swap_remove(oldest);
            }
        }
        let method = self.validation.method();
        let time = self.limits.idle_time.min(self.limits.pending_time);
        let text = session.write(method, &sid, time, out)?;
        let entry = Entry {
            sid,
            session,
            begun: now,
            used: now,
        };
        self.sessions
            .push(entry)
            .map_err(|_| MutualError::BufferTooSmall)?;
        Ok(ServerAnswer::Challenge(text))
    }

    fn challenge<'o>(
        &self,
        reason: Reason,
        out: &'o mut [u8],
    ) -> Result<ServerAnswer<'o>, MutualError> {
        self.challenge_text(reason, out)
            .map(ServerAnswer::Challenge)
    }

    fn challenge_text<'o>(
        &self,
        reason: Reason,
        out: &'o mut [u8],
    ) -> Result<&'o str, MutualError> {
        let method = self.validation.method();
        Ok(write_init(&self.realm, method, reason, out)?)
    }

    /// Removes the authenticated session that was used longest ago, if there are `SESSIONS` of them: not the one at `latest`.
    fn keep_a_place(&mut self, latest: usize) {
        if !self.sessions.is_full() || self.sessions.iter().any(|entry| entry.session.is_pending())
        {
            return;
        }
        let others = self.sessions.iter().enumerate();
        let others = others.filter(|(position, _)| *position != latest);
        if let Some((oldest, _)) = others.min_by_key(|(_, entry)| entry.used) {
            self.sessions.swap_remove(oldest);
        }
    }

    /// Notes a wrong proof.
    fn count_failure(&mut self, now: u64) {
        self.failures = self.failures.saturating_add(1);
        if let Some(doublings) = self.failures.checked_sub(self.limits.free_attempts) {
            let delay = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            let delay = delay.min(self.limits.max_delay);
            self.closed_until = now.saturating_add(u64::from(delay));
        }
    }
}

impl Entry {
    fn is_over(&self, now: u64, limits: &ServerLimits) -> bool {
        let (since, limit) = if self.session.is_pending() {
            (self.begun, limits.pending_time)
        } else {
            (self.used, limits.idle_time)
        };
        self.session.is_over() || now.saturating_sub(since) >= u64::from(limit)
    }
}

impl<const SESSIONS: usize> fmt::Debug for MutualServer<SESSIONS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sessions = self.sessions.len();
        write!(f, "MutualServer({:?}, {sessions} sessions)", self.realm)
    }
}
