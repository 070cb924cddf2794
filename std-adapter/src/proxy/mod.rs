//! A reverse proxy: passes the requests of admitted clients on to a server behind the gateway, with their verified identity in header fields.
//!
//! ```no_run
//! use chanbind::{
//!     gateway::{Policy, ProofLayer, RegistryFile, serve},
//!     proof::otp::{OtpVerifier, Settings},
//!     proxy::{IdentityFields, ReverseProxy, Upstream},
//!     tls,
//! };
//! use tower::Layer;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let upstream = Upstream::parse("http://127.0.0.1:8080")?;
//! let proxy = ReverseProxy::new(upstream, IdentityFields::default());
//! let registry = RegistryFile::open("registry.toml".as_ref())?;
//! let policy = Policy::new().require("/", OtpVerifier::new(registry, Settings::default()));
//! let app = ProofLayer::new(policy).layer(proxy);
//! let tls = tls::server_config_from_pem(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
//! let listener = tokio::net::TcpListener::bind("[::]:8443").await?;
//! serve(listener, tls, app, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! # What the server behind it sees
//!
//! | field | value |
//! |---|---|
//! | those of [`IdentityFields`] | who the client is |
//! | X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host | the client's address, `https`, and the host that it asked for |
//! | Host | the host that the client asked for, over HTTP/1.1 |
//!
//! Fields of these names that a client sends are removed, on every path, also where `_` stands for `-`. The proofs themselves are removed by
//! [`ProofLayer`](crate::gateway::ProofLayer), and fields that are meant for one connection alone by RFC 9110 section 7.6.1.
//!
//! # Answers of the proxy itself
//!
//! | answer | when |
//! |---|---|
//! | 405 | the method is CONNECT or TRACE |
//! | 413 | the content of the request is longer than [`ReverseProxy::with_max_content`] allows |
//! | 500 | the identity cannot be passed on: the log says why |
//! | 502 | the upstream cannot be reached, or does not speak HTTP |
//! | 504 | the upstream did not answer in time |

mod fields;
mod identity;
mod throttle;
mod token;
mod tunnel;
mod upstream;

pub use identity::{IdentityFields, IdentityFieldsError};
pub use token::{TokenError, TokenSigner};
pub use upstream::{Upstream, UpstreamError};

