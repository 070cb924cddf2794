//! The trace context of requests: what clients send is not trusted, and the server behind the gateway gets that of the gateway's span.

use super::settings;
use axum::http::HeaderMap;
use chanbind::proxy::ReverseProxy;
use opentelemetry::{
    Context,
    propagation::TextMapPropagator,
    trace::{SpanContext, TraceContextExt, TraceState},
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The fields by which tracing systems pass contexts on.
const FIELDS: [&str; 11] = [
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "uber-trace-id",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
];

/// Has a proxy replace the contexts of clients by that of its span, if traces are sent.
pub(in crate::gateway) fn passed_on(proxy: ReverseProxy) -> ReverseProxy {
    if settings::endpoint().is_none() {
        return proxy;
    }
    proxy.with_fields(|headers| {
        for field in FIELDS {
            headers.remove(field);
        }
        let context = Span::current().context();
        TraceContextPropagator::new().inject_context(&context, &mut HeaderInjector(headers));
        if headers
            .get("tracestate")
            .is_some_and(|state| state.is_empty())
        {
            headers.remove("tracestate");
        }
    })
}

/// Returns the context that a client has sent, without its state, which can be long.
pub(super) fn received(headers: &HeaderMap) -> Option<SpanContext> {
    // Few clients send one.
    headers.get("traceparent")?;
    let context = TraceContextPropagator::new()
        .extract_with_context(&Context::new(), &HeaderExtractor(headers));
    let received = context.span().span_context().clone();
    received.is_valid().then(|| {
        SpanContext::new(
            received.trace_id(),
            received.span_id(),
            received.trace_flags(),
            true,
            TraceState::NONE,
        )
    })
}
