//! The client's side as a machine for any driver, by the decision procedure of RFC 8120 section 10.

use super::{
    AUTHENTICATION_INFO, ClientExchange, ClientSession, HostValidation, MAX_MESSAGE_LEN,
    MAX_USER_LEN, MutualError, Origin, Password, Realm, Reason, SCHEME, SecretNumber, Unverified,
    Validation,
    algorithm::Algorithm,
    control::{AUTHENTICATION_CONTROL, Control, OPTIONAL_WWW_AUTHENTICATE},
    message::{Challenged, Terms},
    realm,
};
use crate::{
    error_messages,
    exporter::Exporter,
    http_auth::challenges,
    proof::{FieldSink, Inputs, Outcome, Prover, RequestTarget, ResponseHead, Step},
};
use core::fmt;
use heapless::{String, Vec};

/// Proves a user's password, and verifies that the server has its counterpart.
///
/// One value serves one server; its session outlives connections. [`Prover::response`] computes where other kinds of proof ask a key: pi once for a
/// realm, and two scalar multiplications for each key exchange.
///
/// The outcome [`Outcome::Proved`] means that both sides are proved, and that the head of the response is the server's answer to this request. With
/// [`Outcome::NotAsked`] nothing is proved; it is possible only before the server has asked for a proof.
pub struct MutualProver {
    origin: Origin,
    user: String<MAX_USER_LEN>,
    password: Password,
    settings: MutualSettings,
    /// The bindings of the connection, the preferred first.
    bindings: Vec<HostValidation, 3>,
    credential: Option<(Realm, SecretNumber)>,
    state: State,
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

/// The servers and messages that a [`MutualProver`] accepts.
#[derive(Debug, Clone, Copy)]
pub struct MutualSettings {
    /// The algorithms: of several challenges, the first whose algorithm is among them. Default: all of this build.
    pub algorithms: &'static [Algorithm],
    /// The host validation methods, the preferred first. Default: over TLS the exporter, then the certificate; over plain HTTP the host.
    pub validations: &'static [Validation],
    /// True if an unverified response is accepted as [`Outcome::NotAsked`] also when a session exists, for servers only parts of which need a
    /// proof. Default: false, because a man in the middle could make such a response.
    pub accepts_unverified: bool,
}

impl MutualSettings {
    /// Returns the defaults for a server.
    #[must_use]
    pub fn of(origin: &Origin) -> Self {
        Self {
            algorithms: Algorithm::ALL,
            validations: if origin.is_https() {
                &[Validation::TlsExporter, Validation::TlsServerEndPoint]
            } else {
                &[Validation::Host]
            },
            accepts_unverified: false,
        }
    }
}

enum State {
    /// No realm is known: the next request has no fields.
    Unknown,
    /// A realm is known, and the next request begins a key exchange.
    Known(Realm, Validation),
    /// A key exchange is begun; with true, its message is sent.
    Exchanging(ClientExchange, Validation, bool),
    /// A session; the request whose answer is not there yet.
    Session(ClientSession, Validation, Option<Unverified>),
}

/// The reason why a challenge of a server is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Unacceptable {
    Terms,
    Scope,
    Validation,
}

/// The reason why a proof of this kind failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MutualFailure {
    /// The authentication cannot be carried out.
    Mutual(MutualError),
    /// The server does not know the password, or another has answered in its place.
    ServerNotProved {
        /// The status of the answer.
        status: u16,
    },
    /// The server answered with a message that has no place here.
    OutOfOrder,
    /// The server dropped a session right after its key exchange.
    StaleAtOnce,
    /// The server refused the proof.
    Refused(Reason),
    /// The server asks for an algorithm that this client does not have, or the challenge is malformed.
    UnknownTerms,
    /// The server's authentication scope does not cover it.
    ForeignScope,
    /// The server asks for a host validation method that this client does not accept.
    WeakValidation,
    /// The machine was called out of order.
    Misused,
}

error_messages! { MutualFailure {
    Self::Mutual(error) => "{}", error;
    Self::ServerNotProved { status } => "the answer with status {} is not proved to come from a server that knows this user: nothing of it was used. Another may listen in between", status;
    Self::OutOfOrder => "the server's message has no place in the exchange";
    Self::StaleAtOnce => "the server dropped the session right after the key exchange: it may be overloaded. Try later";
    Self::Refused(reason) => "the server refused the proof ({}): check user and password", reason.token();
    Self::UnknownTerms => "the server offers no algorithm or realm that this client understands";
    Self::ForeignScope => "the authentication scope in the server's challenge does not cover the server: a password must not be used there";
    Self::WeakValidation => "the server offers no host validation method that this client accepts on this connection";
    Self::Misused => "the prover was called out of order";
}}

