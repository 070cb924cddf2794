use super::{
    Channel, Identity, Registry,
    channel::{ClientOnChannel, KeyError},
    next_layer,
    presented::{Malformed, Presented},
};
use crate::{
    clock,
    proof::{Form, Settings},
};
use axum::{
    body::Body,
    http::{
        Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
        request::Parts,
    },
};
use chanbind_core::otp::{
    self, Policy, Purpose, TokenError, Uniqueness,
    jws::{self, Verified},
    nested, scratch_len,
};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll},
};
use tower::{Layer, Service};

/// Seconds by which a device's clock may differ.
const LEEWAY: u64 = 60;

/// Lets requests through that prove, on their own connection, who they are from. See the module for what it answers.
#[derive(Clone)]
pub struct ProofLayer {
    shared: Arc<Shared>,
}

/// What [`ProofLayer`] makes of a service.
#[derive(Clone)]
pub struct ProofService<S> {
    inner: S,
    shared: Arc<Shared>,
}

struct Shared {
    number: u64,
    registry: Registry,
    settings: Settings,
    challenge: HeaderValue,
}

impl ProofLayer {
    /// A layer for the clients of `registry`.
    #[must_use]
    pub fn new(registry: Registry, settings: Settings) -> Self {
        let challenge = format!(
            "Chanbind realm=\"chanbind\", proofs=\"api-key jws nested\", client-header=\"{}\", key-header=\"{}\", Bearer realm=\"chanbind\"",
            settings.client_header, settings.key_header
        );
        Self {
            shared: Arc::new(Shared {
                number: next_layer(),
                registry,
                settings,
                // Header names have no character that a header value must not have.
                challenge: HeaderValue::from_str(&challenge)
                    .unwrap_or(HeaderValue::from_static("Chanbind")),
            }),
        }
    }
}

impl<S> Layer<S> for ProofLayer {
    type Service = ProofService<S>;

    fn layer(&self, inner: S) -> ProofService<S> {
        ProofService {
            inner,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, B> Service<Request<B>> for ProofService<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ProofFuture<S::Future, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.shared.judge(&Asked::of(&request)) {
            Ok(Some(identity)) => ProofFuture::Admitted {
                inner: self.inner.call(admit(request, identity)),
            },
            Err(refusal) => ProofFuture::Refused {
                answer: Some(self.shared.answer(&refusal)),
            },
            // The first proof of a client on a connection: its key has to be derived, and that may take a TPM's time.
            Ok(None) => {
                let ready = self.inner.clone();
                let mut inner = std::mem::replace(&mut self.inner, ready);
                let shared = Arc::clone(&self.shared);
                let (parts, body) = request.into_parts();
                ProofFuture::Deriving {
                    done: Box::pin(async move {
                        match shared.derive_and_judge(&Asked::of_parts(&parts)).await {
                            Ok(identity) => {
                                let request = Request::from_parts(parts, body);
                                inner.call(admit(request, identity)).await
                            }
                            Err(refusal) => Ok(shared.answer(&refusal)),
                        }
                    }),
                }
            }
        }
    }
}

/// Puts the identity in, over whatever anybody else has put there.
fn admit<B>(mut request: Request<B>, identity: Identity) -> Request<B> {
    tracing::debug!(client = identity.client(), form = %identity.form(), "proof accepted");
    request.extensions_mut().insert(identity);
    request
}

/// What is looked at of a request.
struct Asked<'r> {
    headers: &'r HeaderMap,
    extensions: &'r Extensions,
    method: &'r Method,
    uri: &'r Uri,
}

impl<'r> Asked<'r> {
    fn of<B>(request: &'r Request<B>) -> Self {
        Self {
            headers: request.headers(),
            extensions: request.extensions(),
            method: request.method(),
            uri: request.uri(),
        }
    }

    fn of_parts(parts: &'r Parts) -> Self {
        Self {
            headers: &parts.headers,
            extensions: &parts.extensions,
            method: &parts.method,
            uri: &parts.uri,
        }
    }
}

