//! The client's side as a machine for any driver, by the decision procedure of RFC 8120 section 10.

use super::{
    AUTHENTICATION_INFO, HostValidation, MAX_MESSAGE_LEN, MAX_USER_LEN, MutualError, MutualFailure,
    MutualSettings, Origin, Password, Realm, Reason, SecretNumber, SessionId, SessionLimits,
    Unverified, UnverifiedResponses, Validation,
    client::{Exchange, Session},
    control::{AUTHENTICATION_CONTROL, OPTIONAL_WWW_AUTHENTICATE, logout_timeout},
    message::{self, Challenged, Received, ServerMessage, Terms},
    realm,
};
use crate::{
    exporter::Exporter,
    http_auth::Value,
    proof::{FieldSink, Inputs, Outcome, Prover, RequestTarget, ResponseHead, Step},
};
use core::fmt;
use heapless::{String, Vec};

/// The field of the challenges.
const WWW_AUTHENTICATE: &str = "www-authenticate";

/// Proves a user's password, and verifies that the server has its counterpart.
///
/// One value serves one server; its session outlives connections. [`Prover::response`] computes where other kinds of proof ask a key: pi once for a
/// realm, and two scalar multiplications for each key exchange.
///
/// The outcome [`Outcome::Proved`] means that both sides are proved, on the connection that the validation names. The proofs cover neither request nor
/// response: TLS does that, and plain HTTP does not. With [`Outcome::NotAsked`] nothing is proved; it is possible only before the server has asked for
/// a proof, unless [`MutualSettings::unverified`] says otherwise.
pub struct MutualProver {
    origin: Origin,
    user: String<MAX_USER_LEN>,
    password: Password,
    settings: MutualSettings,
    /// The bindings of the connection, the preferred first.
    bindings: Vec<HostValidation, 3>,
    /// The realm of the password, and how proofs are bound.
    realm: Option<Realm>,
    validation: Validation,
    /// The credential of this realm; empty until it is needed.
    pi: SecretNumber,
    /// True if the next request begins a key exchange with this realm.
    is_known: bool,
    /// True if the password is for this realm and no other.
    is_pinned: bool,
    exchange: Exchange,
    /// True if a key exchange is begun.
    is_exchanging: bool,
    session: Option<Session>,
    sent: Sent,
    /// The last request whose response is verified.
    verified: Option<Unverified>,
    /// True between the first request of a sequence and its last response.
    is_within: bool,
    /// True if the sequence has had a key exchange.
    has_exchanged: bool,
    /// True if the method of the request changes nothing at the server.
    is_safe: bool,
    refused: Option<Reason>,
    unacceptable: Option<Unacceptable>,
    expires: Option<u64>,
}

/// The message in the request that waits for its response.
enum Sent {
    /// No request waits.
    Nothing,
    /// A request without fields of this kind.
    Normal,
    KexC1,
    VfyC(Unverified),
}

/// The reason why a challenge of a server is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Unacceptable {
    Terms,
    Scope,
    Realm,
    Validation,
}

impl MutualProver {
    /// Creates a prover for a user of a server. Name and password are prepared as RFC 8265 says.
    ///
    /// # Errors
    /// [`MutualError::UserName`] if the name is invalid.
    pub fn new(origin: Origin, user: &str, password: Password) -> Result<Self, MutualError> {
        let settings = MutualSettings::of(&origin);
        if !realm::is_user_name(user) {
            return Err(MutualError::UserName);
        }
        Ok(Self {
            origin,
            user: String::try_from(user).map_err(|_| MutualError::UserName)?,
            password,
            settings,
            bindings: Vec::new(),
            realm: None,
            validation: Validation::Host,
            pi: SecretNumber::default(),
            is_known: false,
            is_pinned: false,
            exchange: Exchange::default(),
            is_exchanging: false,
            session: None,
            sent: Sent::Nothing,
            verified: None,
            is_within: false,
            has_exchanged: false,
            is_safe: false,
            refused: None,
            unacceptable: None,
            expires: None,
        })
    }