impl core::error::Error for MutualFailure {}

impl From<MutualError> for MutualFailure {
    fn from(error: MutualError) -> Self {
        Self::Mutual(error)
    }
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
            credential: None,
            state: State::Unknown,
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
        self.state = State::Known(realm, validation);
        self
    }

    /// Returns the session, if there is one.
    #[must_use]
    pub fn session(&self) -> Option<&ClientSession> {
        match &self.state {
            State::Session(session, ..) => Some(session),
            _ => None,
        }
    }

    /// Forgets the session. The next request begins a new key exchange.
    pub fn log_out(&mut self) {
        self.state = match core::mem::replace(&mut self.state, State::Unknown) {
            State::Session(session, validation, _) => {
                State::Known(session.realm().clone(), validation)
            }
            other => other,
        };
        self.expires = None;
    }

    fn binding(&self, validation: Validation) -> Option<&HostValidation> {
        let mut all = self.bindings.iter();
        all.find(|one| one.method() == validation)
    }

    /// Begins a key exchange.
    fn exchange(
        &mut self,
        realm: Realm,
        validation: Validation,
        inputs: &Inputs<'_>,
    ) -> Result<(), MutualError> {
        if self
            .credential
            .as_ref()
            .is_none_or(|(one, _)| *one != realm)
        {
            let pi = realm.credential(&self.user, self.password.as_str())?;
            self.credential = Some((realm.clone(), pi));
        }
        let (_, pi) = self.credential.as_ref().ok_or(MutualError::Value)?;
        let exchange = ClientExchange::begin(realm, pi.clone(), inputs.random)?;
        self.state = State::Exchanging(exchange, validation, false);
        Ok(())
    }

    /// Begins a key exchange for the best challenge in the fields with this name. Returns false if none is acceptable.
    fn take_challenge(
        &mut self,
        head: &dyn ResponseHead,
        name: &str,
        inputs: &Inputs<'_>,
    ) -> Result<bool, MutualError> {
        let default_scope = self.origin.single_server_scope();
        let mut best: Option<(usize, Realm, Validation)> = None;
        for terms in all_terms(head, name) {
            let Some(realm) = terms.realm(self.settings.algorithms, &default_scope) else {
                self.unacceptable = Some(Unacceptable::Terms);
                continue;
            };
            if !self.origin.is_covered_by(realm.auth_scope()) {
                self.unacceptable = Some(Unacceptable::Scope);
                continue;
            }
            let position = self
                .bindings
                .iter()
                .position(|one| terms.validates_by(one.method()));
            let Some((rank, binding)) = position.and_then(|at| Some((at, self.bindings.get(at)?)))
            else {
                self.unacceptable = Some(Unacceptable::Validation);
                continue;
            };
            if best.as_ref().is_none_or(|(other, ..)| rank < *other) {
                best = Some((rank, realm, binding.method()));
            }
        }
        let Some((_, realm, validation)) = best else {
            return Ok(false);
        };
        self.unacceptable = None;
        self.exchange(realm, validation, inputs)?;
        Ok(true)
    }

    /// Ends the sequence.
    fn done(&mut self, outcome: Outcome) -> Step<'static, MutualFailure> {
        self.is_within = false;
        self.has_exchanged = false;
        Step::Done(outcome)
    }

    fn failed(&mut self, failure: impl Into<MutualFailure>) -> Step<'static, MutualFailure> {
        self.is_within = false;
        self.has_exchanged = false;
        if matches!(self.state, State::Exchanging(..)) {
            self.state = State::Unknown;
        }
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
            401 => "www-authenticate",
            // The request has been carried out: it must not be sent again if it changes anything.
            _ if self.is_safe => OPTIONAL_WWW_AUTHENTICATE,
            _ => return self.done(Outcome::NotAsked),
        };
        match self.take_challenge(head, name, inputs) {
            Ok(true) => self.send(),
            Ok(false) if head.status() == 401 => self.done(Outcome::Refused),
            Ok(false) => self.done(Outcome::NotAsked),
            Err(error) => self.failed(error),
        }
    }

    /// Takes the response to a req-KEX-C1 message.
    fn after_exchange(
        &mut self,
        exchange: ClientExchange,
        validation: Validation,
        head: &dyn ResponseHead,
        inputs: &Inputs<'_>,
    ) -> Step<'static, MutualFailure> {
        let status = head.status();
        if status != 401 {
            return self.unverified(status);
        }
        let scope = self.origin.single_server_scope();
        let mut begun = Some(exchange);
        let answer = each_challenge(head, "www-authenticate", |challenged| {
            let is_same = |terms: &Terms<'_>, begun: &Option<ClientExchange>| {
                begun
                    .as_ref()
                    .is_some_and(|one| terms.are(one.realm(), validation, &scope))
            };
            match challenged {
                Challenged::KexS1 { terms, exchange } if is_same(&terms, &begun) => {
                    begun.take().map(|begun| Ok(begun.finish_with(exchange)))
                }
                Challenged::Init { terms, reason } if is_same(&terms, &begun) => Some(Err(reason)),
                _ => None,
            }
        });
        match answer {
            Some(Ok(Ok(session))) => {
                self.state = State::Session(session, validation, None);
                self.send()
            }
            Some(Ok(Err(error))) => self.failed(error),
            Some(Err(reason)) => self.refuse(reason),
            // Another realm: only if this was the first request.
            None => self.change_realm(head, inputs),
        }
    }

    /// Takes the response to a req-VFY-C message.
    fn after_verification(
        &mut self,
        session: ClientSession,
        validation: Validation,
        request: &Unverified,
        head: &dyn ResponseHead,
        inputs: &Inputs<'_>,
    ) -> Step<'static, MutualFailure> {
        let status = head.status();
        if status != 401 {
            let Some(binding) = self.binding(validation) else {
                return self.failed(MutualFailure::Misused);
            };
            if !infos(head).any(|info| session.is_verified(request, binding, info)) {
                let is_fresh = self.has_exchanged;
                if !is_fresh {
                    self.state = State::Session(session, validation, None);
                }
                return self.unverified(status);
            }
            let realm = session.realm().clone();
            self.state = State::Session(session, validation, None);
            self.take_control(&realm, head, inputs);
            return self.done(Outcome::Proved);
        }
        let scope = self.origin.single_server_scope();
        let realm = session.realm().clone();
        let answer = each_challenge(head, "www-authenticate", |challenged| match challenged {
            Challenged::Init { terms, reason } if terms.are(&realm, validation, &scope) => {
                Some(reason)
            }
            _ => None,
        });
        match answer {
            Some(Reason::StaleSession) if self.has_exchanged => {
                self.failed(MutualFailure::StaleAtOnce)
            }
            Some(Reason::StaleSession) => match self.exchange(realm, validation, inputs) {
                Ok(()) => self.send(),
                Err(error) => self.failed(error),
            },
            Some(reason) => self.refuse(reason),
            None => self.change_realm(head, inputs),
        }
    }

    /// The user's credentials are not accepted.
    fn refuse(&mut self, reason: Reason) -> Step<'static, MutualFailure> {
        self.refused = Some(reason);
        self.done(Outcome::Refused)
    }

    /// Takes a response without the server's proof: acceptable, if at all, for the first request of a sequence alone (section 10.1).
    fn unverified(&mut self, status: u16) -> Step<'static, MutualFailure> {
        if self.is_within || !self.settings.accepts_unverified {
            return self.failed(MutualFailure::ServerNotProved { status });
        }
        self.done(Outcome::NotAsked)
    }

    fn change_realm(
        &mut self,
        head: &dyn ResponseHead,
        inputs: &Inputs<'_>,
    ) -> Step<'static, MutualFailure> {
        if self.is_within {
            return self.failed(MutualFailure::OutOfOrder);
        }
        match self.take_challenge(head, "www-authenticate", inputs) {
            Ok(true) => self.send(),
            Ok(false) => self.done(Outcome::Refused),
            Err(error) => self.failed(error),
        }
    }

    /// Obeys Authentication-Control in a response that is verified.
    fn take_control(&mut self, realm: &Realm, head: &dyn ResponseHead, inputs: &Inputs<'_>) {
        let values = (0..).map_while(|nth| head.field(AUTHENTICATION_CONTROL, nth));
        for value in values.filter_map(|value| str::from_utf8(value).ok()) {
            match (
                Control::parse(value, realm).logout_timeout,
                inputs.unix_time,
            ) {
                (Some(0), _) => self.log_out(),
                (Some(timeout), Some(now)) => self.expires = Some(now.saturating_add(timeout)),
                // Without a clock the session lasts as long as the server has it.
                _ => {}
            }
        }
    }
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
                    channel.with_server_certificate(&mut |certificate| {
                        binding = HostValidation::tls_server_end_point(certificate).ok();
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
        self.is_within = false;
        self.has_exchanged = false;
        self.state = match core::mem::replace(&mut self.state, State::Unknown) {
            // A request that was under way on another connection has no answer here.
            State::Session(session, validation, _) => State::Session(session, validation, None),
            State::Known(realm, validation) => State::Known(realm, validation),
            State::Exchanging(..) | State::Unknown => State::Unknown,
        };
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
        let has_nonces = self.session().is_none_or(|session| !session.is_exhausted());
        if !has_nonces || self.expires.is_some_and(is_expired) {
            self.log_out();
        }
        if let State::Known(realm, validation) = &self.state {
            let (realm, validation) = (realm.clone(), *validation);
            self.exchange(realm, validation, inputs)?;
        }
        let mut error = MutualFailure::Mutual(MutualError::BufferTooSmall);
        let written = match &mut self.state {
            State::Unknown | State::Known(..) => return Ok(()),
            State::Exchanging(exchange, validation, is_sent) => {
                *is_sent = true;
                self.has_exchanged = true;
                let (validation, user) = (*validation, &self.user);
                out.put_with("authorization", MAX_MESSAGE_LEN, &mut |out| {
                    let written = exchange.write(validation, user, out);
                    written.ok().map(str::len)
                })
            }
            State::Session(session, validation, request) => {
                let mut bindings = self.bindings.iter();
                let binding = bindings.find(|one| one.method() == *validation);
                let Some(binding) = binding else {
                    // This connection does not have what the session was agreed on.
                    return Err(MutualFailure::WeakValidation);
                };
                out.put_with("authorization", MAX_MESSAGE_LEN, &mut |out| match session
                    .write(binding, out)
                {
                    Ok((text, unverified)) => {
                        *request = Some(unverified);
                        Some(text.len())
                    }
                    Err(reason) => {
                        error = reason.into();
                        None
                    }
                })
            }
        };
        written.map_err(|_| error)
    }

    fn response(
        &mut self,
        head: &dyn ResponseHead,
        inputs: &Inputs<'_>,
    ) -> Step<'_, MutualFailure> {
        match core::mem::replace(&mut self.state, State::Unknown) {
            State::Unknown => self.after_normal(head, inputs),
            State::Exchanging(exchange, validation, true) => {
                self.after_exchange(exchange, validation, head, inputs)
            }
            State::Session(session, validation, Some(request)) => {
                self.after_verification(session, validation, &request, head, inputs)
            }
            // Nothing was sent that this could be the answer to.
            _ => self.failed(MutualFailure::Misused),
        }
    }

    fn declined(&self) -> Option<MutualFailure> {
        let unacceptable = |reason| match reason {
            Unacceptable::Terms => MutualFailure::UnknownTerms,
            Unacceptable::Scope => MutualFailure::ForeignScope,
            Unacceptable::Validation => MutualFailure::WeakValidation,
        };
        let refused = self.refused.map(MutualFailure::Refused);
        refused.or_else(|| self.unacceptable.map(unacceptable))
    }
}

