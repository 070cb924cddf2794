use super::{
    Channel, Identity, Registry,
    channel::{ClientOnChannel, KeyError},
    presented::{Malformed, Presented},
};
use crate::proof::{Form, Settings};
use axum::{
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode, header, request::Parts},
};
use chanbind_core::token::{
    OneTimeKey, Policy, Purpose, TokenError, Uniqueness, api_key, jws, nested, scratch_len,
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll},
    time::{SystemTime, UNIX_EPOCH},
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
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            // Nobody but this layer says who a request is from.
            parts.extensions.remove::<Identity>();
            match shared.verify(&parts).await {
                Ok(identity) => {
                    tracing::debug!(client = identity.client(), form = %identity.form(), "proof accepted");
                    parts.extensions.insert(identity);
                    inner.call(Request::from_parts(parts, body)).await
                }
                Err(refusal) => Ok(shared.answer(&refusal)),
            }
        })
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
    async fn verify(&self, request: &Parts) -> Result<Identity, Refusal> {
        let channel = request
            .extensions
            .get::<Channel>()
            .ok_or(Refusal::NoChannel)?
            .clone();
        let presented = Presented::find(&request.headers, &self.settings)
            .map_err(Refusal::Malformed)?
            .ok_or(Refusal::NoProof)?;
        let client = channel.client(&presented.client, &self.registry);
        let context = Verification {
            shared: self,
            channel: &channel,
            client: &client,
            presented: &presented,
        };
        let verified = match presented.form {
            Form::ApiKey => context.api_key().await,
            Form::Jws | Form::Nested => context.token(request).await,
        };
        // The same work was done for an unknown client; its answer does not count.
        match verified {
            Err(Failure::Token(TokenError::Malformed(what))) => Err(Refusal::Malformed(
                Malformed::Token(TokenError::Malformed(what)),
            )),
            Err(Failure::Key(error)) => Err(Refusal::NoKey {
                client: presented.client,
                error,
            }),
            _ if !client.is_known() => Err(Refusal::Unknown {
                client: presented.client,
            }),
            Err(Failure::Token(error)) => Err(Refusal::Wrong {
                client: presented.client,
                error,
            }),
            Ok(payload) => Ok(Identity::new(
                &presented.client,
                presented.form,
                payload.as_deref(),
            )),
        }
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

/// A proof that is being verified.
struct Verification<'v> {
    shared: &'v Shared,
    channel: &'v Channel,
    client: &'v ClientOnChannel,
    presented: &'v Presented<'v>,
}

enum Failure {
    Token(TokenError),
    Key(KeyError),
}

impl Verification<'_> {
    async fn key(&self, purpose: Purpose) -> Result<&OneTimeKey, Failure> {
        self.client
            .key(
                purpose,
                self.channel,
                &self.shared.registry,
                &self.shared.settings,
            )
            .await
            .map_err(Failure::Key)
    }

    async fn api_key(&self) -> Result<Option<Vec<u8>>, Failure> {
        let expected = self.key(Purpose::ApiKey).await?;
        api_key::verify(expected, self.presented.value).map_err(Failure::Token)?;
        Ok(None)
    }

    async fn token(&self, request: &Parts) -> Result<Option<Vec<u8>>, Failure> {
        let settings = &self.shared.settings;
        let signing = self.key(Purpose::Signing).await?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let uri = settings.bind_request.then(|| target_uri(request));
        let policy = Policy {
            now: Some(now),
            leeway: LEEWAY,
            require_expiry: settings.require_expiry,
            method: settings.bind_request.then(|| request.method.as_str()),
            uri: uri.as_deref(),
            token_id: if settings.bind_request {
                Uniqueness::Required
            } else {
                Uniqueness::Any
            },
            ..Policy::default()
        };
        let token = self.presented.value;
        let mut scratch = zeroize::Zeroizing::new(vec![0; scratch_len(token.len())]);
        let verified = match self.presented.form {
            Form::Nested => {
                let encryption = self.key(Purpose::Encryption).await?;
                let keys = nested::Keys {
                    signing,
                    encryption,
                };
                nested::open(&keys, token, &policy, &mut scratch)
            }
            _ => jws::verify(signing, token, &policy, &mut scratch),
        }
        .map_err(Failure::Token)?;
        if settings.bind_request {
            let mut seen = self
                .client
                .seen()
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let forget_at = verified
                .claims
                .expires_at
                .unwrap_or(u64::MAX)
                .saturating_add(LEEWAY);
            if !seen.insert(verified.claims.token_id.unwrap_or_default(), forget_at, now) {
                return Err(Failure::Token(TokenError::Refused(
                    chanbind_core::token::Refusal::TokenId,
                )));
            }
        }
        Ok(Some(verified.payload.to_vec()))
    }
}

/// The request's URI without query and fragment, as `htu` has it (RFC 9449 section 4.2).
fn target_uri(request: &Parts) -> String {
    let authority = request
        .uri
        .authority()
        .map(axum::http::uri::Authority::as_str)
        .or_else(|| {
            request
                .headers
                .get(header::HOST)
                .and_then(|host| host.to_str().ok())
        })
        .unwrap_or_default();
    format!("https://{authority}{}", request.uri.path())
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
