use super::{AuthenticatorPolicy, OnConnection};
use crate::{
    authenticator::{
        AnswerError, AskError, CertifiedIdentity, Credentials, Trust, decline,
        header_fields::{self, AUTHENTICATOR_HEADER, FieldError, MAX_REQUEST_LEN, REQUEST_HEADER},
    },
    gateway::{Channel, channel::WeakChannel, next_layer},
};
use axum::{
    body::Body,
    extract::NestedPath,
    http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header},
};
use chanbind_core::{
    authenticator::{
        self as ea, AuthenticateError, ChannelError, MalformedMessage, RequestError, ValidateError,
    },
    binding::Side,
};
use std::{
    collections::HashSet,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    task::{Context, Poll},
};
use tower::{Layer, Service};

/// A layer that lets requests through whose connection has proved the certificates that its policy asks for, and proves the gateway's further
/// identities to clients that ask. `docs/HTTP-AUTHENTICATORS.md` says what travels.
///
/// A handler below takes [`CertifiedIdentity`] as an extractor.
#[derive(Clone)]
pub struct AuthenticatorLayer {
    shared: Arc<Shared>,
}

/// What [`AuthenticatorLayer`] makes of a service.
#[derive(Clone)]
pub struct AuthenticatorService<S> {
    inner: S,
    shared: Arc<Shared>,
}

struct Shared {
    number: u64,
    policy: AuthenticatorPolicy,
    identities: Vec<Credentials>,
    /// Keys that are not believed any more, as SHA-256 of SubjectPublicKeyInfo.
    revoked: RwLock<HashSet<[u8; 32]>>,
    /// Connections on which something may be proved.
    channels: Mutex<Vec<WeakChannel>>,
}

impl AuthenticatorLayer {
    /// By a policy.
    #[must_use]
    pub fn new(policy: AuthenticatorPolicy) -> Self {
        Self::with_identities(policy, Vec::new())
    }

    /// As [`AuthenticatorLayer::new`], with identities that are proved to clients which ask: the first that suits.
    #[must_use]
    pub fn with_identities(policy: AuthenticatorPolicy, identities: Vec<Credentials>) -> Self {
        Self {
            shared: Arc::new(Shared {
                number: next_layer(),
                policy,
                identities,
                revoked: RwLock::default(),
                channels: Mutex::default(),
            }),
        }
    }

    /// Believes a key no more, by SHA-256 of its SubjectPublicKeyInfo, and closes the connections that have proved it. Gives how many. It is
    /// not written down: after a restart, say so again, before the first connection.
    pub fn revoke(&self, spki_sha256: [u8; 32]) -> usize {
        self.shared
            .revoked
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(spki_sha256);
        self.close_where(|identity| *identity.spki_sha256() == spki_sha256)
    }

    /// Closes the connections on which somebody for whom `is` holds has proved itself. Gives how many.
    pub fn close_where(&self, is: impl Fn(&CertifiedIdentity) -> bool) -> usize {
        let channels: Vec<Channel> = {
            let mut channels = self.shared.channels();
            channels.retain(|channel| channel.upgrade().is_some());
            channels.iter().filter_map(WeakChannel::upgrade).collect()
        };
        let closed = channels.iter().filter(|channel| {
            let there = channel.authenticators();
            let is_it = !channel.is_closed() && there.is_ok_and(|there| there.has_proved(&is));
            if is_it {
                channel.close();
            }
            is_it
        });
        closed.count()
    }
}

impl<S> Layer<S> for AuthenticatorLayer {
    type Service = AuthenticatorService<S>;

    fn layer(&self, inner: S) -> AuthenticatorService<S> {
        AuthenticatorService {
            inner,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, B> Service<Request<B>> for AuthenticatorService<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let version = request.version();
            let Some(channel) = request.extensions().get::<Channel>().cloned() else {
                return Ok(answer(&Refusal::NoChannel, version));
            };
            let own = match shared.own(&channel, request.headers()).await {
                Ok(own) => own,
                Err(refusal) => return Ok(answer(&refusal, version)),
            };
            // A nested router has taken off the front of the path, and the rules are about whole paths.
            if request.extensions().get::<NestedPath>().is_some()
                && shared.policy.depends_on_paths()
            {
                return Ok(answer(&Refusal::Nested, version));
            }
            // The path that the inner service uses is judged, also where a middleware has rewritten it.
            let path = request.uri().path();
            let mut response = match shared.judge(&channel, path, request.headers()) {
                Ok(identity) => {
                    if let Some(identity) = identity {
                        request.extensions_mut().insert(identity);
                    }
                    inner.call(request).await?
                }
                Err(refusal) => answer(&refusal, version),
            };
            if let Some(own) = own {
                response.headers_mut().insert(AUTHENTICATOR_HEADER, own);
            }
            Ok(response)
        })
    }
}

