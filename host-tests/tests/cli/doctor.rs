//! `chanbind doctor`, against gateways and against what stands between.

use super::*;
use axum::{Extension, Router, routing::get};
use chanbind::{
    gateway::{Channel, Diagnosis, Export, Policy, serve},
    proof::fingerprint,
    protocol::otp::Profile,
};
use chanbind_host_tests::{openssl::OpenSsl, pki::Authority};
use std::{
    io::{BufRead, BufReader, Write},
    sync::Arc,
};
use tokio::{io::copy_bidirectional, net::TcpListener, runtime::Runtime};

const CONFIG: &str = "[diagnostics]\n[proof.otp]\nregistry = \"registry.toml\"\n\
    [[rule]]\npath = \"/\"\nany = [\"otp\"]\n";

/// Runs the command. Returns its exit code, and what it printed.
fn doctor(workspace: &Workspace, url: &str, more: &[&str]) -> (Option<i32>, String) {
    let output = workspace.run(&[&["doctor", url, "--ca", "ca.pem"], more].concat());
    let printed = text(&output.stdout) + &text(&output.stderr);
    (output.status.code(), printed)
}

/// Returns the findings that something is wrong.
fn wrong(printed: &str) -> Vec<&str> {
    let lines = printed.lines();
    lines
        .filter_map(|line| line.strip_prefix("WRONG  "))
        .collect()
}

#[test]
fn two_ends_that_agree_are_told_so() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    let gateway = workspace.configured_gateway(CONFIG);
    assert!(
        gateway
            .wait_for_log("diagnosis")
            .contains("remove [diagnostics]")
    );
    let url = gateway.url();
    let (code, printed) = doctor(&workspace, &url, &["--key", "client1.pem"]);
    assert_eq!(code, Some(0), "{printed}");
    assert_contains_all(
        &printed,
        &[
            "TLSv1_3",
            "ok     the certificate is the gateway's own",
            "ok     the gateway sees TLS 1.3 too",
            "ok     the clocks are",
            "ok     api-key: both ends export ",
            "ok     signing: both ends export ",
            "ok     encryption: both ends export ",
            "ok     the key is accepted (200 OK)",
        ],
    );
    // The fingerprint of the certificate, as OpenSSL prints it.
    let shown = workspace.openssl(&[
        "x509",
        "-in",
        "chain.pem",
        "-noout",
        "-sha256",
        "-fingerprint",
    ]);
    let (_, fingerprint) = shown.trim().split_once('=').unwrap();
    let (code, printed) = doctor(&workspace, &url, &["--peer-fingerprint", fingerprint]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("ok     the certificate is the one that was printed"),
        "{printed}"
    );
    let other = fingerprint.replace(':', "").replace(['0', '1'], "2");
    let (code, printed) = doctor(&workspace, &url, &["--peer-fingerprint", &other]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(
        wrong(&printed)
            .first()
            .unwrap()
            .contains("is not the one that was printed")
    );
}

#[test]
fn a_wrong_key_and_an_unknown_client_are_found() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    std::fs::rename(workspace.path("registry.toml"), workspace.path("old.toml")).unwrap();
    std::fs::rename(workspace.path("client1.pem"), workspace.path("old.pem")).unwrap();
    workspace.provision("client1", &[]);
    let gateway = workspace.configured_gateway(CONFIG);
    for arguments in [
        &["--key", "old.pem"][..],
        &["--key", "client1.pem", "--client-id", "client2"],
    ] {
        let (code, printed) = doctor(&workspace, &gateway.url(), arguments);
        assert_eq!(code, Some(1), "{printed}");
        assert_eq!(
            wrong(&printed),
            ["the key is refused (401 Unauthorized)"],
            "{printed}"
        );
        assert!(
            printed.contains("the registry has another key"),
            "{printed}"
        );
    }
}

