//! The variables of the environment, as OpenTelemetry's specification names them.
//!
//! The SDK takes defaults for values that it does not know, and says so before logs are written. Here they are errors.

use crate::{failure::Failure, logs::TRACES_ENDPOINTS};

fn value(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the variable that names the collector and its value, if traces are to be sent.
pub(super) fn endpoint() -> Option<(&'static str, String)> {
    let is_disabled = value("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    if is_disabled || value("OTEL_TRACES_EXPORTER").is_some_and(|exporter| exporter == "none") {
        return None;
    }
    let mut set = TRACES_ENDPOINTS
        .into_iter()
        .filter_map(|name| Some((name, value(name)?)));
    set.next()
}

/// Checks the other variables.
pub(super) fn check() -> Result<(), Failure> {
    for (name, allowed) in [
        ("OTEL_TRACES_EXPORTER", &["otlp"][..]),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", &["http/protobuf"]),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", &["http/protobuf"]),
        (
            "OTEL_TRACES_SAMPLER",
            &[
                "always_on",
                "always_off",
                "traceidratio",
                "parentbased_always_on",
                "parentbased_always_off",
                "parentbased_traceidratio",
            ],
        ),
    ] {
        if let Some(value) = value(name)
            && !allowed.contains(&value.as_str())
        {
            let allowed = allowed.join(", ");
            return Err(format!("{name}={value} is not supported: set {allowed}").into());
        }
    }
    let ratio = "OTEL_TRACES_SAMPLER_ARG";
    if let Some(value) = value(ratio)
        && !value
            .parse()
            .is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio))
    {
        return Err(format!("{ratio}={value}: set a number from 0 to 1").into());
    }
    for name in [
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    ] {
        if value(name).is_some() {
            return Err(format!(
                "{name} is not supported: set SSL_CERT_FILE, or add the authority to those of the system"
            )
            .into());
        }
    }
    Ok(())
}