impl Shared {
    /// Who has proved itself for `path`; `None` where nobody need.
    fn judge(
        &self,
        channel: &Channel,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Option<CertifiedIdentity>, Refusal> {
        let needed = self.policy.trust(path).map_err(|_| Refusal::Path)?;
        let Some(trust) = needed else {
            return Ok(None);
        };
        let here = channel.authenticators().map_err(Refusal::Channel)?;
        // Before anything is proved, so that nobody is missed who is to be closed.
        if here.is_new_to(self.number) {
            let mut channels = self.channels();
            channels.retain(|channel| channel.upgrade().is_some());
            channels.push(channel.downgrade());
        }
        let challenge = |reason: Option<Reason>| challenge(here, trust, reason);
        if let Some(identity) = self
            .believed(here, trust)
            .map_err(|why| challenge(Some(why)))?
        {
            return Ok(Some(identity));
        }
        let Some(presented) = header_fields::presented(headers).map_err(Refusal::Credentials)?
        else {
            return Err(challenge(None));
        };
        match here.present(&presented) {
            Ok(identity) => {
                tracing::debug!(name = identity.name(), "authenticator accepted");
            }
            Err(ValidateError::Malformed(malformed)) => return Err(Refusal::Malformed(malformed)),
            Err(ValidateError::Empty) => return Err(Refusal::Declined),
            // Another request of this connection may have presented it meanwhile.
            Err(ValidateError::Context) => {}
            Err(error) => return Err(challenge(Some(error.into()))),
        }
        // It may have answered the request of another path.
        self.believed(here, trust)
            .and_then(|identity| identity.map(Some).ok_or(ValidateError::Context.into()))
            .map_err(|why| challenge(Some(why)))
    }

    /// Who has proved itself to `trust`, unless its key is revoked: then it is forgotten.
    fn believed(
        &self,
        here: &OnConnection,
        trust: &Trust,
    ) -> Result<Option<CertifiedIdentity>, Reason> {
        let Some(identity) = here.proved(trust) else {
            return Ok(None);
        };
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        if revoked.contains(identity.spki_sha256()) {
            here.forget(trust);
            return Err(Reason::Revoked(identity.name()));
        }
        Ok(Some(identity))
    }

    /// The gateway's own authenticator, where the client asks for one.
    async fn own(
        &self,
        channel: &Channel,
        headers: &HeaderMap,
    ) -> Result<Option<HeaderValue>, Refusal> {
        let field = header_fields::field(headers, &REQUEST_HEADER, MAX_REQUEST_LEN);
        let Some(bytes) = field.map_err(Refusal::RequestField)? else {
            return Ok(None);
        };
        let request = ea::Request::parse(&bytes).map_err(Refusal::Request)?;
        if request.sender() != Side::Client {
            return Err(Refusal::Answer(AuthenticateError::OwnRequest));
        }
        let here = channel.authenticators().map_err(Refusal::Channel)?;
        for identity in &self.identities {
            match identity.answer(here.endpoint(), &request).await {
                Ok(authenticator) => return Ok(Some(header_fields::field_value(&authenticator))),
                Err(AnswerError::Authenticate(AuthenticateError::Unsuitable(reason))) => {
                    tracing::debug!(%reason, "an identity does not suit");
                }
                Err(AnswerError::Authenticate(
                    error @ (AuthenticateError::ContextUsed | AuthenticateError::ContextsExhausted),
                )) => return Err(Refusal::Answer(error)),
                Err(error) => {
                    tracing::error!(%error, "no authenticator for a client that asks");
                    return Ok(None);
                }
            }
        }
        let declined = decline(here.endpoint(), &request).map_err(Refusal::Answer)?;
        Ok(Some(header_fields::field_value(&declined)))
    }

    fn channels(&self) -> MutexGuard<'_, Vec<WeakChannel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an authenticator is not believed.
#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("{0}")]
    NotValid(ValidateError),
    #[error("the key of {0} is revoked")]
    Revoked(String),
}

impl From<ValidateError> for Reason {
    fn from(error: ValidateError) -> Self {
        Self::NotValid(error)
    }
}

fn challenge(here: &OnConnection, trust: &Trust, reason: Option<Reason>) -> Refusal {
    match here.request(trust) {
        Ok(request) => Refusal::Challenge { request, reason },
        Err(AskError::Request(RequestError::ContextsExhausted)) => Refusal::Exhausted,
        Err(error) => Refusal::Ask(error),
    }
}

/// Why a request does not go through. Display is for the operator's log.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{}", reason.as_ref().map_or("no authenticator".to_owned(), ToString::to_string))]
    Challenge {
        request: Vec<u8>,
        reason: Option<Reason>,
    },
    #[error(
        "the path can be read in several ways: write it without encoded letters and separators, dot segments, parameters and control bytes, and in the case of the rules"
    )]
    Path,
    #[error(
        "the layer is inside of Router::nest, and its policy has rules for paths: put it around the outermost router, or give it one rule for everything"
    )]
    Nested,
    #[error("Authorization: {0}")]
    Credentials(FieldError),
    #[error("Authorization: no authenticator: {0}")]
    Malformed(MalformedMessage),
    #[error("{REQUEST_HEADER}: {0}")]
    RequestField(FieldError),
    #[error("{REQUEST_HEADER}: no request: {0}")]
    Request(MalformedMessage),
    #[error("{REQUEST_HEADER}: {0}")]
    Answer(AuthenticateError),
    #[error("the client declines: it sent the empty authenticator")]
    Declined,
    #[error("no more authenticators can be asked for on this connection")]
    Exhausted,
    #[error("no request can be made: {0}")]
    Ask(AskError),
    #[error("{0}")]
    Channel(ChannelError),
    #[error(
        "the server gave the request no Channel: serve it with chanbind::gateway::serve, or put one into its extensions"
    )]
    NoChannel,
}