    /// Sets what is accepted.
    #[must_use]
    pub fn with_settings(mut self, settings: MutualSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets a realm that is known beforehand, so that the first request need not find it out: two exchanges instead of three.
    #[must_use]
    pub fn with_realm(mut self, realm: Realm, validation: Validation) -> Self {
        self.forget();
        self.pi.clear();
        self.is_pinned = true;
        self.realm = Some(realm);
        self.validation = validation;
        self.is_known = true;
        self
    }

    /// Returns true if there is a session: a request is then proved without a key exchange.
    #[must_use]
    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// Returns b_1 of the session for an application, on the present connection: a secret that user and server share (RFC 8120 section 13). `t` is the
    /// application's own. `None` without a session.
    #[must_use]
    pub fn session_binding(&self, t: &[u8]) -> Option<SecretNumber> {
        let session = self.session.as_ref()?;
        Some(session.binding(None, self.binding()?, t))
    }

    /// Returns b_2 of the last request whose response is verified. `None` before the first on this connection.
    #[must_use]
    pub fn request_binding(&self, t: &[u8]) -> Option<SecretNumber> {
        let (session, request) = (self.session.as_ref()?, self.verified.as_ref()?);
        Some(session.binding(Some(request), self.binding()?, t))
    }

    /// Forgets the session and pi. The next request logs in again; drop the prover to have the password forgotten too (RFC 8120 section 10.2).
    pub fn log_out(&mut self) {
        self.forget();
        self.pi.clear();
    }

    /// Forgets what was agreed, so that the next request begins a key exchange. The credential stays.
    ///
    /// A server that has asked for a proof once is never asked again without one: a man in the middle could answer.
    #[inline(never)]
    fn forget(&mut self) {
        self.is_exchanging = false;
        self.session = None;
        self.expires = None;
        self.is_known = self.realm.is_some();
    }

    /// Returns the binding of the connection for what was agreed.
    fn binding(&self) -> Option<&HostValidation> {
        binding_of(&self.bindings, self.validation)
    }

    /// Begins a key exchange.
    fn begin_exchange(&mut self, inputs: &Inputs<'_>) -> Result<(), MutualError> {
        let realm = self.realm.as_ref().ok_or(MutualError::Realm)?;
        if self.pi.is_empty() {
            realm.write_credential(&self.user, self.password.as_str(), &mut self.pi)?;
        }
        self.exchange.begin(realm, &self.pi, inputs.random)?;
        self.is_exchanging = true;
        Ok(())
    }

    /// Begins a key exchange for the best challenge in the fields with this name. Returns false if none is acceptable.
    fn take_challenge(
        &mut self,
        head: &dyn ResponseHead,
        name: &str,
        inputs: &Inputs<'_>,
    ) -> Result<bool, MutualError> {
        let mut best: Option<(usize, Realm)> = None;
        for fields in Received::new(head, name) {
            let Some(Challenged {
                terms,
                message: ServerMessage::Init(_),
            }) = Challenged::of(&fields)
            else {
                continue;
            };
            match self.rank(&terms) {
                Ok(ranked) => {
                    if best.as_ref().is_none_or(|(rank, _)| ranked.0 < *rank) {
                        best = Some(ranked);
                    }
                }
                Err(reason) => self.unacceptable = Some(reason),
            }
        }
        let Some((rank, realm)) = best else {
            return Ok(false);
        };
        self.unacceptable = None;
        if let Some(binding) = self.bindings.get(rank) {
            self.validation = binding.method();
        }
        if self.realm.as_ref() != Some(&realm) {
            self.pi.clear();
            self.realm = Some(realm);
        }
        self.begin_exchange(inputs)?;
        Ok(true)
    }

    /// Returns the position of a challenge's validation method, and its realm.
    #[inline(never)]
    fn rank(&self, terms: &Terms<'_>) -> Result<(usize, Realm), Unacceptable> {
        let scope = self.origin.single_server_scope();
        let realm = terms.realm(self.settings.algorithms, scope);
        let realm = realm.ok_or(Unacceptable::Terms)?;
        if !self.origin.is_covered_by(realm.auth_scope()) {
            return Err(Unacceptable::Scope);
        }
        let is_other = self.realm.as_ref() != Some(&realm);
        if is_other && self.is_pinned && !self.settings.follows_realms {
            return Err(Unacceptable::Realm);
        }
        let mut methods = self.bindings.iter();
        let rank = methods.position(|one| terms.validates_by(one.method()));
        let rank = rank.ok_or(Unacceptable::Validation)?;
        Ok((rank, realm))
    }

    /// Ends the sequence.
    fn end_sequence(&mut self) {
        self.is_within = false;
        self.has_exchanged = false;
    }

    /// Ends the sequence, and a key exchange that is begun.
    #[inline(never)]
    fn abandon(&mut self) {
        self.end_sequence();
        if self.is_exchanging {
            self.forget();
        }
    }

    #[inline(never)]
    fn done(&mut self, outcome: Outcome) -> Step<'static, MutualFailure> {
        self.end_sequence();
        Step::Done(outcome)
    }

