//! Traces of requests, for an OpenTelemetry collector.
//!
//! Each request has a span, inside of it one for proofs that need a look-up and one for the server behind the gateway. Without an endpoint in the
//! environment nothing is traced.

mod collector;
mod context;
mod request;
mod settings;

pub(super) use context::passed_on;
pub(super) use request::Traced;

use crate::failure::Failure;
use collector::Collector;
use opentelemetry::{Key, trace::TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use std::time::Duration;
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::FilterFn, registry::LookupSpan};

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
    /// Returns an error that names the variable of the environment that is invalid or not supported.
    pub(crate) fn from_environment() -> Result<Option<Self>, Failure> {
        let Some((name, endpoint)) = settings::endpoint() else {
            return Ok(None);
        };
        settings::check()?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(&endpoint)?)
            .build()
            .map_err(|error| format!("{name}: no traces can be sent: {error}"))?;
        let resource = Resource::builder().build();
        let named = resource.get(&Key::from_static_str("service.name"));
        let is_named = named.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
        let resource = if is_named {
            resource
        } else {
            let resource = Resource::builder();
            resource.with_service_name("chanbind-gateway").build()
        };
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_batch_exporter(exporter)
            .build();
        Ok(Some(Self { provider }))
    }

    /// Returns the layer that makes spans of the gateway's, and puts its logs of the level info and above into them.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let is_exported = |metadata: &Metadata<'_>| {
            metadata.target().starts_with("chanbind")
                && (metadata.is_span() || *metadata.level() <= Level::INFO)
        };
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("chanbind"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(FilterFn::new(is_exported).with_max_level_hint(LevelFilter::DEBUG))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST) {
            tracing::warn!(%error, "the last traces have not been sent");
        }
    }
}