fn answer(refusal: &Refusal, version: Version) -> Response<Body> {
    let (status, reason) = match refusal {
        Refusal::Challenge { .. } => (
            StatusCode::UNAUTHORIZED,
            "prove who you are on this connection\n".to_owned(),
        ),
        Refusal::Declined => (StatusCode::FORBIDDEN, String::new()),
        Refusal::Exhausted | Refusal::Answer(AuthenticateError::ContextsExhausted) => (
            StatusCode::MISDIRECTED_REQUEST,
            "open a new connection\n".to_owned(),
        ),
        Refusal::Ask(_) | Refusal::Channel(_) | Refusal::NoChannel | Refusal::Nested => {
            (StatusCode::INTERNAL_SERVER_ERROR, String::new())
        }
        Refusal::Path
        | Refusal::Credentials(_)
        | Refusal::Malformed(_)
        | Refusal::RequestField(_)
        | Refusal::Request(_)
        | Refusal::Answer(_) => (StatusCode::BAD_REQUEST, format!("{refusal}\n")),
    };
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(reason = %refusal, "request refused");
    } else if matches!(refusal, Refusal::Challenge { reason: None, .. }) {
        tracing::debug!(%status, reason = %refusal, "request refused");
    } else {
        tracing::info!(%status, reason = %refusal, "request refused");
    }
    let mut response = Response::new(Body::from(reason));
    *response.status_mut() = status;
    if let Refusal::Challenge { request, .. } = refusal {
        let challenge = header_fields::challenge(request);
        (response.headers_mut()).insert(header::WWW_AUTHENTICATE, challenge);
    }
    // HTTP/2 has no such field.
    if status == StatusCode::MISDIRECTED_REQUEST && version < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

impl fmt::Debug for AuthenticatorLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthenticatorLayer({:?})", self.shared.policy)
    }
}

impl<S> fmt::Debug for AuthenticatorService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticatorService")
    }
}