#[test]
fn another_derivation_is_named() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    let gateway = workspace.configured_gateway(CONFIG);
    let client = ["--client-id", "client1"];
    for (arguments, findings) in [
        (
            &["--profile", "go-demo-api-key"][..],
            [
                "the label \"EXPERIMENTAL-chanbind-one-time-key\" and the context of \"api-key\" and the client id",
            ],
        ),
        (
            &["--context", "client-id"],
            [
                "the label \"EXPERIMENTAL-chanbind-one-time-key\" and the context of \"api-key\" and the client id",
            ],
        ),
    ] {
        let (code, printed) = doctor(&workspace, &gateway.url(), &[&client, arguments].concat());
        assert_eq!(code, Some(1), "{printed}");
        for finding in findings {
            assert!(
                wrong(&printed).iter().any(|line| line.contains(finding)),
                "{printed}"
            );
        }
        assert!(!printed.contains("ok     api-key"), "{printed}");
        assert!(
            printed.contains("give both ends the same profile"),
            "{printed}"
        );
    }
    // A label that is neither end's own.
    let config = CONFIG.replace(
        "registry.toml\"",
        "registry.toml\"\nlabel = \"EXPERIMENTAL-other\"",
    );
    let gateway = workspace.configured_gateway(&config);
    let (code, printed) = doctor(&workspace, &gateway.url(), &client);
    assert_eq!(code, Some(1), "{printed}");
    assert!(
        printed.contains("no label and context known here"),
        "{printed}"
    );
}

/// A gateway that derives in three wrong ways, and whose clock is behind.
#[test]
fn another_clock_and_old_derivations_are_found() {
    let workspace = Workspace::without_tpm();
    let answer = |Extension(channel): Extension<Channel>| async move {
        let export = |name: &str, context: Option<&[u8]>| {
            let mut value = [0; 32];
            let label = Profile::default().exporter_label;
            let exporter = channel.exporter();
            exporter
                .export_keying_material(label, context, &mut value)
                .unwrap();
            Export {
                proof: "otp".to_owned(),
                name: name.to_owned(),
                fingerprint: fingerprint(&value),
            }
        };
        let mut diagnosis = Diagnosis::of(&channel, &Policy::new(), "client1");
        diagnosis.tls = "1.2".to_owned();
        diagnosis.unix_time -= 120;
        diagnosis.exports = vec![
            export("api-key", Some(b"")),
            export("signing", Some(b"client1")),
            export("encryption", Some(b"\0\x07client1")),
        ];
        serde_json::to_string(&diagnosis).unwrap()
    };
    let app = Router::new().route("/.well-known/chanbind-diagnosis", get(answer));
    let runtime = Runtime::new().unwrap();
    let [chain, key] =
        ["chain.pem", "server.pem"].map(|name| std::fs::read(workspace.path(name)).unwrap());
    let tls = chanbind::tls::server_config_from_pem(&chain, &key).unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!(
        "https://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    runtime.spawn(serve(listener, tls, app, std::future::pending()));
    let (code, printed) = doctor(&workspace, &url, &["--client-id", "client1"]);
    assert_eq!(code, Some(1), "{printed}");
    let findings = wrong(&printed);
    for (finding, start, end) in [
        (0, "the gateway sees TLS 1.2 where", "this end has 1.3"),
        (1, "the clocks are 12", " s apart"),
        (
            2,
            "api-key: the other end exports ",
            "no context, or an empty one, which is the same in TLS 1.3",
        ),
        (
            3,
            "signing: the other end exports ",
            "the client id as context",
        ),
        (
            4,
            "encryption: the other end exports ",
            "the client id as context, with its length before it as in TLS 1.2",
        ),
    ] {
        let found = findings.get(finding).copied().unwrap_or_default();
        assert!(
            found.starts_with(start) && found.ends_with(end),
            "{printed}"
        );
    }
}

#[test]
fn interception_is_found() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    let authority = Authority::new("servers").unwrap();
    let [own, other] = [(); 2].map(|()| authority.issue(|_| {}).unwrap());
    workspace.write("ca.pem", authority.pem());
    workspace.write("chain.pem", own.pem());
    workspace.write("server.pem", own.key_pem());
    let gateway = workspace.configured_gateway(CONFIG);
    let runtime = Runtime::new().unwrap();
    let acceptor =
        chanbind::tls::server_config_from_pem(other.pem().as_bytes(), other.key_pem().as_bytes());
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(acceptor.unwrap()));
    let roots = chanbind::tls::roots_from_pem(authority.pem().as_bytes()).unwrap();
    let connector =
        tokio_rustls::TlsConnector::from(Arc::new(chanbind::tls::client_config(roots).unwrap()));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!(
        "https://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    let port = gateway.port;
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, connector) = (acceptor.clone(), connector.clone());
            tokio::spawn(async move {
                let mut near = acceptor.accept(stream).await.unwrap();
                let far = tokio::net::TcpStream::connect(("127.0.0.1", port))
                    .await
                    .unwrap();
                let mut far = connector
                    .connect("localhost".try_into().unwrap(), far)
                    .await
                    .unwrap();
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    let (code, printed) = doctor(&workspace, &url, &["--key", "client1.pem"]);
    assert_eq!(code, Some(1), "{printed}");
    let findings = wrong(&printed);
    assert!(
        findings
            .first()
            .unwrap()
            .starts_with("the certificate is not the gateway's own"),
        "{printed}"
    );
    assert_eq!(
        findings
            .iter()
            .filter(|line| line.contains("the other end exports"))
            .count(),
        3,
        "{printed}"
    );
    // A proof is not shown to what stands between.
    assert!(printed.contains("the key was not tried"), "{printed}");
}

#[test]
fn an_end_that_is_not_trusted_is_sent_nothing() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    let gateway = workspace.configured_gateway(CONFIG);
    workspace.write("ca.pem", Authority::new("others").unwrap().pem());
    let (code, printed) = doctor(&workspace, &gateway.url(), &["--key", "client1.pem"]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("Nothing was sent to it"), "{printed}");
    assert!(!printed.contains("both ends export"), "{printed}");
    assert!(!gateway.stop().contains("accepted"));
}

