//! Traces of requests, for an OpenTelemetry collector.
//!
//! Each request has a span, inside of it one for proofs that need a look-up and one for the server behind the gateway. The variables of the
//! environment are those of OpenTelemetry's specification; without an endpoint nothing is traced.

mod collector;
mod request;

pub(super) use request::Traced;

use crate::failure::Failure;
use collector::Collector;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use std::time::Duration;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

/// The variables that name the collector.
pub(crate) const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// The time that the last spans have to reach the collector at the end.
const LAST: Duration = Duration::from_secs(5);

/// The export of traces. Dropping it sends what is left.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Starts the export to the collector that the environment names, if it names one. Must be called inside of the runtime.
    ///
    /// # Errors
    /// Returns an error if a variable of the environment is invalid.
    pub(crate) fn from_environment() -> Result<Option<Self>, Failure> {
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let Some(name) = ENDPOINTS.iter().find(|name| is_set(name)) else {
            return Ok(None);
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new()?)
            .build()
            .map_err(|error| format!("{name}: no traces can be sent: {error}"))?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("chanbind-gateway");
        }
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter)
            .build();
        Ok(Some(Self { provider }))
    }

    /// Returns the layer that makes spans of the gateway's, and puts its logs into them.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("chanbind"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target("chanbind", LevelFilter::DEBUG))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST) {
            tracing::warn!(%error, "the last traces have not been sent");
        }
    }
}
