//! The span of a request.

use super::context::received;
use axum::{
    extract::Request,
    http::{Method, Version, header, uri::Authority},
    response::Response,
};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower::Service;
use tracing::{
    Span,
    field::Empty,
    instrument::{Instrument, Instrumented},
};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The longest path and the longest host in a span, in bytes. Clients choose them before they have proved anything.
const MAX_PATH: usize = 1024;
const MAX_HOST: usize = 255;

/// A service whose requests have spans, while traces are exported. A span ends with the head of the response.
///
/// The context that a client sends becomes a link: it does not decide whether its requests are sampled.
#[derive(Clone)]
pub(in crate::gateway) struct Traced<S>(pub(in crate::gateway) S);

impl<S, E> Service<Request> for Traced<S>
where
    S: Service<Request, Response = Response, Error = E>,
{
    type Response = Response;
    type Error = E;
    type Future = TracedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let method = name_of(request.method());
        let span = tracing::debug_span!(
            "request",
            otel.name = if method == OTHER { "HTTP" } else { method },
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = method,
            http.response.status_code = Empty,
            url.scheme = "https",
            url.path = start(request.uri().path(), MAX_PATH),
            server.address = Empty,
            server.port = Empty,
            client.address = Empty,
            client.port = Empty,
            network.protocol.version = Empty,
        );
        if !span.is_disabled() {
            describe(&request, &span);
            if let Some(context) = received(request.headers()) {
                span.add_link(context);
            }
        }
        let inner = span.in_scope(|| self.0.call(request));
        TracedFuture {
            inner: inner.instrument(span),
        }
    }
}

pin_project! {
    /// The future of a [`Traced`] service.
    pub(in crate::gateway) struct TracedFuture<F> {
        #[pin]
        inner: Instrumented<F>,
    }
}

impl<F, E> Future for TracedFuture<F>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut inner = self.project().inner;
        let response = ready!(inner.as_mut().poll(context))?;
        let (span, status) = (inner.span(), response.status());
        span.record("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
        Poll::Ready(Ok(response))
    }
}

/// Records where a request comes from, and which host it is for. Numbers are signed, because OpenTelemetry has no others.
fn describe(request: &Request, span: &Span) {
    if let Some(peer) = request.extensions().get::<SocketAddr>() {
        span.record("client.address", tracing::field::display(peer.ip()));
        span.record("client.port", i64::from(peer.port()));
    }
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    if let Some(host) = request.uri().authority().or(host.as_ref()) {
        span.record("server.address", start(host.host(), MAX_HOST));
        span.record("server.port", i64::from(host.port_u16().unwrap_or(443)));
    }
    let version = match request.version() {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    span.record("network.protocol.version", version);
}

/// The name of methods that are not of RFC 9110 or RFC 5789: there is no end of them.
const OTHER: &str = "_OTHER";

fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::CONNECT => "CONNECT",
        Method::DELETE => "DELETE",
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::TRACE => "TRACE",
        _ => OTHER,
    }
}

/// Returns at most `max` bytes of a text.
fn start(text: &str, max: usize) -> &str {
    let end = text.floor_char_boundary(max);
    text.get(..end).unwrap_or_default()
}