pin_project! {
    /// The answer of a [`ProofService`].
    #[project = Projected]
    pub enum ProofFuture<F, E> {
        /// Let through.
        #[doc(hidden)]
        Admitted {
            #[pin]
            inner: F,
        },
        /// Answered here.
        #[doc(hidden)]
        Refused { answer: Option<Response<Body>> },
        /// A key is being derived.
        #[doc(hidden)]
        Deriving { done: Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>> },
    }
}

impl<F, E> Future for ProofFuture<F, E>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Admitted { inner } => inner.poll(cx),
            Projected::Refused { answer } => answer
                .take()
                .map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer))),
            Projected::Deriving { done } => done.as_mut().poll(cx),
        }
    }
}

impl<F, E> fmt::Debug for ProofFuture<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofFuture")
    }
}

/// Why a request does not go through. Display is for the operator's log.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("no proof")]
    NoProof,
    #[error("{0}")]
    Malformed(Malformed),
    #[error("client {client:?} is not in the registry")]
    Unknown { client: String },
    #[error("client {client:?}: {error}")]
    Wrong { client: String, error: TokenError },
    #[error(
        "the server gave the request no Channel: serve it with chanbind::gateway::serve, or put one into its extensions"
    )]
    NoChannel,
    #[error("no key for client {client:?}: {error}")]
    NoKey { client: String, error: KeyError },
}

impl Shared {
    /// Who the request is from; `None` if the keys to tell are not derived yet.
    fn judge(&self, request: &Asked<'_>) -> Result<Option<Identity>, Refusal> {
        let (channel, presented) = self.presented(request)?;
        let client = channel.client(&presented.client, self.number, &self.registry);
        self.verify(request, channel, &presented, &client)
    }

    async fn derive_and_judge(&self, request: &Asked<'_>) -> Result<Identity, Refusal> {
        let (channel, presented) = self.presented(request)?;
        let client = channel.client(&presented.client, self.number, &self.registry);
        let no_key = |error| Refusal::NoKey {
            client: presented.client.to_string(),
            error,
        };
        for purpose in purposes(presented.form) {
            client
                .derive(*purpose, channel, &self.registry, &self.settings)
                .await
                .map_err(no_key)?;
        }
        self.verify(request, channel, &presented, &client)?
            .ok_or_else(|| no_key(KeyError::Missing))
    }

