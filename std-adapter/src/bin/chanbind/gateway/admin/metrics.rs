//! Counters for Prometheus.

use chanbind::{gateway::Event, proof::RefusalKind};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};
use std::collections::BTreeMap;

/// The type of [`Metrics::text`]: the OpenMetrics format.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// The counters of a gateway.
pub(in super::super) struct Metrics {
    registry: Registry,
    open: Gauge,
    opened: Counter,
    rejected: Family<Reason, Counter>,
    handshakes_failed: Counter,
    asked: Counter,
    admitted: Family<Kind, Counter>,
    refused: Family<Reason, Counter>,
    not_passed_on: Family<Reason, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("chanbind");
        let version = [("version", env!("CARGO_PKG_VERSION"))].to_vec();
        registry.register("build", "The version of the gateway", Info::new(version));
        let metrics = Self {
            registry: Registry::default(),
            open: Gauge::default(),
            opened: Counter::default(),
            rejected: Family::default(),
            handshakes_failed: Counter::default(),
            asked: Counter::default(),
            admitted: Family::default(),
            refused: Family::default(),
            not_passed_on: Family::default(),
        };
        registry.register(
            "connections",
            "TLS connections that are open",
            metrics.open.clone(),
        );
        registry.register(
            "connections_opened",
            "TLS connections",
            metrics.opened.clone(),
        );
        registry.register(
            "connections_rejected",
            "Connections that were closed before TLS, by the limit",
            metrics.rejected.clone(),
        );
        registry.register(
            "handshakes_failed",
            "TLS handshakes that failed or took too long",
            metrics.handshakes_failed.clone(),
        );
        registry.register(
            "requests_asked",
            "Requests without a proof, which were answered with a challenge",
            metrics.asked.clone(),
        );
        registry.register(
            "requests_admitted",
            "Requests that were admitted, by the kind of proof; a request that proves two kinds counts for both",
            metrics.admitted.clone(),
        );
        registry.register(
            "requests_refused",
            "Requests that were refused, by the reason",
            metrics.refused.clone(),
        );
        registry.register(
            "requests_not_passed_on",
            "Admitted requests that the upstream did not answer, by the status of the response",
            metrics.not_passed_on.clone(),
        );
        Self {
            registry,
            ..metrics
        }
    }
}

impl Metrics {
    /// Returns the counters as text.
    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Counts admitted requests, by the kind of proof. They are counted with their connections first.
    pub(super) fn count_admitted(&self, admitted: BTreeMap<&'static str, u64>) {
        for (kind, requests) in admitted {
            self.admitted.get_or_create(&Kind { kind }).inc_by(requests);
        }
    }

    pub(super) fn observe(&self, event: &Event<'_>) {
        match event {
            Event::ConnectionOpened { .. } => {
                self.open.inc();
                self.opened.inc();
            }
            Event::ConnectionClosed { .. } => {
                self.open.dec();
            }
            Event::ConnectionRejected { reason, .. } => {
                self.rejected.get_or_create(&Reason { reason }).inc();
            }
            Event::HandshakeFailed { .. } => {
                self.handshakes_failed.inc();
            }
            Event::Asked { .. } => {
                self.asked.inc();
            }
            Event::Refused { refusal, .. } => {
                let reason = reason(refusal.kind());
                self.refused.get_or_create(&Reason { reason }).inc();
            }
            Event::NotPassedOn { status, .. } => {
                let reason = match status.as_u16() {
                    405 => "405",
                    413 => "413",
                    500 => "500",
                    504 => "504",
                    _ => "502",
                };
                self.not_passed_on.get_or_create(&Reason { reason }).inc();
            }
            _ => {}
        }
    }
}

/// Returns the name of a kind of refusal.
pub(super) fn reason(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::NotProved => "not proved",
        RefusalKind::Forbidden => "declined",
        RefusalKind::Exhausted => "connection exhausted",
        RefusalKind::Malformed => "malformed",
        RefusalKind::Busy => "too many pending proofs",
        _ => "fault of the gateway",
    }
}
