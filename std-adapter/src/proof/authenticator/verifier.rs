use super::{CertifiedIdentity, RequestTrustError, Trust, header_fields, session::Session};
use crate::{
    gateway::{Channel, WeakChannel},
    proof::{
        Identity, Recipient, Refusal, RefusalKind, RequestHead, Verdict, Verification, Verifier,
        remove_credentials,
    },
    unique,
};
use axum::http::{HeaderMap, HeaderValue};
use chanbind_core::authenticator::{RequestError, ValidateError};
use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

/// The owner of the state of all verifiers of this kind, which they share.
pub(super) const SHARED: u64 = 0;

/// Asks clients for an Exported Authenticator that a [`Trust`] accepts, and remembers for the connection who has given one.
/// `docs/proofs/AUTHENTICATOR.md` says what travels.
///
/// A handler below takes [`CertifiedIdentity`] as an extractor.
pub struct AuthenticatorVerifier {
    trust: Trust,
    revocations: Arc<Revocations>,
}

impl AuthenticatorVerifier {
    /// Creates a verifier that accepts all valid certificates of `trust`.
    #[must_use]
    pub fn new(trust: Trust) -> Arc<Self> {
        Self::with_revocations(trust, &Revocations::new())
    }

    /// Creates a verifier that refuses the keys in `revocations`, a list that it may share with others.
    #[must_use]
    pub fn with_revocations(trust: Trust, revocations: &Arc<Revocations>) -> Arc<Self> {
        Arc::new(Self {
            trust,
            revocations: Arc::clone(revocations),
        })
    }

    fn session(channel: &Channel) -> Arc<Session> {
        channel.state(SHARED, || Session::new(channel.exporter()))
    }

    /// Returns the identity that the connection has proved, unless its key is revoked: then it is forgotten.
    fn authorized(&self, session: &Session) -> Result<Option<CertifiedIdentity>, Refusal> {
        let proved = session.with(|state| state.proved(&self.trust));
        let Some(identity) = proved.map_err(Refusal::internal)? else {
            return Ok(None);
        };
        if self.revocations.contains(identity.spki_sha256()) {
            let _ = session.with(|state| state.forget(&self.trust));
            return Err(Refusal::not_proved(format_args!(
                "the key of {} is revoked",
                identity.name()
            )));
        }
        Ok(Some(identity))
    }

    fn check(&self, channel: &Channel, request: &RequestHead<'_>) -> Result<Verdict, Refusal> {
        let session = Self::session(channel);
        // Before anything is proved, so that no connection is missed that a revocation has to close.
        self.revocations.follow(channel);
        if let Some(identity) = self.authorized(&session)? {
            return Ok(accepted(identity));
        }
        let presented = header_fields::presented(request.headers);
        let presented = presented
            .map_err(|error| Refusal::malformed(format_args!("Authorization: {error}")))?;
        let Some(presented) = presented else {
            return Ok(Verdict::Absent);
        };
        match session.with(|state| state.present(&presented)) {
            Ok(Ok(identity)) => {
                tracing::debug!(name = identity.name(), "authenticator accepted");
            }
            Ok(Err(ValidateError::Malformed(malformed))) => {
                return Err(Refusal::malformed(format_args!(
                    "Authorization: no authenticator: {malformed}"
                )));
            }
            Ok(Err(ValidateError::Empty)) => {
                return Err(Refusal::new(
                    RefusalKind::Forbidden,
                    "the client declines: it sent the empty authenticator",
                ));
            }
            // Another request of this connection may have presented it meanwhile.
            Ok(Err(ValidateError::Context)) => {}
            Ok(Err(error)) => return Err(Refusal::not_proved(error)),
            Err(error) => return Err(Refusal::internal(error)),
        }
        // It may have answered the request of another path.
        match self.authorized(&session)? {
            Some(identity) => Ok(accepted(identity)),
            None => Err(Refusal::not_proved(ValidateError::Context)),
        }
    }
}

impl Verifier for AuthenticatorVerifier {
    fn kind(&self) -> &'static str {
        super::KIND
    }

    fn verify(self: Arc<Self>, channel: &Channel, request: &RequestHead<'_>) -> Verification {
        Verification::Ready(
            self.check(channel, request)
                .unwrap_or_else(Verdict::Refused),
        )
    }

    fn challenges(&self, channel: &Channel) -> Result<Vec<HeaderValue>, Refusal> {
        let session = Self::session(channel);
        let request = session.with(|state| state.request(&self.trust));
        match request.map_err(Refusal::internal)? {
            Ok(request) => Ok(vec![header_fields::challenge(&request)]),
            Err(RequestTrustError::Request(RequestError::ContextsExhausted)) => {
                let reason = "all requests for authenticators of this connection are used up";
                Err(Refusal::new(RefusalKind::Exhausted, reason))
            }
            Err(error) => Err(Refusal::internal(format_args!(
                "no authenticator can be asked for: {error}"
            ))),
        }
    }

    fn remove_proof(&self, recipient: Recipient, headers: &mut HeaderMap) {
        remove_credentials(headers, recipient, header_fields::SCHEME);
    }
}

fn accepted(identity: CertifiedIdentity) -> Verdict {
    let certificates = identity.shared_certificates();
    let identity = Identity::new(identity.shared_name(), super::KIND, identity);
    Verdict::accepted(identity.with_certificates(certificates))
}

/// Keys that are not accepted any more, by SHA-256 of their SubjectPublicKeyInfo.
pub struct Revocations {
    id: u64,
    keys: RwLock<HashSet<[u8; 32]>>,
    /// Connections on which something may be proved.
    channels: Mutex<Vec<WeakChannel>>,
}

impl Revocations {
    /// Creates an empty list.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            id: unique::id(),
            keys: RwLock::default(),
            channels: Mutex::default(),
        })
    }

    /// Revokes a key and closes the connections that authenticated with it. Returns their number. Not persisted: call again after a restart, before
    /// the first connection.
    pub fn revoke(&self, spki_sha256: [u8; 32]) -> usize {
        self.keys
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(spki_sha256);
        let channels: Vec<Channel> = self
            .channels()
            .iter()
            .filter_map(WeakChannel::upgrade)
            .collect();
        let is_it = |identity: &CertifiedIdentity| *identity.spki_sha256() == spki_sha256;
        let matching = channels.iter().filter(|channel| {
            let session = AuthenticatorVerifier::session(channel);
            !channel.is_closed() && session.has_proved(&is_it)
        });
        matching.inspect(|channel| channel.close()).count()
    }

    fn contains(&self, spki_sha256: &[u8; 32]) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.contains(spki_sha256)
    }

    /// Adds a connection, once.
    fn follow(&self, channel: &Channel) {
        let mut is_new = false;
        channel.state(self.id, || {
            is_new = true;
            Followed
        });
        if is_new {
            let mut channels = self.channels();
            channels.retain(|channel| channel.upgrade().is_some());
            channels.push(channel.downgrade());
        }
    }

    fn channels(&self) -> MutexGuard<'_, Vec<WeakChannel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a connection that a list of revocations follows.
struct Followed;

impl fmt::Debug for AuthenticatorVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthenticatorVerifier({:?})", self.trust)
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Revocations({} keys)", keys.len())
    }
}
