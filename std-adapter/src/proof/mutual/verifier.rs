use super::{
    Details, FoundUser, KIND, RealmSettings, SettingsError, UserStore,
    sessions::{OwnPending, SID_LEN, Sessions},
};
use crate::{
    gateway::Channel,
    proof::{
        Fields, Identity, Recipient, Refusal, RequestHead, Verdict, Verification, Verifier,
        remove_credentials,
    },
    unique,
};
use axum::http::{HeaderMap, HeaderValue};
use chanbind_core::mutual::{
    Algorithm, Credentials, Decoy, HostValidation, MAX_MESSAGE_LEN, MutualError, Realm, Reason,
    SCHEME, ServerProof, ServerSession, SessionId, Validation, Verdict as SessionVerdict,
    write_init,
};
use chanbind_core::wire::Full;
use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};
use tokio::sync::{Semaphore, watch};
use zeroize::Zeroizing;

/// Verifies the users of one realm, by the server's procedure of RFC 8120 section 11, and proves to them that the gateway has what it stores of their
/// passwords.
///
/// Unknown users are refused only after their proof, by the same answers and with the same work as a wrong password. Sessions are kept in a bounded
/// table and outlive connections: on another connection, a client needs one exchange to prove itself again, bound to that connection.
///
/// A handler finds the user as the subject of [`Identity`], and more in [`Details`].
pub struct MutualVerifier {
    id: u64,
    realm: Realm,
    /// The same, for [`Details`].
    realm_name: Arc<str>,
    offered: Vec<Validation>,
    fixed: Vec<HostValidation>,
    decoy: Decoy,
    sessions: Sessions,
    users: Arc<dyn UserStore>,
    changes: watch::Receiver<u64>,
    nc_max: u32,
    /// In seconds.
    time: u32,
    /// The computations that run on blocking threads at a time: one for each core, so that a flood of key exchanges leaves those threads to others.
    computations: Semaphore,
}

impl MutualVerifier {
    /// Creates a verifier.
    ///
    /// # Errors
    /// [`SettingsError`] if the settings contradict each other.
    pub fn new(
        settings: RealmSettings,
        users: Arc<impl UserStore>,
    ) -> Result<Arc<Self>, SettingsError> {
        let random = random().map_err(|error| SettingsError::Random(error.to_string()))?;
        let decoy = Decoy::new(&settings.realm, &random);
        Ok(Arc::new(Self {
            id: unique::id(),
            offered: settings.offered()?,
            fixed: settings.fixed()?,
            decoy: decoy.map_err(|error| SettingsError::Random(error.to_string()))?,
            sessions: Sessions::new(settings.limits),
            changes: users.changes(),
            users,
            nc_max: settings.limits.nc_max,
            time: settings.limits.stated_time(),
            computations: Semaphore::new(
                std::thread::available_parallelism().map_or(1, usize::from),
            ),
            realm_name: settings.realm.name().into(),
            realm: settings.realm,
        }))
    }

    /// Returns the values of the methods that these credentials may be bound by.
    fn validations(
        &self,
        channel: &Channel,
        credentials: &Credentials<'_>,
    ) -> Result<Vec<HostValidation>, Refusal> {
        let mut offered = self.offered.iter();
        let method = offered.find(|method| credentials.are_for(&self.realm, **method));
        match method {
            None => Ok(Vec::new()),
            Some(Validation::TlsExporter) => {
                let value = HostValidation::tls_exporter(&channel.exporter());
                Ok(vec![value.map_err(Refusal::internal)?])
            }
            Some(method) => {
                let fixed = self.fixed.iter().filter(|one| one.method() == *method);
                Ok(fixed.cloned().collect())
            }
        }
    }

    /// Returns a refusal with a 401-INIT message, or with [`Reason::StaleSession`] a 401-STALE, for each method that is offered.
    fn refuse(&self, recipient: Recipient, reason: Reason, why: impl fmt::Display) -> Refusal {
        let challenges = self.offered.iter();
        let challenges = challenges.map(|method| self.init(*method, reason));
        let refusal = Refusal::not_proved(why);
        match challenges.collect::<Result<Vec<_>, _>>() {
            Ok(challenges) => {
                let fields = challenges.into_iter();
                let fields = fields.map(|value| (recipient.challenge_field(), value));
                refusal.with_fields(fields.collect())
            }
            Err(refusal) => refusal,
        }
    }

    /// Returns a refusal with a message about the session of these credentials, by the method that they name.
    fn refuse_session(
        &self,
        recipient: Recipient,
        validations: &[HostValidation],
        reason: Reason,
        why: impl fmt::Display,
    ) -> Refusal {
        let method = validations.first().map(HostValidation::method);
        match method.map(|method| self.init(method, reason)) {
            Some(Ok(value)) => {
                Refusal::not_proved(why).with_fields(vec![(recipient.challenge_field(), value)])
            }
            Some(Err(refusal)) => refusal,
            None => self.refuse(recipient, reason, why),
        }
    }

    fn init(&self, method: Validation, reason: Reason) -> Result<HeaderValue, Refusal> {
        message(|out| write_init(&self.realm, method, reason, out))
    }

