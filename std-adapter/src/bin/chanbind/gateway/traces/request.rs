//! The span of a request.

use axum::{
    extract::Request,
    http::{HeaderMap, Version, header, uri::Authority},
    response::Response,
};
use opentelemetry::{
    Context as TraceContext, propagation::TextMapPropagator, trace::TraceContextExt,
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
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

/// A service whose requests have spans, while traces are exported. A span ends with the head of the response.
///
/// The server behind the gateway gets the context of the span in `traceparent`. Clients are not trusted with it: the context that one sends becomes a
/// link, and does not decide whether its requests are sampled.
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

    fn call(&mut self, mut request: Request) -> Self::Future {
        let span = tracing::debug_span!(
            "request",
            otel.name = %request.method(),
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = %request.method(),
            http.response.status_code = Empty,
            url.scheme = "https",
            url.path = request.uri().path(),
            server.address = Empty,
            server.port = Empty,
            client.address = Empty,
            client.port = Empty,
            network.protocol.version = Empty,
        );
        if !span.is_disabled() {
            describe(&request, &span);
            pass_on(&span, request.headers_mut());
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
        span.record("server.address", host.host());
        span.record("server.port", i64::from(host.port_u16().unwrap_or(443)));
    }
    let version = match request.version() {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    span.record("network.protocol.version", version);
}

/// Replaces the trace context that a client has sent.
fn pass_on(span: &Span, headers: &mut HeaderMap) {
    let propagator = TraceContextPropagator::new();
    let received = propagator.extract_with_context(&TraceContext::new(), &HeaderExtractor(headers));
    span.add_link(received.span().span_context().clone());
    for field in propagator.fields() {
        headers.remove(field);
    }
    propagator.inject_context(&span.context(), &mut HeaderInjector(headers));
    if headers
        .get("tracestate")
        .is_some_and(|state| state.is_empty())
    {
        headers.remove("tracestate");
    }
}