use crate::{
    gateway::{Channel, Event, Identities, Observer, TunnelPermit},
    unique,
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Frame;
use std::{
    convert::Infallible,
    error::Error,
    fmt,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use throttle::Throttle;
use tower::Service;
use tower_http::timeout::TimeoutBody;
use tracing::Instrument;
use upstream::Client;

/// A tower service that passes requests on to an [`Upstream`]. Put it inside of a [`ProofLayer`](crate::gateway::ProofLayer).
#[derive(Clone)]
pub struct ReverseProxy {
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Shared {
    /// The owner of what is kept with connections.
    id: u64,
    upstream: Arc<Upstream>,
    client: Client,
    identity: Arc<IdentityFields>,
    limits: ProxyLimits,
    observer: Option<Arc<dyn Observer>>,
    change_fields: Option<ChangeFields>,
    failures: Arc<Throttle>,
}

/// A change of the header fields of a request to the upstream.
type ChangeFields = Arc<dyn Fn(&mut HeaderMap) + Send + Sync>;

/// The field value for the address of a connection's client.
struct Address(Option<HeaderValue>);

#[derive(Clone, Copy)]
struct ProxyLimits {
    content: u64,
    response: Duration,
    idle: Duration,
}

/// The reason why a request has not been answered by the upstream, for the operator.
#[derive(Debug, thiserror::Error)]
enum ProxyError {
    #[error("the content of the request is longer than the limit of {0} bytes")]
    TooLong(u64),
    #[error("the upstream did not answer within {0:?}")]
    TimedOut(Duration),
    #[error("the upstream cannot be used: {0}")]
    Upstream(String),
    #[error("the identity cannot be passed on: {0}")]
    Identity(String),
    #[error("the upstream switched protocols without being asked")]
    Switched,
    #[error("the method {0} is not passed on")]
    Method(Method),
}

impl ReverseProxy {
    /// Creates a proxy. A request may have 16 MiB of content, the upstream has 60 seconds to answer, and between two pieces of its response it may
    /// be silent for 5 minutes.
    #[must_use]
    pub fn new(upstream: Upstream, identity: IdentityFields) -> Self {
        Self {
            shared: Arc::new(Shared {
                client: upstream.client(),
                upstream: Arc::new(upstream),
                identity: Arc::new(identity),
                limits: ProxyLimits {
                    content: 16 * 1024 * 1024,
                    response: Duration::from_secs(60),
                    idle: Duration::from_secs(300),
                },
                observer: None,
                change_fields: None,
                failures: Arc::default(),
                id: unique::id(),
            }),
        }
    }

    /// Sets the longest content of a request that is passed on, in bytes.
    #[must_use]
    pub fn with_max_content(self, bytes: u64) -> Self {
        self.with(|limits| limits.content = bytes)
    }

    /// Sets the time within which the upstream must send the head of a response.
    #[must_use]
    pub fn with_response_limit(self, limit: Duration) -> Self {
        self.with(|limits| limits.response = limit)
    }

    /// Sets the time for which a response may pause, and for which a tunnel (WebSocket) may have no traffic.
    #[must_use]
    pub fn with_idle_limit(self, limit: Duration) -> Self {
        self.with(|limits| limits.idle = limit)
    }

    /// Tells `observer` of requests that the upstream has not answered.
    #[must_use]
    pub fn observed(mut self, observer: Arc<dyn Observer>) -> Self {
        Arc::make_mut(&mut self.shared).observer = Some(observer);
        self
    }

    /// Has `change` modify the header fields of each request to the upstream, after all that the proxy removes and adds, and inside of the span
    /// `upstream`. This is the place to pass a trace context on: no field of the client can remove it.
    #[must_use]
    pub fn with_fields(mut self, change: impl Fn(&mut HeaderMap) + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.shared).change_fields = Some(Arc::new(change));
        self
    }

    fn with(mut self, change: impl FnOnce(&mut ProxyLimits)) -> Self {
        change(&mut Arc::make_mut(&mut self.shared).limits);
        self
    }
}

impl Service<Request<Body>> for ReverseProxy {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { Ok(shared.answer(request).await) })
    }
}