    #[inline(never)]
    fn failed(&mut self, failure: impl Into<MutualFailure>) -> Step<'static, MutualFailure> {
        self.abandon();
        Step::Failed(failure.into())
    }

    fn send(&mut self) -> Step<'static, MutualFailure> {
        self.is_within = true;
        Step::Send
    }

    /// Takes a response to a request without fields of this kind.
    fn after_normal(
        &mut self,
        head: &dyn ResponseHead,
        inputs: &Inputs<'_>,
    ) -> Step<'static, MutualFailure> {
        let name = match head.status() {
            401 => WWW_AUTHENTICATE,
            // The request has been carried out: it must not be sent again if it changes anything.
            _ if self.is_safe => OPTIONAL_WWW_AUTHENTICATE,
            status => return self.unverified(status),
        };
        self.follow(head, name, inputs)
    }

    /// Begins a key exchange if a challenge in the fields with this name is acceptable; ends the sequence otherwise.
    fn follow(
        &mut self,
        head: &dyn ResponseHead,
        name: &str,
        inputs: &Inputs<'_>,
    ) -> Step<'static, MutualFailure> {
        match (self.take_challenge(head, name, inputs), head.status()) {
            (Ok(true), _) => self.send(),
            (Ok(false), 401) => self.done(Outcome::Refused),
            (Ok(false), status) => self.unverified(status),
            (Err(error), _) => self.failed(error),
        }
    }

    /// Takes the response to a req-KEX-C1 message, or with `request` to a req-VFY-C message.
    fn after_proof(
        &mut self,
        request: Option<Unverified>,
        head: &dyn ResponseHead,
        inputs: &Inputs<'_>,
    ) -> Step<'static, MutualFailure> {
        let status = head.status();
        if status != 401 {
            match request.as_ref().and_then(|one| self.verifies(one, head)) {
                Some(true) => {
                    self.verified = request;
                    self.is_pinned = true;
                    self.take_control(head, inputs);
                    return self.done(Outcome::Proved);
                }
                // A wrong proof is fatal, whatever else is accepted (section 10.1).
                Some(false) => self.is_within = true,
                None => {}
            }
            // A session that was verified before stays.
            if request.is_none() || self.has_exchanged {
                self.forget();
            }
            return self.unverified(status);
        }
        match self.answer(head) {
            Some(ServerMessage::KexS1 { sid, ks1, limits }) => {
                match self.finish_exchange(sid, ks1, limits) {
                    Ok(()) => self.send(),
                    Err(error) => {
                        self.forget();
                        self.failed(error)
                    }
                }
            }
            Some(ServerMessage::Init(Reason::StaleSession)) if request.is_some() => {
                self.forget();
                if self.has_exchanged {
                    return self.failed(MutualFailure::StaleAtOnce);
                }
                match self.begin_exchange(inputs) {
                    Ok(()) => self.send(),
                    Err(error) => self.failed(error),
                }
            }
            Some(ServerMessage::Init(reason)) => {
                self.forget();
                self.refused = Some(reason);
                self.done(Outcome::Refused)
            }
            // Another realm: only if this was the first request.
            None => {
                self.forget();
                if self.is_within {
                    return self.failed(MutualFailure::OutOfOrder);
                }
                self.follow(head, WWW_AUTHENTICATE, inputs)
            }
        }
    }

    /// Returns the first message of the realm that was agreed on.
    fn answer<'h>(&self, head: &'h dyn ResponseHead) -> Option<ServerMessage<'h>> {
        let realm = self.realm.as_ref()?;
        let scope = self.origin.single_server_scope();
        let mut all = Received::new(head, WWW_AUTHENTICATE);
        all.find_map(|fields| {
            let Challenged { terms, message } = Challenged::of(&fields)?;
            let is_expected = matches!(message, ServerMessage::Init(_)) || self.is_exchanging;
            (is_expected && terms.are(realm, self.validation, scope)).then_some(message)
        })
    }

    fn finish_exchange(
        &mut self,
        sid: SessionId,
        ks1: Value<'_>,
        limits: SessionLimits,
    ) -> Result<(), MutualError> {
        let algorithm = self.realm.as_ref().ok_or(MutualError::Realm)?.algorithm();
        let value = message::element(algorithm, ks1).ok_or(MutualError::Value)?;
        let exchange = &mut self.exchange;
        let session = exchange.finish(algorithm, &self.pi, sid, value, limits);
        self.is_exchanging = false;
        self.session = Some(session?);
        Ok(())
    }

    /// Returns true if the server has proved itself in the response to a request, and false if it has tried.
    fn verifies(&self, request: &Unverified, head: &dyn ResponseHead) -> Option<bool> {
        let (session, binding) = (self.session.as_ref()?, self.binding()?);
        let infos = (0..).map_while(|nth| head.field(AUTHENTICATION_INFO, nth));
        let texts = infos.filter_map(|info| str::from_utf8(info).ok());
        let verified = texts.filter_map(|info| session.verify(request, binding, info));
        verified.max()
    }

    /// Takes a response without the server's proof: acceptable, if at all, for the first request of a sequence alone (section 10.1).
    #[inline(never)]
    fn unverified(&mut self, status: u16) -> Step<'static, MutualFailure> {
        let is_accepted = match self.settings.unverified {
            UnverifiedResponses::Never => false,
            UnverifiedResponses::BeforeChallenge => self.realm.is_none(),
            UnverifiedResponses::Always => !self.is_within,
        };
        if is_accepted {
            return self.done(Outcome::NotAsked);
        }
        self.failed(MutualFailure::ServerNotProved { status })
    }

    /// Obeys Authentication-Control in a response that is verified.
    #[inline(never)]
    fn take_control(&mut self, head: &dyn ResponseHead, inputs: &Inputs<'_>) {
        for entry in Received::new(head, AUTHENTICATION_CONTROL) {
            let Some(realm) = &self.realm else { break };
            match (logout_timeout(&entry, realm), inputs.unix_time) {
                (Some(0), _) => self.log_out(),
                (Some(timeout), Some(now)) => {
                    self.expires = Some(now.saturating_add(u64::from(timeout)));
                }
                // Without a clock the session lasts as long as the server has it.
                _ => {}
            }
        }
    }
}

