//! The reasons that `chanbind connect` gives when TLS fails.

use super::*;
use chanbind_host_tests::pki::Authority;
use rcgen::{CertificateParams, date_time_ymd};
use rustls::{
    ServerConfig, ServerConnection,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, pem::PemObject},
    version::TLS12,
};
use std::sync::Arc;
use workspace::connect_authenticator;

/// Connects to a port, which must fail with the exit code of TLS. Returns the error.
fn error_at(workspace: &Workspace, port: u16, more: &[&str]) -> String {
    let url = format!("https://localhost:{port}/");
    let connect = connect_authenticator(&url, "device.pem", "device.key");
    let (code, error) = workspace.fail(&[&connect[..], more].concat());
    assert_eq!(code, 6, "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    let prefix = format!("chanbind: no TLS connection to localhost:{port}: ");
    let reason = error.trim_end().strip_prefix(&prefix);
    reason.unwrap_or_else(|| panic!("{error}")).to_owned()
}

/// Returns the error for a gateway whose certificate has these parameters.
fn error_for(change: impl FnOnce(&mut CertificateParams), more: &[&str]) -> String {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    let authority = Authority::new("servers").unwrap();
    let server = authority.issue(change).unwrap();
    workspace.write("ca.pem", authority.pem());
    workspace.write("chain.pem", server.pem());
    workspace.write("server.pem", server.key_pem());
    let gateway = workspace.authenticator_gateway("devices.pem", &[]);
    error_at(&workspace, gateway.port, more)
}

#[test]
fn an_expired_certificate_is_reported_with_readable_dates() {
    let error = error_for(
        |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 2, 3);
        },
        &[],
    );
    let (first, rest) = error.split_once(", and it is 20").unwrap();
    assert_eq!(
        first,
        "the server's certificate expired on 2021-02-03 00:00:00 UTC"
    );
    let (now, advice) = rest.split_once(" UTC: ").unwrap();
    assert_eq!(now.len(), "26-01-02 03:04:05".len(), "{error}");
    assert_eq!(advice, "have it renewed, or set this clock");
}

#[test]
fn a_certificate_of_the_future_is_reported_with_readable_dates() {
    let error = error_for(
        |params| {
            params.not_before = date_time_ymd(2100, 1, 1);
            params.not_after = date_time_ymd(2101, 1, 1);
        },
        &[],
    );
    assert!(
        error.starts_with(
            "the server's certificate is not valid before 2100-01-01 00:00:00 UTC, and it is 20"
        ) && error.ends_with(" UTC: set this clock"),
        "{error}"
    );
}

#[test]
fn a_certificate_for_another_name_is_reported_with_its_names() {
    let error = error_for(
        |params| {
            let names = ["gateway.example", "localhost"].map(str::to_owned);
            *params = CertificateParams::new(names).unwrap();
        },
        &["--server-name", "other.example"],
    );
    assert_eq!(
        error,
        "the server's certificate is not for this host name, but for gateway.example, localhost"
    );
}

#[test]
fn a_certificate_of_an_unknown_authority_is_reported() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    let gateway = workspace.authenticator_gateway("devices.pem", &[]);
    workspace.write("ca.pem", Authority::new("others").unwrap().pem());
    assert_eq!(
        error_at(&workspace, gateway.port, &[]),
        "the server's certificate comes from an unknown authority: give the certificate of the authority that issued it"
    );
}

#[test]
fn a_certificate_that_is_not_for_servers_is_reported() {
    let error = error_for(
        |params| {
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        },
        &[],
    );
    assert!(
        error.starts_with("the server's certificate is not accepted: "),
        "{error}"
    );
}

#[test]
fn a_server_without_tls_1_3_is_reported() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    let chain = workspace.read("chain.pem");
    let chain = rustls::pki_types::CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(workspace.read("server.pem").as_bytes()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    let config = Arc::new(config);
    let rustls = peers::serve(move |mut stream| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let _ = connection.complete_io(&mut stream);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let expected = "the server does not speak TLS 1.3, which proofs are bound to";
    assert_eq!(error_at(&workspace, rustls, &[]), expected);

    let port = chanbind_host_tests::port::neighbours().unwrap();
    let mut openssl = Command::new("openssl")
        .args(["s_server", "-quiet", "-tls1_2", "-accept"])
        .arg(format!("127.0.0.1:{port}"))
        .args(["-cert", "chain.pem", "-key", "server.pem"])
        .current_dir(workspace.folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let is_up = wait_until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let error = is_up.then(|| error_at(&workspace, port, &[]));
    let _ = openssl.kill();
    let _ = openssl.wait();
    assert_eq!(error.as_deref(), Some(expected));
}

#[test]
fn a_port_without_tls_is_reported() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    for greeting in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    ] {
        let port = peers::answering(greeting);
        assert_eq!(
            error_at(&workspace, port, &[]),
            "the server does not speak TLS on this port"
        );
    }
}

#[test]
fn an_alert_of_the_server_is_reported() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    // A fatal alert, handshake_failure (RFC 8446 section 6).
    let port = peers::answering(&[21, 3, 3, 0, 2, 2, 40]);
    assert_eq!(
        error_at(&workspace, port, &[]),
        "the server refused the handshake: HandshakeFailure"
    );
}

/// An end of the connection or a time-out is a fault of the network, with its exit code.
#[test]
fn a_silent_server_is_reported_as_a_time_out_of_the_network() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    let url = format!("https://localhost:{}/", peers::silent());
    let connect = connect_authenticator(&url, "device.pem", "device.key");
    let (code, error) = workspace.fail(&[&connect[..], &["--timeout", "1"]].concat());
    assert_eq!(code, 5);
    assert!(
        error.ends_with(": the server did not complete the handshake in time\n"),
        "{error}"
    );
}