    fn judge(
        self: Arc<Self>,
        channel: &Channel,
        request: &RequestHead<'_>,
    ) -> Result<Verification, Refusal> {
        let recipient = request.recipient;
        let Some(value) = credentials_of(request)? else {
            return Ok(Verification::Ready(Verdict::Absent));
        };
        let credentials = match Credentials::parse(value) {
            None => return Ok(Verification::Ready(Verdict::Absent)),
            Some(Ok(credentials)) => credentials,
            Some(Err(error)) => {
                return Err(self.refuse(recipient, Reason::InvalidParameters, error));
            }
        };
        // The rule may have another verifier for another realm.
        if !credentials.are_of(&self.realm) {
            return Ok(Verification::Ready(Verdict::Absent));
        }
        let validations = self.validations(channel, &credentials)?;
        if validations.is_empty() {
            let why = "the host validation method of the credentials is not offered";
            return Err(self.refuse(recipient, Reason::InvalidParameters, why));
        }
        let value = value.to_owned();
        let Some(sid) = credentials.session() else {
            let own = channel.state(self.id, OwnPending::default);
            return Ok(Verification::Pending(Box::pin(async move {
                let begun = self.begin(value, validations, recipient, own).await;
                begun.unwrap_or_else(Verdict::Refused)
            })));
        };
        let Some(entry) = self.sessions.find(sid) else {
            let why = "the session is unknown or has expired";
            return Err(self.refuse_session(recipient, &validations, Reason::StaleSession, why));
        };
        let has_changed = *self.changes.borrow() != entry.seen_changes.load(Ordering::Relaxed);
        if !entry.is_pending() && !has_changed {
            return Ok(Verification::Ready(self.verify_session(
                &entry,
                &value,
                &validations,
                recipient,
            )));
        }
        let sid = sid.clone();
        Ok(Verification::Pending(Box::pin(async move {
            if !self.still_has_user(&entry).await {
                self.sessions.remove(&sid);
                let why = "the user of the session is gone or has another password";
                let reason = Reason::StaleSession;
                let refusal = self.refuse_session(recipient, &validations, reason, why);
                return Verdict::Refused(refusal);
            }
            let this = Arc::clone(&self);
            let verified =
                self.compute(move || this.verify_session(&entry, &value, &validations, recipient));
            verified.await.unwrap_or_else(Verdict::Refused)
        })))
    }

