//! The exit codes of `chanbind connect`.

use super::*;
use axum::{Router, http::StatusCode, routing::get};
use chanbind::{
    gateway::{Policy, ProofLayer},
    proof::authenticator::{AuthenticatorVerifier, Trust},
};
use chanbind_host_tests::gateway::TestGateway;
use tower::Layer;
use workspace::{connect_authenticator, connect_otp};

/// Creates a workspace with a device in software, and a gateway that admits it.
fn gateway() -> (Workspace, Gateway) {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    let gateway = workspace.authenticator_gateway("devices.pem", &[]);
    (workspace, gateway)
}

fn connect(url: &str) -> Vec<&str> {
    connect_authenticator(url, "device.pem", "device.key")
}

#[test]
fn code_0_if_the_gateway_admits_the_device() {
    let (workspace, gateway) = gateway();
    let output = workspace.run(&connect(&gateway.url()));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "ok urn:example:device\n");
    assert_eq!(
        text(&output.stderr),
        "200 OK\nadmitted by the proof (authenticator)\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn code_1_if_the_device_is_admitted_and_the_response_is_an_error() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    let trust = Trust::from_pem(workspace.read("devices.pem").as_bytes()).unwrap();
    let policy = Policy::new().require("/", AuthenticatorVerifier::new(trust));
    let app = Router::new()
        .route("/found", get(|| async { "found\n" }))
        .route("/broken", get(|| async { StatusCode::BAD_GATEWAY }));
    let gateway = TestGateway::serve(ProofLayer::new(policy).layer(app))
        .await
        .unwrap();
    workspace.write("ca.pem", &gateway.pki.ca);
    let (out, _) = workspace.succeed(&connect(&gateway.uri("/found")));
    assert_eq!(out, "found\n");
    for (path, status) in [
        ("/missing", "404 Not Found"),
        ("/broken", "502 Bad Gateway"),
    ] {
        let (code, error) = workspace.fail(&connect(&gateway.uri(path)));
        assert_eq!(code, 1);
        assert_eq!(
            error,
            format!(
                "{status}\nthe proof (authenticator) was not refused, but the response is an error\n"
            )
        );
    }
}

#[test]
fn code_2_for_wrong_usage() {
    let (workspace, gateway) = gateway();
    workspace.write("password", "secret");
    let url = gateway.url();
    for (url, says) in [
        ("http://localhost/", "is not an https address"),
        ("/get", "is not an https address"),
        ("localhost:8443", "is not an https address"),
    ] {
        let (code, error) = workspace.fail(&connect(url));
        assert_eq!(code, 2, "{url}: {error}");
        assert!(error.contains(says), "{url}: {error}");
    }
    for (option, value, says) in [
        ("--timeout", "0", "0 is not in"),
        ("--nonsense", "x", "unexpected argument"),
        ("--server-name", "not a name", "is not a host name"),
        ("--password-file", "password", "it is for keys in a TPM"),
    ] {
        let (code, error) = workspace.fail(&[&connect(&url)[..], &[option, value]].concat());
        assert_eq!(code, 2, "{option}: {error}");
        assert!(error.contains(says), "{option}: {error}");
    }
    let second = ["--second-ca", "devices.pem", "--second-name", "127.0.0.1"];
    let (code, error) = workspace.fail(&[&connect(&url)[..], &second].concat());
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("--second-name: an IP address"), "{error}");
}

#[test]
fn code_3_if_the_gateway_refuses_the_proof() {
    let (workspace, gateway) = gateway();
    workspace.software_device("stranger", "strangers");
    let url = gateway.url();
    let output = workspace.run(&connect_authenticator(&url, "stranger.pem", "stranger.key"));
    assert_eq!(output.status.code(), Some(3));
    let error = text(&output.stderr);
    assert!(error.starts_with("403 Forbidden\n"), "{error}");
    assert!(!error.contains("admitted by"), "{error}");
}

#[test]
fn code_4_if_the_gateway_does_not_ask_for_a_proof() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    let gateway = workspace.configured_gateway(
        "[proof.authenticator]\nclient_ca = \"devices.pem\"\n\
         [[rule]]\npath = \"/\"\nany = [\"authenticator\"]\n\
         [[rule]]\npath = \"/health\"\nexempt = true\n",
    );
    let output = workspace.run(&connect(&gateway.url_of("/health")));
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(text(&output.stdout), "ok\n");
    assert_eq!(
        text(&output.stderr),
        "200 OK\nanswered without asking for a proof: the response says nothing about this device\n"
    );
    workspace.succeed(&connect(&gateway.url()));
}