/// Returns the binding for a method.
fn binding_of(bindings: &[HostValidation], method: Validation) -> Option<&HostValidation> {
    bindings.iter().find(|one| one.method() == method)
}

impl Prover for MutualProver {
    type Failure = MutualFailure;

    fn kind(&self) -> &'static str {
        super::KIND
    }

    /// A channel without a binding (plain HTTP) can be proved by `host` alone.
    fn begin(&mut self, channel: &dyn Exporter, _: &Inputs<'_>) -> Step<'_, MutualFailure> {
        self.bindings.clear();
        for method in self.settings.validations {
            let binding = match method {
                Validation::Host => Some(HostValidation::host(&self.origin)),
                Validation::TlsExporter => HostValidation::tls_exporter(channel).ok(),
                Validation::TlsServerEndPoint => {
                    let mut binding = None;
                    channel.with_server_end_point(&mut |value| {
                        binding = Some(HostValidation::of_end_point(value));
                    });
                    binding
                }
                Validation::TlsUnique => None,
            };
            if let Some(binding) = binding {
                // Cannot fail: there are three methods that have a binding here.
                let _ = self.bindings.push(binding);
            }
        }
        // A request that was under way on another connection has no answer here.
        self.abandon();
        self.sent = Sent::Nothing;
        self.verified = None;
        Step::Send
    }

    fn answered(&mut self, _: &[u8]) -> Step<'_, MutualFailure> {
        Step::Failed(MutualFailure::Misused)
    }

    fn write_fields(
        &mut self,
        request: &RequestTarget<'_>,
        inputs: &Inputs<'_>,
        out: &mut dyn FieldSink,
    ) -> Result<(), MutualFailure> {
        self.is_safe = matches!(request.method, "GET" | "HEAD" | "OPTIONS");
        self.refused = None;
        let is_expired = |until: u64| inputs.unix_time.is_some_and(|now| now >= until);
        if self.session.as_ref().is_some_and(Session::is_exhausted) {
            self.forget();
        }
        if self.expires.is_some_and(is_expired) {
            self.log_out();
        }
        if self.is_known && self.session.is_none() && !self.is_exchanging {
            self.begin_exchange(inputs)?;
        }
        let mut error = MutualFailure::Mutual(MutualError::BufferTooSmall);
        let mut sent = Sent::Normal;
        let binding = binding_of(&self.bindings, self.validation);
        let written = match (&self.realm, &mut self.session) {
            (Some(realm), _) if self.is_exchanging => {
                self.has_exchanged = true;
                sent = Sent::KexC1;
                let (validation, user) = (self.validation, &self.user);
                out.put_with("authorization", MAX_MESSAGE_LEN, &mut |out| {
                    let written = self.exchange.write(realm, validation, user, out);
                    written.ok().map(str::len)
                })
            }
            (Some(realm), Some(session)) => {
                // Without it, this connection does not have what the session was agreed on.
                let binding = binding.ok_or(MutualFailure::WeakValidation)?;
                out.put_with("authorization", MAX_MESSAGE_LEN, &mut |out| match session
                    .write(realm, binding, out)
                {
                    Ok((text, unverified)) => {
                        sent = Sent::VfyC(unverified);
                        Some(text.len())
                    }
                    Err(reason) => {
                        error = reason.into();
                        None
                    }
                })
            }
            _ => Ok(()),
        };
        self.sent = sent;
        written.map_err(|_| error)
    }

    fn response(
        &mut self,
        head: &dyn ResponseHead,
        inputs: &Inputs<'_>,
    ) -> Step<'_, MutualFailure> {
        match core::mem::replace(&mut self.sent, Sent::Nothing) {
            // There is nothing that this could be the answer to.
            Sent::Nothing => self.failed(MutualFailure::Misused),
            Sent::Normal => self.after_normal(head, inputs),
            Sent::KexC1 => self.after_proof(None, head, inputs),
            Sent::VfyC(request) => self.after_proof(Some(request), head, inputs),
        }
    }

    fn verifies_server(&self) -> bool {
        true
    }

    fn declined(&self) -> Option<MutualFailure> {
        let unacceptable = |reason| match reason {
            Unacceptable::Terms => MutualFailure::UnknownTerms,
            Unacceptable::Scope => MutualFailure::ForeignScope,
            Unacceptable::Realm => MutualFailure::OtherRealm,
            Unacceptable::Validation => MutualFailure::WeakValidation,
        };
        let refused = self.refused.map(MutualFailure::Refused);
        refused.or_else(|| self.unacceptable.map(unacceptable))
    }
}

impl fmt::Debug for MutualProver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MutualProver({}, {:?}, hidden)", self.origin, self.user)
    }
}
