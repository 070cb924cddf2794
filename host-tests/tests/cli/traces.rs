//! Traces of requests, as a collector receives them.

use super::*;
use axum::{Router, body::Bytes, routing::post};
use config::upstream::application;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message;
use std::sync::{Arc, Mutex};
use workspace::{configuration, connect_authenticator};

/// The trace context that a client sends, from the example of W3C Trace Context section 3.2.
const CLIENTS: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A collector of traces: OTLP over HTTP with Protocol Buffers.
struct Collector {
    port: u16,
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    async fn start() -> Self {
        let received = Arc::<Mutex<Vec<_>>>::default();
        let all = Arc::clone(&received);
        let receive = post(move |content: Bytes| async move {
            let request = ExportTraceServiceRequest::decode(content).unwrap();
            all.lock().unwrap().push(request);
        });
        let app = Router::new().route("/v1/traces", receive);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { port, received }
    }

    /// Returns the spans, by name, and checks whose they are.
    fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for request in self.received.lock().unwrap().iter() {
            for resource in &request.resource_spans {
                let attributes = &resource.resource.as_ref().unwrap().attributes;
                assert_eq!(value(attributes, "service.name"), "chanbind-gateway");
                let scopes = resource.scope_spans.iter();
                spans.extend(scopes.flat_map(|scope| scope.spans.clone()));
            }
        }
        spans
    }
}

/// Returns an attribute as text, or `-`. Attributes that are numbers by OpenTelemetry's conventions must be numbers.
fn value(attributes: &[KeyValue], name: &str) -> String {
    let attribute = attributes.iter().find(|attribute| attribute.key == name);
    let value = attribute.and_then(|attribute| attribute.value.clone()?.value);
    match value {
        Some(Value::StringValue(text)) => {
            assert!(
                !name.ends_with("port") && !name.ends_with("code"),
                "{name}: {text}"
            );
            text
        }
        Some(Value::IntValue(number)) => number.to_string(),
        None => "-".to_owned(),
        other => panic!("{name}: {other:?}"),
    }
}