#[test]
fn code_5_if_the_network_fails() {
    let (workspace, _) = gateway();
    for (name, port, says) in [
        (
            "nothing listens",
            peers::unused_port(),
            "is the server running",
        ),
        (
            "a silent peer",
            peers::silent(),
            "the server did not complete the handshake in time",
        ),
        (
            "a peer that closes the connection",
            peers::closing(),
            "the connection ended during the handshake",
        ),
    ] {
        let url = format!("https://localhost:{port}/");
        let start = Instant::now();
        let (code, error) = workspace.fail(&[&connect(&url)[..], &["--timeout", "1"]].concat());
        assert_eq!(code, 5, "{name}: {error}");
        assert!(error.contains(says), "{name}: {error}");
        assert!(start.elapsed() < Duration::from_secs(20), "{name}");
    }
    let (code, error) = workspace.fail(&connect("https://does-not-exist.invalid/"));
    assert_eq!(code, 5, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn code_5_if_no_response_comes_in_time() {
    let (workspace, _) = gateway();
    let app = Router::new().fallback(std::future::pending::<StatusCode>);
    let gateway = TestGateway::serve(app).await.unwrap();
    workspace.write("ca.pem", &gateway.pki.ca);
    let url = gateway.uri("/");
    let (code, error) = workspace.fail(&[&connect(&url)[..], &["--timeout", "1"]].concat());
    assert_eq!(code, 5, "{error}");
    assert!(
        error.contains("the server did not answer in time"),
        "{error}"
    );
}

#[test]
fn code_6_if_tls_fails() {
    let (workspace, gateway) = gateway();
    let url = gateway.url();
    let mut arguments = connect(&url);
    arguments[4] = "devices.pem";
    let (code, error) = workspace.fail(&arguments);
    assert_eq!(code, 6, "{error}");
}

#[test]
fn code_7_if_the_tpm_or_the_key_fails() {
    let mut workspace = Workspace::new();
    workspace.write("password", "secret");
    workspace.provision("client1", &[]);
    workspace.provision("locked", &["--password-file", "password"]);
    workspace.software_device("device", "devices");
    let gateway = workspace.otp_gateway(&[]);
    let url = gateway.url();
    let (code, error) = workspace.fail(&connect_otp(&url, "locked.pem"));
    assert_eq!(code, 7, "{error}");
    assert!(error.contains("password is wrong or missing"), "{error}");
    let hmac = connect_authenticator(&url, "device.pem", "client1.pem");
    let (code, error) = workspace.fail(&hmac);
    assert_eq!(code, 7, "{error}");
    assert!(
        error.contains("does not hold an ECDSA P-256 key"),
        "{error}"
    );
    let tcti = [&connect_otp(&url, "client1.pem")[..], &["--tcti", "x"]].concat();
    let (code, error) = workspace.fail(&tcti);
    assert_eq!(code, 7, "{error}");
    workspace.stop_tpm();
    let (code, error) = workspace.fail(&connect_otp(&url, "client1.pem"));
    assert_eq!(code, 7, "{error}");
    assert!(error.contains("no TPM at swtpm:"), "{error}");
}

#[test]
fn code_8_if_a_file_cannot_be_read_or_written() {
    let (workspace, gateway) = gateway();
    workspace.write("text", "not PEM");
    let url = gateway.url();
    let with = |option, file| {
        let mut arguments = connect(&url);
        match arguments.iter().position(|argument| *argument == option) {
            Some(at) => arguments[at + 1] = file,
            None => arguments.extend([option, file]),
        }
        workspace.fail(&arguments)
    };
    for (option, file, says) in [
        ("--ca", "missing.pem", "missing.pem: No such file"),
        ("--ca", "text", "text: no certificate can be read"),
        ("--certificate", "missing.pem", "missing.pem: No such file"),
        ("--certificate", "text", "text: no certificate can be read"),
        ("--key", "missing.pem", "missing.pem: No such file"),
        ("--key", "text", "text: not a PEM file"),
        ("--password-file", "missing", "missing: No such file"),
        ("--data", "@missing", "missing: No such file"),
        ("--second-ca", "missing.pem", "missing.pem: No such file"),
        ("--output", "no/such/folder", "no/such/folder: No such file"),
    ] {
        let (code, error) = with(option, file);
        assert_eq!(code, 8, "{option} {file}: {error}");
        assert!(error.contains(says), "{option} {file}: {error}");
    }
}
