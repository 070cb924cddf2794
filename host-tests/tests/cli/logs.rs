//! The logs of a gateway, as text and as JSON, with and without colours.

use super::*;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use std::fs::File;
use workspace::connect_authenticator;

/// Returns the log lines of a gateway in JSON.
fn json_lines(log: &str) -> Vec<Value> {
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Returns the lines with this message.
fn with_message<'l>(lines: &'l [Value], message: &str) -> Vec<&'l Value> {
    lines
        .iter()
        .filter(|line| line["fields"]["message"] == message)
        .collect()
}

fn is_loopback(peer: &Value) -> bool {
    let peer = peer.as_str().unwrap_or_default();
    peer.parse::<std::net::SocketAddr>()
        .is_ok_and(|peer| peer.ip().is_loopback() && peer.port() != 0)
}

#[test]
fn json_logs_have_one_object_per_line() {
    let workspace = Workspace::without_tpm();
    workspace.register("client1", b"short");
    let gateway = workspace.otp_gateway(&["--log-format", "json"]);
    workspace.software_device("device", "devices");
    let url = gateway.url();
    workspace.fail(&connect_authenticator(&url, "device.pem", "device.key"));
    gateway.signal(Signal::HUP);
    gateway.wait_for_log("registry read");
    let lines = json_lines(&gateway.stop());
    assert!(lines.len() >= 3, "{lines:?}");
    for line in &lines {
        assert!(line["timestamp"].is_string(), "{line}");
        assert!(line["level"].is_string(), "{line}");
        assert!(line["target"].is_string(), "{line}");
        assert!(line["fields"]["message"].is_string(), "{line}");
    }
    assert_eq!(lines[0]["level"], "WARN");
    let warning = lines[0]["fields"]["message"].as_str().unwrap();
    assert!(
        warning.contains("has 5 bytes: use at least 16"),
        "{warning}"
    );
    assert_eq!(with_message(&lines, "registry read").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_is_logged_once_per_connection_with_peer_subject_and_kind() {
    use chanbind::{
        client::{ConnectOptions, Connection, Session},
        proof::otp::{Form, Settings, prover},
        tls,
    };
    use chanbind_core::{kdf::HmacSha256, otp::ClientId};
    const SECRET: &[u8] = b"a key with more than 16 bytes";

    let workspace = Workspace::without_tpm();
    workspace.register("client1", SECRET);
    let gateway = workspace.otp_gateway(&["--log-format", "json"]);
    let url = gateway.url().parse().unwrap();
    for _ in 0..2 {
        let roots = tls::roots_from_pem(workspace.read("ca.pem").as_bytes()).unwrap();
        let config = tls::client_config(roots).unwrap();
        let options = ConnectOptions::default();
        let connection = Connection::open("localhost", gateway.port, config, &options)
            .await
            .unwrap();
        let client = ClientId::new("client1").unwrap();
        let prover = prover(&Settings::default(), client, Form::ApiKey);
        let key = HmacSha256::new(SECRET);
        let mut session = Session::begin(connection, prover, key).await.unwrap();
        for _ in 0..3 {
            session.authenticate(&url).await.unwrap();
        }
    }
    let lines = json_lines(&gateway.stop());
    let admissions = with_message(&lines, "proof accepted");
    assert_eq!(admissions.len(), 2, "{lines:?}");
    for line in &admissions {
        assert_eq!(line["level"], "INFO");
        let fields = &line["fields"];
        assert!(is_loopback(&fields["peer"]), "{line}");
        assert_eq!(fields["subject"], "client1");
        assert_eq!(fields["kind"], "otp");
    }
    assert_ne!(
        admissions[0]["fields"]["peer"],
        admissions[1]["fields"]["peer"]
    );
    assert_eq!(with_message(&lines, "request refused").len(), 0);
}

#[test]
fn the_admission_of_a_certificate_is_logged_with_its_subject() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    let gateway = workspace.authenticator_gateway("devices.pem", &["--log-format", "json"]);
    let url = gateway.url();
    workspace.succeed(&connect_authenticator(&url, "device.pem", "device.key"));
    let lines = json_lines(&gateway.stop());
    // The first request has no authenticator, because the client waits to be asked.
    let asked = with_message(&lines, "proof asked for");
    assert_eq!(asked.len(), 1, "{lines:?}");
    assert!(is_loopback(&asked[0]["fields"]["peer"]), "{lines:?}");
    let admissions = with_message(&lines, "proof accepted");
    assert_eq!(admissions.len(), 1, "{lines:?}");
    let fields = &admissions[0]["fields"];
    assert!(is_loopback(&fields["peer"]), "{lines:?}");
    assert_eq!(fields["subject"], "urn:example:device");
    assert_eq!(fields["kind"], "authenticator");
}

#[test]
fn a_failed_tls_handshake_is_logged_with_peer_and_reason() {
    use std::io::{Read, Write};
    let workspace = Workspace::without_tpm();
    workspace.register("client1", b"0123456789abcdef");
    let gateway = workspace.otp_gateway(&["--log-format", "json"]);
    let url: axum::http::Uri = gateway.url().parse().unwrap();
    let port = url.port_u16().unwrap();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    gateway.wait_for_log("TLS handshake failed");
    let lines = json_lines(&gateway.stop());
    let failures = with_message(&lines, "TLS handshake failed");
    let [line] = failures[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(line["level"], "INFO");
    assert!(is_loopback(&line["fields"]["peer"]), "{line}");
    let reason = line["fields"]["reason"].as_str().unwrap();
    assert!(reason.contains("corrupt message"), "{reason}");
}

#[test]
fn a_refusal_is_logged_with_peer_status_and_reason() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    workspace.software_device("stranger", "strangers");
    let gateway = workspace.authenticator_gateway("devices.pem", &["--log-format", "json"]);
    let url = gateway.url();
    workspace.fail(&connect_authenticator(&url, "stranger.pem", "stranger.key"));
    let lines = json_lines(&gateway.stop());
    let refusals = with_message(&lines, "request refused");
    assert_eq!(refusals.len(), 1, "{lines:?}");
    assert_eq!(refusals[0]["level"], "INFO");
    let fields = &refusals[0]["fields"];
    assert!(is_loopback(&fields["peer"]), "{lines:?}");
    assert_eq!(fields["status"], "403 Forbidden");
    assert!(
        fields["reason"]
            .as_str()
            .unwrap()
            .contains("the client declines"),
        "{lines:?}"
    );
    assert_eq!(with_message(&lines, "proof accepted").len(), 0);
}

#[test]
fn rust_log_sets_the_level() {
    let workspace = Workspace::without_tpm();
    workspace.register("client1", b"short");
    let arguments = [
        "gateway",
        "otp",
        "--registry",
        "registry.toml",
        "--cert",
        "chain.pem",
        "--key",
        "server.pem",
        "--listen",
        "127.0.0.1:0",
    ];
    for (level, warns) in [("chanbind=error", false), ("chanbind=warn", true)] {
        let mut command = workspace.command(&arguments);
        let log = Gateway::start(command.env("RUST_LOG", level), None).stop();
        assert_eq!(log.contains(" WARN "), warns, "{level}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_every_level_contain_no_key() {
    use chanbind::{
        client::{ConnectOptions, Connection},
        proof::otp::{Form, Settings},
        tls,
    };
    use chanbind_core::kdf::HmacSha256;
    use chanbind_host_tests::client::{TestClient, one_time_password};
    const SECRET: &str = "a key with more than 16 bytes";

    let workspace = Workspace::without_tpm();
    workspace.register("client1", SECRET.as_bytes());
    let gateway = {
        let arguments = "gateway otp --registry registry.toml --cert chain.pem --key server.pem";
        let mut arguments: Vec<&str> = arguments.split(' ').collect();
        arguments.extend(["--listen", "127.0.0.1:0"]);
        Gateway::start(workspace.command(&arguments).env("RUST_LOG", "trace"), None)
    };
    let settings = Settings::default();
    let mut secrets = vec![SECRET.to_owned(), hex::encode(SECRET)];
    for form in [Form::ApiKey, Form::Jws, Form::Nested] {
        let roots = tls::roots_from_pem(workspace.read("ca.pem").as_bytes()).unwrap();
        let config = tls::client_config(roots).unwrap();
        let options = ConnectOptions::default();
        let connection = Connection::open("localhost", gateway.port, config, &options);
        let mut connection = TestClient::new(connection.await.unwrap());
        let mut request = Connection::get(&gateway.url().parse().unwrap()).unwrap();
        let key = HmacSha256::new(SECRET.as_bytes());
        one_time_password(&settings, "client1", form, &connection, &key, &mut request)
            .await
            .unwrap();
        let headers = request.headers();
        for name in [settings.key_header.as_str(), "authorization"] {
            let value = headers.get(name).map(|value| value.to_str().unwrap());
            secrets.extend(value.map(|value| value.trim_start_matches("Bearer ").to_owned()));
        }
        assert_eq!(connection.send(request).await.unwrap().status(), 200);
    }
    assert_eq!(secrets.len(), 5);
    let log = gateway.stop();
    assert_contains_all(&log, &["one-time key derived", "DEBUG"]);
    for secret in &secrets {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}

/// Starts a gateway whose standard error is a terminal, if `is_terminal`, and returns its log with a warning.
fn log_of_start(is_terminal: bool, no_color: Option<&str>) -> String {
    let workspace = Workspace::without_tpm();
    workspace.register("client1", b"short");
    let arguments = [
        "gateway",
        "otp",
        "--registry",
        "registry.toml",
        "--cert",
        "chain.pem",
        "--key",
        "server.pem",
        "--listen",
        "127.0.0.1:0",
    ];
    let mut command = workspace.command(&arguments);
    if let Some(value) = no_color {
        command.env("NO_COLOR", value);
    }
    let mut terminal = None;
    if is_terminal {
        let control = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&control).unwrap();
        unlockpt(&control).unwrap();
        let name = ptsname(&control, Vec::new()).unwrap();
        let mut options = File::options();
        let file = options.read(true).write(true).open(name.to_str().unwrap());
        command.stderr(file.unwrap());
        terminal = Some(File::from(control));
    }
    let gateway = Gateway::start(&mut command, terminal);
    gateway.wait_for_log("has 5 bytes: use at least 16")
}

#[test]
fn logs_have_colours_only_on_a_terminal_and_without_no_color() {
    for (is_terminal, no_color, has_colours) in [
        (true, None, true),
        (true, Some(""), true),
        (true, Some("1"), false),
        (false, None, false),
    ] {
        let log = log_of_start(is_terminal, no_color);
        assert_eq!(
            log.contains("\x1b["),
            has_colours,
            "terminal {is_terminal}, NO_COLOR {no_color:?}: {log:?}"
        );
    }
}