impl Shared {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let peer = request.extensions().get::<SocketAddr>().copied();
        match self.pass(request, peer).await {
            Ok(response) => response,
            Err(error) => {
                let status = error.status();
                if status.is_client_error() {
                    tracing::info!(peer = peer.map(tracing::field::display), %status, reason = %error, "request not passed on");
                } else if let Some(left_out) = self.failures.pass(Instant::now()) {
                    tracing::error!(upstream = %self.upstream, %status, reason = %error, left_out, "request not passed on");
                }
                if let Some(observer) = &self.observer {
                    observer.observe(&Event::NotPassedOn { peer, status });
                }
                let mut response = Response::new(Body::from(error.message()));
                *response.status_mut() = status;
                response
            }
        }
    }

    async fn pass(
        &self,
        mut request: Request<Body>,
        peer: Option<SocketAddr>,
    ) -> Result<Response<Body>, ProxyError> {
        // TRACE would show the client what the upstream is told of it, and CONNECT asks for another host.
        if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
            return Err(ProxyError::Method(request.method().clone()));
        }
        let tunnel = tunnel::wanted(&mut request);
        let client = tunnel.as_ref().map(|_| hyper::upgrade::on(&mut request));
        let permit = request.extensions_mut().remove::<TunnelPermit>();
        let channel = request.extensions().get::<Channel>().cloned();
        let mut request = self.prepare(request, peer, channel.as_ref(), tunnel.as_ref())?;

        let span = tracing::debug_span!(
            "upstream",
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            upstream = %self.upstream,
        );
        if let Some(change) = &self.change_fields {
            span.in_scope(|| change(request.headers_mut()));
        }
        let sent = self.client.request(request).instrument(span.clone());
        let sent = match tokio::time::timeout(self.limits.response, sent).await {
            Ok(sent) => sent.map_err(|error| self.failed(&error)),
            Err(_) => Err(ProxyError::TimedOut(self.limits.response)),
        };
        let response = sent.inspect_err(|_| {
            span.record("otel.status_code", "ERROR");
        })?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let (mut parts, body) = response.into_parts();
            fields::remove_hop_by_hop(&mut parts.headers);
            parts.extensions.clear();
            parts.version = Version::default();
            let body = Body::new(TimeoutBody::new(self.limits.idle, body));
            return Ok(Response::from_parts(parts, body));
        }
        let (Some(client), Some(permit), Some(channel)) = (client, permit, channel) else {
            return Err(ProxyError::Switched);
        };
        tunnel::open(response, client, (permit, channel), self.limits.idle)
    }

    /// Makes the upstream's request of a client's.
    fn prepare(
        &self,
        request: Request<Body>,
        peer: Option<SocketAddr>,
        channel: Option<&Channel>,
        tunnel: Option<&HeaderValue>,
    ) -> Result<Request<Body>, ProxyError> {
        let (mut parts, body) = request.into_parts();
        let host = fields::host(&parts);
        fields::remove_hop_by_hop(&mut parts.headers);
        fields::remove_forwarded(&mut parts.headers);
        self.identity.remove(&mut parts.headers);
        if let Some(upgrade) = tunnel {
            let connection = HeaderValue::from_static("upgrade");
            parts.headers.insert(header::CONNECTION, connection);
            parts.headers.insert(header::UPGRADE, upgrade.clone());
        }
        let address = peer.and_then(|peer| match channel {
            // One for all requests of a connection.
            Some(channel) => {
                let address = || Address(fields::forwarded_for(peer));
                channel.state(self.id, address).0.clone()
            }
            None => fields::forwarded_for(peer),
        });
        fields::add_forwarded(&mut parts.headers, address, host.as_ref());
        if let Some(channel) = channel {
            let identities = Identities::of(&parts.extensions);
            self.identity
                .add(&mut parts.headers, &identities, channel)
                .map_err(|error| ProxyError::Identity(error.to_string()))?;
        }
        self.upstream.set_target(&mut parts, host);
        parts.extensions.clear();
        let max = usize::try_from(self.limits.content).unwrap_or(usize::MAX);
        let length = parts.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.limits.content) {
            return Err(ProxyError::TooLong(self.limits.content));
        }
        let body = if hyper::body::Body::is_end_stream(&body) {
            body
        } else {
            let identity = Arc::clone(&self.identity);
            // Some servers take trailers for header fields.
            let body = body.map_frame(move |frame| match frame.into_trailers() {
                Ok(mut trailers) => {
                    fields::remove_forwarded(&mut trailers);
                    fields::remove_trace_context(&mut trailers);
                    identity.remove(&mut trailers);
                    Frame::trailers(trailers)
                }
                Err(other) => other,
            });
            Body::new(Limited::new(body, max))
        };
        Ok(Request::from_parts(parts, body))
    }

    fn failed(&self, error: &hyper_util::client::legacy::Error) -> ProxyError {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            if error.is::<LengthLimitError>() {
                return ProxyError::TooLong(self.limits.content);
            }
            text = format!("{text}: {error}");
            source = error.source();
        }
        ProxyError::Upstream(text)
    }
}

impl ProxyError {
    fn status(&self) -> StatusCode {
        match self {
            Self::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Upstream(_) | Self::Switched => StatusCode::BAD_GATEWAY,
            Self::Identity(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// Returns what the client is told.
    fn message(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "the content is too long\n",
            Self::TimedOut(_) => "the server behind this gateway did not answer in time\n",
            Self::Upstream(_) | Self::Switched => {
                "the server behind this gateway does not answer\n"
            }
            Self::Identity(_) => "the gateway is at fault\n",
            Self::Method(_) => "this method is not passed on\n",
        }
    }
}

impl fmt::Debug for ReverseProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReverseProxy({})", self.shared.upstream)
    }
}
