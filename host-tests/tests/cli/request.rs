//! The options of `chanbind connect` for the request, its destination and its response.

use super::*;
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, Response},
    routing::get,
};
use chanbind::{
    gateway::{Policy, ProofLayer},
    proof::authenticator::{AuthenticatorVerifier, Trust},
};
use chanbind_host_tests::{gateway::TestGateway, pki::Authority};
use http_body_util::BodyExt;
use tower::Layer;
use workspace::connect_authenticator;

/// A gateway that responds with what it was sent, and a workspace with a device that it admits.
pub(crate) struct Echo {
    pub(crate) workspace: Workspace,
    pub(crate) gateway: TestGateway,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        let workspace = Workspace::without_tpm();
        workspace.software_device("device", "devices");
        let trust = Trust::from_pem(workspace.read("devices.pem").as_bytes()).unwrap();
        let policy = Policy::new().require("/", AuthenticatorVerifier::new(trust));
        let all_bytes: Vec<u8> = (0..=255).collect();
        let app = Router::new()
            .route("/bytes", get(|| async { all_bytes }))
            .fallback(echo);
        let gateway = TestGateway::serve(ProofLayer::new(policy).layer(app))
            .await
            .unwrap();
        workspace.write("ca.pem", &gateway.pki.ca);
        Self { workspace, gateway }
    }

    /// Sends a request to `path`, which must be admitted. Returns the standard output.
    fn send(&self, path: &str, more: &[&str]) -> String {
        self.send_to(&self.gateway.uri(path), more)
    }

    /// Sends a request to `url`, which must be admitted. Returns the standard output.
    pub(crate) fn send_to(&self, url: &str, more: &[&str]) -> String {
        let connect = connect_authenticator(url, "device.pem", "device.key");
        self.workspace.succeed(&[&connect[..], more].concat()).0
    }

    /// Returns the command line without an authority for the gateway's certificate.
    fn without_ca<'a>(&self, url: &'a str) -> Vec<&'a str> {
        let mut arguments = connect_authenticator(url, "device.pem", "device.key");
        arguments.retain(|argument| !["--ca", "ca.pem"].contains(argument));
        arguments
    }
}