fn gateway(workspace: &Workspace, upstream: &str, variables: &[(&str, &str)]) -> Gateway {
    let rules = admin::RULES;
    let text = format!("[upstream]\nurl = \"http://{upstream}\"\n{rules}");
    workspace.write("gateway.toml", configuration(&text));
    let mut command = workspace.command(&["gateway", "--config", "gateway.toml"]);
    Gateway::start(command.envs(variables.iter().copied()), None)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_the_spans_of_requests_and_the_upstream_their_context() {
    let upstream = application(&["traceparent", "tracestate", "baggage"]).await;
    let collector = Collector::start().await;
    let workspace = admin::workspace();
    let endpoint = format!("http://127.0.0.1:{}", collector.port);
    let gateway = gateway(
        &workspace,
        &upstream.to_string(),
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)],
    );
    let url = gateway.url_of("/readings?secret=1");
    let connect = connect_authenticator(&url, "device.pem", "device.key");
    // A field that Connection names is for the gateway alone; the context of the gateway's own span is not.
    let fields = [
        CLIENTS,
        "tracestate: vendor=1",
        "baggage: user.id=1",
        "Connection: traceparent",
    ];
    let more = fields.map(|field| ["-H", field]).concat();
    let (out, _) = workspace.succeed(&[&connect[..], &more].concat());
    admin::busy(&workspace, &gateway);
    let long = [
        "--request",
        &"M".repeat(10_000),
        "-k",
        "-H",
        &format!("Host: {}", "h".repeat(1000)),
        &gateway.url_of(&format!("/{}", "p".repeat(5000))),
    ];
    let curl = Command::new("curl").args(long).output().unwrap();
    assert!(curl.status.success(), "{curl:?}");
    let gateway_port = gateway.port.to_string();
    gateway.stop();

    let spans = collector.spans();
    let named = |name: &'static str| spans.iter().filter(move |span| span.name == name);
    let status = |span: &Span| value(&span.attributes, "http.response.status_code");
    let requests: Vec<_> = named("GET").collect();
    let request = requests
        .iter()
        .find(|span| status(span) == "200" && !span.links.is_empty())
        .unwrap_or_else(|| panic!("{spans:?}"));
    assert_eq!(request.kind(), SpanKind::Server);
    assert_eq!(request.parent_span_id, b"");
    for (name, expected) in [
        ("http.request.method", "GET"),
        ("url.path", "/readings"),
        ("url.scheme", "https"),
        ("server.address", "localhost"),
        ("server.port", &gateway_port),
        ("client.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
    ] {
        assert_eq!(value(&request.attributes, name), expected, "{name}");
    }
    let subjects: Vec<_> = request
        .events
        .iter()
        .map(|event| value(&event.attributes, "subject"))
        .collect();
    assert!(
        subjects.contains(&"urn:example:device".to_owned()),
        "{request:?}"
    );
    let refused: Vec<_> = requests
        .iter()
        .filter(|span| status(span) == "401")
        .collect();
    let reasons: Vec<_> = spans
        .iter()
        .filter(|span| refused.iter().any(|one| one.trace_id == span.trace_id))
        .flat_map(|span| &span.events)
        .map(|event| value(&event.attributes, "reason"))
        .collect();
    assert!(
        reasons
            .iter()
            .any(|reason| reason.contains("is not in the registry")),
        "{reasons:?}"
    );

    // The request of the client is a link, and no parent.
    let [link] = &request.links[..] else {
        panic!("{request:?}");
    };
    let context = |trace: &[u8], span: &[u8]| {
        let hex = [hex::encode(trace), hex::encode(span)];
        format!("traceparent: 00-{}-{}-01", hex[0], hex[1])
    };
    assert_eq!(context(&link.trace_id, &link.span_id), CLIENTS);
    assert_ne!(request.trace_id, link.trace_id);

    let upstream = named("upstream")
        .find(|span| span.trace_id == request.trace_id)
        .unwrap_or_else(|| panic!("{spans:?}"));
    assert_eq!(upstream.kind(), SpanKind::Client);
    assert_eq!(upstream.parent_span_id, request.span_id);
    let seen = context(&upstream.trace_id, &upstream.span_id);
    let expected = format!("{seen}\ntracestate: -\nbaggage: -\n");
    assert!(out.contains(&expected), "{out}");

    // Clients choose nothing that is long or without end.
    let other = named("HTTP").next().unwrap_or_else(|| panic!("{spans:?}"));
    assert_eq!(value(&other.attributes, "http.request.method"), "_OTHER");
    assert_eq!(value(&other.attributes, "url.path").len(), 1024);
    assert_eq!(value(&other.attributes, "server.address").len(), 255);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_serves_without_its_collector() {
    let upstream = application(&["traceparent"]).await.to_string();
    let workspace = admin::workspace();
    let endpoint = format!("http://127.0.0.1:{}", peers::unused_port());
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str());
    for (variables, flags, warns) in [
        (&[endpoint][..], Some("-01\n"), true),
        (
            &[endpoint, ("OTEL_TRACES_SAMPLER", "always_off")],
            Some("-00\n"),
            false,
        ),
        (&[], None, false),
        (&[("RUST_LOG", "chanbind=debug")], None, false),
        (&[endpoint, ("OTEL_SDK_DISABLED", "true")], None, false),
        (&[endpoint, ("OTEL_TRACES_EXPORTER", "none")], None, false),
    ] {
        let gateway = gateway(&workspace, &upstream, variables);
        let url = gateway.url();
        let connect = connect_authenticator(&url, "device.pem", "device.key");
        let (out, _) = workspace.succeed(&[&connect[..], &["-H", CLIENTS]].concat());
        let is_clients = out.contains(CLIENTS);
        match flags {
            Some(flags) => assert!(!is_clients && out.ends_with(flags), "{out}"),
            None => assert!(is_clients, "{out}"),
        }
        let log = gateway.stop();
        let says = log.contains("traces cannot be sent") && log.contains("refused");
        assert_eq!(says, warns, "{log}");
    }
}

#[test]
fn settings_that_are_invalid_or_not_supported_are_errors_that_name_their_variable() {
    let workspace = admin::workspace();
    workspace.write("gateway.toml", configuration(admin::RULES));
    let arguments = ["gateway", "--config", "gateway.toml"];
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    for (name, value, says) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url", "no traces can"),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc",
            "=grpc is not supported: set http/protobuf",
        ),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "set always_on"),
        (
            "OTEL_TRACES_SAMPLER_ARG",
            "1%",
            "=1%: set a number from 0 to 1",
        ),
        (
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            "ca.pem",
            "set SSL_CERT_FILE",
        ),
    ] {
        let output = workspace.run_with(&arguments, |command| {
            command.envs([endpoint, (name, value)]);
        });
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.starts_with(&format!("chanbind: {name}")), "{error}");
        assert!(error.contains(says), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
