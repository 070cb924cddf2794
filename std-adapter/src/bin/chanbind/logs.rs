//! Logs on standard error, and traces.

use crate::failure::Failure;
#[cfg(feature = "opentelemetry")]
use crate::gateway::Traces;
use clap::ValueEnum;
use std::io::IsTerminal;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::SubscriberExt, util::SubscriberInitExt,
};

/// The variables of the environment that name the collector of traces.
pub(crate) const TRACES_ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object on each line.
    Json,
}

/// The logs and traces of a program that runs. Dropping it sends what is left of the traces.
pub(crate) struct Logs {
    #[cfg(feature = "opentelemetry")]
    _traces: Option<Traces>,
}

impl Logs {
    /// Starts to log; with `is_traced` also the traces, if the environment asks for them.
    ///
    /// # Errors
    /// Returns an error if the environment's settings for traces are invalid.
    pub(crate) fn start(format: LogFormat, is_traced: bool) -> Result<Self, Failure> {
        // The lines of the TPM software stack would repeat the errors.
        let filter = EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| EnvFilter::new("chanbind=info,tss_esapi=off"));
        let has_colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::io::stderr().is_terminal();
        let logs = tracing_subscriber::fmt::layer()
            .with_ansi(has_colours)
            .with_writer(std::io::stderr);
        let logs: Box<dyn Layer<Registry> + Send + Sync> = match format {
            LogFormat::Text => Box::new(logs.with_filter(filter)),
            LogFormat::Json => Box::new(logs.json().with_filter(filter)),
        };
        let all = tracing_subscriber::registry().with(logs);
        #[cfg(feature = "opentelemetry")]
        {
            let traces = if is_traced {
                Traces::from_environment()?
            } else {
                None
            };
            match &traces {
                Some(traces) => all.with(traces.layer()).init(),
                None => all.init(),
            }
            Ok(Self { _traces: traces })
        }
        #[cfg(not(feature = "opentelemetry"))]
        {
            all.init();
            let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            let mut names = TRACES_ENDPOINTS.into_iter();
            if let Some(name) = names.find(|name| is_traced && is_set(name)) {
                tracing::warn!(
                    "{name} is set, and this program was built without traces: build it with --features opentelemetry"
                );
            }
            Ok(Self {})
        }
    }
}