/// Returns the first result of `f` on the Mutual challenges in the fields with this name.
fn each_challenge<'h, T>(
    head: &'h dyn ResponseHead,
    name: &str,
    mut f: impl FnMut(Challenged<'h>) -> Option<T>,
) -> Option<T> {
    let values = (0..).map_while(|nth| head.field(name, nth));
    let texts = values.filter_map(|value| str::from_utf8(value).ok());
    let mut all = texts
        .flat_map(challenges)
        .filter(|challenge| challenge.is(SCHEME));
    all.find_map(|challenge| f(Challenged::parse(&challenge).ok()?))
}

/// Iterates over the terms of the 401-INIT messages in the fields with this name.
fn all_terms<'h>(
    head: &'h dyn ResponseHead,
    name: &'h str,
) -> impl Iterator<Item = Terms<'h>> + 'h {
    let values = (0..).map_while(move |nth| head.field(name, nth));
    let texts = values.filter_map(|value| str::from_utf8(value).ok());
    let all = texts
        .flat_map(challenges)
        .filter(|challenge| challenge.is(SCHEME));
    all.filter_map(|challenge| match Challenged::parse(&challenge) {
        Ok(Challenged::Init { terms, .. }) => Some(terms),
        _ => None,
    })
}

/// Iterates over the values of Authentication-Info.
fn infos(head: &dyn ResponseHead) -> impl Iterator<Item = &str> {
    let values = (0..).map_while(|nth| head.field(AUTHENTICATION_INFO, nth));
    values.filter_map(|value| str::from_utf8(value).ok())
}

impl fmt::Debug for MutualProver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MutualProver({}, {:?}, hidden)", self.origin, self.user)
    }
}