#[test]
fn tls_1_2_and_a_silent_address_are_found() {
    let workspace = Workspace::without_tpm();
    let port = chanbind_host_tests::port::neighbours().unwrap();
    let (chain, key) = (workspace.path("chain.pem"), workspace.path("server.pem"));
    let _server = OpenSsl::start(&[
        "s_server",
        "-tls1_2",
        "-accept",
        &port.to_string(),
        "-cert",
        chain.to_str().unwrap(),
        "-key",
        key.to_str().unwrap(),
        "-www",
    ]);
    let url = format!("https://localhost:{port}/");
    let mut last = (None, String::new());
    let is_found = wait_until(|| {
        last = doctor(&workspace, &url, &[]);
        last.0 == Some(1)
    });
    let (_, printed) = last;
    assert!(is_found, "{printed}");
    assert!(printed.contains("speaks TLS 1.2: TLSv1_2"), "{printed}");
    let (closed, _other) = chanbind_host_tests::port::listeners().unwrap();
    let url = format!("https://localhost:{}/", closed.local_addr().unwrap().port());
    drop(closed);
    assert_eq!(doctor(&workspace, &url, &[]).0, Some(5));
}

#[test]
fn without_diagnostics_the_log_is_compared() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    let config = CONFIG.replace("[diagnostics]\n", "");
    workspace.write("gateway.toml", workspace::configuration(&config));
    let mut command = workspace.command(&["gateway", "--config", "gateway.toml"]);
    let gateway = Gateway::start(command.env("RUST_LOG", "chanbind=debug"), None);
    let url = gateway.url();
    let arguments = [
        "doctor",
        &url,
        "--ca",
        "ca.pem",
        "--client-id",
        "client1",
        "--peer-fingerprint",
        "-",
    ];
    for profile in ["chanbind", "go-demo-api-key"] {
        let mut command = workspace.command(&[&arguments[..], &["--profile", profile]].concat());
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        assert!(line.starts_with("enter the 8 digits after ekm="), "{line}");
        // With another profile the gateway finds no password in the request, and the operator takes any line.
        let log = gateway.wait_for_log("ekm=");
        let (_, rest) = log.rsplit_once("ekm=").unwrap();
        let digits: String = rest.chars().filter(|digit| *digit != '"').take(8).collect();
        writeln!(child.stdin.take().unwrap(), "{digits}").unwrap();
        let output = child.wait_with_output().unwrap();
        let printed = text(&output.stdout);
        assert!(
            printed.contains("note   the gateway gives no diagnosis"),
            "{printed}"
        );
        let agrees = printed.contains("ok     the printed value: both ends export");
        assert_eq!(agrees, profile == "chanbind", "{printed}");
        assert_eq!(output.status.success(), agrees, "{printed}");
    }
}
