//! The ways to reach an upstream.

use super::*;
use chanbind::{gateway::serve, proxy::UpstreamError, tls};
use chanbind_host_tests::pki::Pki;

/// A server over TLS, with HTTP/1.1 and HTTP/2 as ALPN selects.
async fn tls_server(protocol: &[u8]) -> (String, Pki, JoinHandle<()>) {
    let pki = Pki::new().unwrap();
    let mut config =
        tls::server_config_from_pem(pki.certificate.as_bytes(), pki.key.as_bytes()).unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let task = tokio::spawn(serve(listener, config, mirror(), std::future::pending()));
    (url, pki, task)
}

fn trusting(pki: &Pki) -> rustls::ClientConfig {
    tls::client_config(tls::roots_from_pem(pki.ca.as_bytes()).unwrap()).unwrap()
}

#[tokio::test]
async fn over_http2() {
    let server = Server::start(mirror()).await;
    let gateway = gateway_for(server.upstream().with_http2()).await;
    let seen = mirrored(&gateway, get(&gateway, "/a")).await;
    assert_eq!(seen["version"], "HTTP/2.0");
    assert_eq!(seen["headers"]["x-client-subject"], json!(["client1"]));
    let host = format!("localhost:{}", gateway.port);
    assert_eq!(seen["headers"]["x-forwarded-host"], json!([host]));
    gateway.stop().await;
}

#[tokio::test]
async fn over_tls() {
    for (protocol, version) in [(b"http/1.1".as_slice(), "HTTP/1.1"), (b"h2", "HTTP/2.0")] {
        let (url, pki, task) = tls_server(protocol).await;
        let upstream = Upstream::parse_with_tls(&url, trusting(&pki)).unwrap();
        let upstream = if protocol == b"h2" {
            upstream.with_http2()
        } else {
            upstream
        };
        let gateway = gateway_for(upstream).await;
        let seen = mirrored(&gateway, get(&gateway, "/a")).await;
        assert_eq!(seen["version"], version);
        gateway.stop().await;

        // Another authority is not trusted.
        let upstream = Upstream::parse_with_tls(&url, trusting(&Pki::new().unwrap())).unwrap();
        let gateway = gateway_for(upstream).await;
        let (status, _) = answered(&gateway, get(&gateway, "/")).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY);
        gateway.stop().await;
        task.abort();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let task = tokio::spawn(async move { axum::serve(listener, mirror()).await.unwrap() });
    let upstream = Upstream::parse(&format!("unix:{}", path.display())).unwrap();
    let gateway = gateway_for(upstream).await;
    let seen = mirrored(&gateway, get(&gateway, "/a?b")).await;
    assert_eq!(seen["uri"], "/a?b");
    assert_eq!(
        seen["headers"]["host"],
        json!([format!("localhost:{}", gateway.port)])
    );
    gateway.stop().await;
    task.abort();
}

#[test]
fn addresses_that_are_no_upstream_are_refused() {
    for url in [
        "",
        "localhost",
        "localhost:8080",
        "ftp://localhost",
        "http://",
        "http://localhost/path",
        "http://localhost/?query",
        "http://user@localhost",
        "unix:",
        "unix:relative.sock",
    ] {
        let error = Upstream::parse(url).unwrap_err();
        assert_eq!(error, UpstreamError::Url(url.to_owned()));
    }
    assert_eq!(
        Upstream::parse("https://localhost").unwrap_err(),
        UpstreamError::NoTls
    );
    for url in [
        "http://localhost",
        "http://[::1]:8080/",
        "unix:/run/app.sock",
        "unix:///run/app.sock",
    ] {
        Upstream::parse(url).unwrap();
    }
}