    fn presented<'r>(&self, request: &Asked<'r>) -> Result<(&'r Channel, Presented<'r>), Refusal> {
        let channel = request
            .extensions
            .get::<Channel>()
            .ok_or(Refusal::NoChannel)?;
        let presented = Presented::find(request.headers, &self.settings)
            .map_err(Refusal::Malformed)?
            .ok_or(Refusal::NoProof)?;
        Ok((channel, presented))
    }

    fn verify(
        &self,
        request: &Asked<'_>,
        channel: &Channel,
        presented: &Presented<'_>,
        client: &ClientOnChannel,
    ) -> Result<Option<Identity>, Refusal> {
        let verified = match presented.form {
            Form::ApiKey => {
                let Some(expected) = client.api_key() else {
                    return Ok(None);
                };
                expected.verify(presented.value).map(|()| None)
            }
            Form::Jws => {
                let Some(signing) = client.signing() else {
                    return Ok(None);
                };
                self.token(
                    request,
                    channel,
                    presented,
                    client,
                    |token, policy, scratch| jws::verify(signing, token, policy, scratch),
                )
                .map(Some)
            }
            Form::Nested => {
                let (Some(signing), Some(encryption)) = (client.signing(), client.encryption())
                else {
                    return Ok(None);
                };
                let keys = nested::NestedKeys {
                    signing,
                    encryption,
                };
                self.token(
                    request,
                    channel,
                    presented,
                    client,
                    |token, policy, scratch| nested::open(&keys, token, policy, scratch),
                )
                .map(Some)
            }
        };
        // The same work was done for an unknown client; its answer does not count.
        match verified {
            Err(error @ TokenError::Malformed(_)) => {
                Err(Refusal::Malformed(Malformed::Token(error)))
            }
            _ if !client.is_known() => Err(Refusal::Unknown {
                client: presented.client.to_string(),
            }),
            Err(error) => Err(Refusal::Wrong {
                client: presented.client.to_string(),
                error,
            }),
            Ok(payload) => Ok(Some(Identity::new(client.id(), presented.form, payload))),
        }
    }

    /// The payload of a token that `verify` takes.
    fn token(
        &self,
        request: &Asked<'_>,
        channel: &Channel,
        presented: &Presented<'_>,
        client: &ClientOnChannel,
        verify: impl for<'s> FnOnce(&str, &Policy<'_>, &'s mut [u8]) -> Result<Verified<'s>, TokenError>,
    ) -> Result<Arc<[u8]>, TokenError> {
        let bind = self.settings.bind_request;
        let now = clock::now();
        let uri = match target_uri(request) {
            Some(uri) if bind => Some(uri),
            None if bind => return Err(TokenError::Refused(otp::TokenRefusal::Uri)),
            _ => None,
        };
        let policy = Policy {
            now: Some(now),
            leeway: LEEWAY,
            require_expiry: self.settings.require_expiry,
            method: bind.then(|| request.method.as_str()),
            uri: uri.as_deref(),
            token_id: if bind {
                Uniqueness::Required
            } else {
                Uniqueness::Any
            },
            ..Policy::default()
        };
        let mut scratch = zeroize::Zeroizing::new(vec![0; scratch_len(presented.value.len())]);
        let verified = verify(presented.value, &policy, &mut scratch)?;
        // A peer that knows one client only names whom it likes.
        let subject = verified
            .claims
            .subject
            .filter(|_| self.settings.default_client.is_none());
        if subject.is_some_and(|subject| subject != presented.client) {
            return Err(TokenError::Refused(otp::TokenRefusal::Subject));
        }
        if bind && client.is_known() {
            let mut seen = channel
                .seen()
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let expiry = verified.claims.expires_at.unwrap_or(u64::MAX);
            let id = verified.claims.token_id.unwrap_or_default();
            if !seen.insert(&presented.client, id, expiry.saturating_add(LEEWAY), now) {
                return Err(TokenError::Refused(otp::TokenRefusal::TokenId));
            }
        }
        Ok(verified.payload.into())
    }

    fn answer(&self, refusal: &Refusal) -> Response<Body> {
        let (status, reason) = match refusal {
            Refusal::Malformed(what) => (StatusCode::BAD_REQUEST, format!("{what}\n")),
            Refusal::NoChannel => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
            // A TPM or TLS fault of the gateway's own looks like a wrong proof: it would tell who is known.
            _ => (
                StatusCode::UNAUTHORIZED,
                "prove who you are on this connection\n".to_owned(),
            ),
        };
        if matches!(refusal, Refusal::NoChannel | Refusal::NoKey { .. }) {
            tracing::error!(reason = %refusal, "request refused");
        } else {
            tracing::info!(%status, reason = %refusal, "request refused");
        }
        let mut response = Response::new(Body::from(reason));
        *response.status_mut() = status;
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, self.challenge.clone());
        }
        response
    }
}

/// The keys that a form of proof is verified with.
fn purposes(form: Form) -> &'static [Purpose] {
    match form {
        Form::ApiKey => &[Purpose::ApiKey],
        Form::Jws => &[Purpose::Signing],
        Form::Nested => &[Purpose::Signing, Purpose::Encryption],
    }
}

/// The request's URI without query and fragment, as `htu` has it (RFC 9449 section 4.2); `None` where the request does not say
/// one host.
fn target_uri(request: &Asked<'_>) -> Option<String> {
    let mut hosts = request.headers.get_all(header::HOST).iter();
    let host = hosts.next().map(|host| host.to_str()).transpose().ok()?;
    let authority = request
        .uri
        .authority()
        .map(axum::http::uri::Authority::as_str);
    let one = match (authority, host) {
        (Some(authority), Some(host)) if authority != host => return None,
        (authority, host) => authority.or(host).filter(|one| !one.is_empty())?,
    };
    if hosts.next().is_some() {
        return None;
    }
    Some(format!("https://{one}{}", request.uri.path()))
}

impl fmt::Debug for ProofLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProofLayer({:?})", self.shared.registry)
    }
}

impl<S> fmt::Debug for ProofService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofService")
    }
}