/// Responds with the request line, the header fields and the content, as HTTP/1.1 has them.
async fn echo(request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let content = body.collect().await.unwrap().to_bytes();
    let mut out = format!("{} {}\n", head.method, head.uri).into_bytes();
    for (name, value) in &head.headers {
        out.extend(format!("{name}: ").bytes());
        out.extend(value.as_bytes());
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend(content);
    let mut response = Response::new(Body::from(out));
    let headers = response.headers_mut();
    headers.insert("x-echo", HeaderValue::from_static("yes"));
    // 9b begins a command for some terminals.
    headers.insert("x-odd", HeaderValue::from_bytes(b"a\x9b2Jb").unwrap());
    response
}

fn assert_starts_with(text: &str, start: &str) {
    assert!(text.starts_with(start), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_method_is_get_or_post_with_data_or_the_given_one() {
    let echo = Echo::start().await;
    for (more, line) in [
        (&[][..], "GET /a/b?c=d"),
        (&["-d", "x"], "POST /a/b?c=d"),
        (&["--data", ""], "POST /a/b?c=d"),
        (&["-X", "DELETE"], "DELETE /a/b?c=d"),
        (&["-X", "PUT", "-d", "x"], "PUT /a/b?c=d"),
        (&["--request", "PURGE"], "PURGE /a/b?c=d"),
    ] {
        assert_starts_with(&echo.send("/a/b?c=d", more), &format!("{line}\n"));
    }
    let connect = connect_authenticator("https://localhost/", "device.pem", "device.key");
    let (code, error) = echo
        .workspace
        .fail(&[&connect[..], &["-X", "NO METHOD"]].concat());
    assert_eq!(code, 2, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_comes_from_the_command_line_a_file_or_standard_input() {
    let echo = Echo::start().await;
    echo.workspace
        .write("data", b"first line\r\n\x00\xe2\x82\xac");
    for (data, content) in [
        ("text with @ and spaces", "text with @ and spaces"),
        ("@data", "first line\r\n\0\u{20ac}"),
    ] {
        let out = echo.send("/", &["-d", data]);
        let len = format!("content-length: {}\n", content.len());
        assert_contains_all(&out, &[&len]);
        let (_, echoed) = out.split_once("\n\n").unwrap();
        assert_eq!(echoed, content);
    }
    let url = echo.gateway.uri("/");
    let connect = connect_authenticator(&url, "device.pem", "device.key");
    // The longest is longer than what a gateway reads that asks for a proof.
    for len in [20_000, 1_000_000] {
        let input = "y".repeat(len);
        let output = echo
            .workspace
            .run_on(&[&connect[..], &["-d", "@-"]].concat(), input.as_bytes());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let output = text(&output.stdout);
        let (_, echoed) = output.split_once("\n\n").unwrap();
        assert_eq!(echoed.len(), len);
        assert_eq!(echoed, input);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn header_fields_are_sent_in_their_order() {
    let echo = Echo::start().await;
    let out = echo.send(
        "/",
        &[
            "-H",
            "X-Test: one",
            "--header",
            "x-test:two",
            "-H",
            "Content-Type: application/json",
            "-H",
            "X-Empty:",
        ],
    );
    let fields: Vec<_> = out
        .lines()
        .filter(|line| line.starts_with("x-") || line.starts_with("content-type"))
        .collect();
    assert_eq!(
        fields,
        [
            "x-test: one",
            "x-test: two",
            "content-type: application/json",
            "x-empty: "
        ]
    );
    assert!(
        out.contains(&format!("host: localhost:{}\n", echo.gateway.port)),
        "{out}"
    );
}

/// The fields of a proof replace those of the user.
#[tokio::test(flavor = "multi_thread")]
async fn header_fields_cannot_spoil_the_proof() {
    let echo = Echo::start().await;
    let more = ["-H", "Authorization: Bearer x", "-H", "Host: other.example"];
    let out = echo.send("/", &more);
    // The proof was accepted, and is not passed on.
    assert!(out.starts_with("GET /\n"), "{out}");
    assert!(
        !out.contains("authorization:")
            && !out.contains("Bearer x")
            && !out.contains("other.example"),
        "{out}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_of_the_response_is_printed_on_request_with_escapes() {
    let echo = Echo::start().await;
    let plain = echo.send("/", &[]);
    assert_starts_with(&plain, "GET /\n");
    for option in ["-i", "--include"] {
        let out = echo.send("/", &[option]);
        let (head, content) = out.split_once("\r\n\r\n").unwrap();
        assert_starts_with(head, "HTTP/1.1 200 OK\r\n");
        assert_contains_all(head, &["x-echo: yes\r\n", "x-odd: a"]);
        assert!(
            head.bytes().all(|byte| byte.is_ascii() && byte != 0x1b),
            "{head}"
        );
        assert_starts_with(content, "GET /\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_content_of_the_response_is_written_to_a_file_on_request() {
    let echo = Echo::start().await;
    let all_bytes: Vec<u8> = (0..=255).collect();
    let url = echo.gateway.uri("/bytes");
    let connect = connect_authenticator(&url, "device.pem", "device.key");
    assert_eq!(echo.workspace.run(&connect).stdout, all_bytes);
    echo.workspace
        .write("out", "older and longer than the response".repeat(20));
    for more in [&["-o", "out"][..], &["--output", "out"]] {
        assert_eq!(echo.send("/bytes", more), "");
        assert_eq!(
            std::fs::read(echo.workspace.path("out")).unwrap(),
            all_bytes
        );
    }
    let out = echo.send("/bytes", &["-i", "-o", "out"]);
    assert!(
        out.starts_with("HTTP/1.1 200 OK\r\n") && out.ends_with("\r\n\r\n"),
        "{out}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_and_the_address_of_the_server_can_be_given() {
    let echo = Echo::start().await;
    let port = echo.gateway.port;
    let elsewhere = format!("https://gateway.invalid:{port}/");
    let name = ["--server-name", "localhost"];
    let out = echo.send_to(
        &elsewhere,
        &[&name[..], &["--resolve", "127.0.0.1"]].concat(),
    );
    assert!(
        out.contains(&format!("host: gateway.invalid:{port}\n")),
        "{out}"
    );
    let address = format!("127.0.0.1:{port}");
    let out = echo.send_to(
        "https://gateway.invalid/",
        &[&name[..], &["--resolve", &address]].concat(),
    );
    assert!(out.contains("host: gateway.invalid\n"), "{out}");

    // Without the name, the certificate must be for the host.
    let connect = connect_authenticator(&elsewhere, "device.pem", "device.key");
    let (code, error) = echo
        .workspace
        .fail(&[&connect[..], &["--resolve", "127.0.0.1"]].concat());
    assert_eq!(code, 6);
    assert!(error.contains("not for this host name"), "{error}");
    // Without the address, the host does not resolve.
    let (code, error) = echo.workspace.fail(&[&connect[..], &name].concat());
    assert_eq!(code, 5, "{error}");
    // The address is used, and not the host.
    let unused = format!("127.0.0.1:{}", peers::unused_port());
    let url = echo.gateway.uri("/");
    let connect = connect_authenticator(&url, "device.pem", "device.key");
    let (code, error) = echo
        .workspace
        .fail(&[&connect[..], &["--resolve", &unused]].concat());
    assert_eq!(code, 5, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authorities_of_the_system_are_trusted_if_none_is_given() {
    let echo = Echo::start().await;
    let others = Authority::new("others").unwrap();
    echo.workspace.write("others.pem", others.pem());
    let url = echo.gateway.uri("/");
    let connect = echo.without_ca(&url);
    let with_system = |file| {
        let output = echo.workspace.run_with(&connect, |command| {
            command.env("SSL_CERT_FILE", file);
        });
        (output.status.code().unwrap(), text(&output.stderr))
    };
    let (code, error) = with_system("ca.pem");
    assert_eq!(code, 0, "{error}");
    let (code, error) = with_system("others.pem");
    assert_eq!(code, 6, "{error}");
    assert!(error.contains("unknown authority"), "{error}");
    let (code, error) = with_system("missing.pem");
    assert_eq!(code, 8, "{error}");
    assert_contains_all(
        &error,
        &[
            "the system has no certification authorities",
            "missing.pem",
            "name the gateway's with --ca",
        ],
    );
    // The given authority is trusted alone.
    let with_ca = [&connect[..], &["--ca", "others.pem"]].concat();
    let output = echo.workspace.run_with(&with_ca, |command| {
        command.env("SSL_CERT_FILE", "ca.pem");
    });
    assert_eq!(output.status.code(), Some(6));
}