    /// Runs two scalar multiplications. On P-256 they take as long as the signature of a TLS handshake, and run where that does; in the other groups
    /// they take many times as long, and other connections must not wait for them.
    async fn compute<T: Send + 'static>(
        &self,
        computation: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        if self.realm.algorithm() == Algorithm::P256_SHA256 {
            return Ok(computation());
        }
        let _permit = self.computations.acquire().await;
        let done = tokio::task::spawn_blocking(computation).await;
        done.map_err(Refusal::internal)
    }

    /// Answers a key exchange.
    async fn begin(
        self: Arc<Self>,
        value: String,
        validations: Vec<HostValidation>,
        recipient: Recipient,
        own: Arc<OwnPending>,
    ) -> Result<Verdict, Refusal> {
        let changes = *self.changes.borrow();
        let stored = {
            let Some(Ok(credentials)) = Credentials::parse(&value) else {
                return Err(Refusal::internal("the credentials cannot be read twice"));
            };
            let user = credentials.user().unwrap_or_default().to_owned();
            self.find(&user).await
        };
        let method = validations
            .first()
            .map_or(Validation::Host, HostValidation::method);
        let this = Arc::clone(&self);
        let begun = self.compute(move || -> Result<Verdict, Refusal> {
            let Some(Ok(credentials)) = Credentials::parse(&value) else {
                return Err(Refusal::internal("the credentials cannot be read twice"));
            };
            let user = credentials.user().unwrap_or_default();
            // A credential for another realm does not count: the operator is told, the client is not.
            let stored = stored.as_ref().map(|found| &found.credential);
            let j = this.decoy.j(&this.realm, user, stored);
            if let (Err(error), Some(_)) = (&j, stored) {
                tracing::error!(user, %error, "a user cannot log in");
            }
            let (random, mut sid) = (random().map_err(Refusal::internal)?, [0; SID_LEN]);
            getrandom::fill(&mut sid).map_err(Refusal::internal)?;
            let sid = SessionId::from_slice(&sid).unwrap_or_default();
            let session = ServerSession::begin(
                &this.realm,
                &credentials,
                j.ok(),
                &this.decoy,
                this.nc_max,
                &random,
            );
            let session = session.map_err(|error| match error {
                MutualError::Random => Refusal::internal(error),
                error => this.refuse(recipient, Reason::InvalidParameters, error),
            })?;
            let challenge = message(|out| session.write(method, &sid, this.time, out))?;
            this.sessions.add(sid, session, changes, &own);
            let fields: Fields = vec![(recipient.challenge_field(), challenge)];
            Ok(Verdict::Continue { fields })
        });
        begun.await?
    }

    async fn find(&self, user: &str) -> Option<FoundUser> {
        match self.users.find(user).await {
            Ok(found) => found,
            // A fault of the store looks like an unknown user: another answer would tell who is known.
            Err(error) => {
                tracing::error!(user, %error, "the users cannot be looked up");
                None
            }
        }
    }

    /// Returns true if the user of a session is still who began it. Only sessions of known users outlive their first proof.
    async fn still_has_user(&self, entry: &super::sessions::Entry) -> bool {
        let changes = *self.changes.borrow();
        if changes == entry.seen_changes.load(Ordering::Relaxed) {
            return true;
        }
        if entry.is_pending() {
            // The key exchange is repeated at no cost but time.
            return false;
        }
        let (user, stored) = {
            let session = entry.lock();
            (session.user().to_owned(), session.stored().cloned())
        };
        let found = self.find(&user).await;
        let found = found.and_then(|found| found.credential.j(&self.realm, &user).ok().cloned());
        let is_same = found.is_some() && found == stored;
        if is_same {
            entry.seen_changes.store(changes, Ordering::Relaxed);
        } else {
            tracing::info!(user, "session ended: its user has changed");
        }
        is_same
    }

    fn verify_session(
        &self,
        entry: &Arc<super::sessions::Entry>,
        value: &str,
        validations: &[HostValidation],
        recipient: Recipient,
    ) -> Verdict {
        let Some(Ok(credentials)) = Credentials::parse(value) else {
            return Verdict::Refused(Refusal::internal("the credentials cannot be read twice"));
        };
        let (verdict, user) = {
            let mut session = entry.lock();
            let verdict = session.verify(&credentials, validations);
            if session.is_over()
                && let Some(sid) = credentials.session()
            {
                // At once, also after a wrong password: a later change of the users must not show which of them exist.
                self.sessions.remove(sid);
            }
            (verdict, session.user().to_owned())
        };
        let refuse = |reason, why: &str| {
            let why = format!("{why} (user {user:?})");
            let refusal = self.refuse_session(recipient, validations, reason, why);
            Verdict::Refused(refusal.claimed_by(user.as_str()))
        };
        match verdict {
            SessionVerdict::Proved(proof) => self
                .accept(entry, user, &proof, recipient)
                .unwrap_or_else(Verdict::Refused),
            SessionVerdict::Refused => refuse(
                Reason::AuthFailed,
                "the password or the connection is not the user's, or the user is unknown",
            ),
            SessionVerdict::Stale => refuse(
                Reason::StaleSession,
                "the session is over: a nonce number was used twice, or is out of range",
            ),
        }
    }

    fn accept(
        &self,
        entry: &Arc<super::sessions::Entry>,
        user: String,
        proof: &ServerProof,
        recipient: Recipient,
    ) -> Result<Verdict, Refusal> {
        entry.proved();
        let info = message(|out| proof.write(out))?;
        let details = Details {
            entry: Arc::clone(entry),
            realm: Arc::clone(&self.realm_name),
            validation: proof.validation().clone(),
        };
        Ok(Verdict::Accepted {
            identity: Identity::new(user, KIND, details).of_realm(Arc::clone(&self.realm_name)),
            fields: vec![(recipient.info_field(), info)],
        })
    }
}

impl Verifier for MutualVerifier {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn verify(self: Arc<Self>, channel: &Channel, request: &RequestHead<'_>) -> Verification {
        self.judge(channel, request)
            .unwrap_or_else(|refusal| Verification::Ready(Verdict::Refused(refusal)))
    }

    fn challenges(&self, _: &Channel) -> Result<Vec<HeaderValue>, Refusal> {
        let offered = self.offered.iter();
        offered
            .map(|method| self.init(*method, Reason::Initial))
            .collect()
    }

    fn remove_proof(&self, recipient: Recipient, headers: &mut HeaderMap) {
        remove_credentials(headers, recipient, SCHEME);
    }
}

/// Returns the value of the field with credentials, if there is one.
fn credentials_of<'r>(request: &RequestHead<'r>) -> Result<Option<&'r str>, Refusal> {
    let name = request.recipient.credentials_field();
    let mut values = request.headers.get_all(&name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Refusal::malformed(format_args!("{name} occurs twice")));
    }
    match str::from_utf8(value.as_bytes()) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(Refusal::malformed(format_args!("{name}: {error}"))),
    }
}

fn random() -> Result<Zeroizing<[u8; 64]>, getrandom::Error> {
    let mut random = Zeroizing::new([0; 64]);
    getrandom::fill(random.as_mut_slice())?;
    Ok(random)
}

/// Returns the value of a field with a message.
fn message(
    write: impl for<'o> FnOnce(&'o mut [u8]) -> Result<&'o str, Full>,
) -> Result<HeaderValue, Refusal> {
    let mut out = [0; MAX_MESSAGE_LEN];
    let text = write(&mut out).map_err(|Full| Refusal::internal(MutualError::BufferTooSmall))?;
    HeaderValue::from_str(text).map_err(Refusal::internal)
}

impl fmt::Debug for MutualVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MutualVerifier({:?})", self.realm)
    }
}
