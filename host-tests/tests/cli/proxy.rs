//! HTTP proxies that the environment names.

use super::*;
use request::Echo;
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
};
use workspace::connect_authenticator;

/// A proxy that opens tunnels to one port of this host, whatever the client asks for.
struct Proxy {
    port: u16,
    /// The heads of the requests that it has received.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(upstream: u16) -> Self {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&heads);
        let port = peers::serve(move |mut client| {
            received.lock().unwrap().push(read_head(&mut client));
            let server = TcpStream::connect(("127.0.0.1", upstream)).unwrap();
            let _ = client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
            peers::tunnel(client, server, |_| {});
        });
        Self { port, heads }
    }

    /// Returns the heads of the requests since the last call.
    fn take_heads(&self) -> Vec<String> {
        std::mem::take(&mut self.heads.lock().unwrap())
    }
}

fn read_head(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|len| len == 1) {
        head.extend(byte);
    }
    text(&head)
}

impl Echo {
    /// Connects to `url` with these variables in the environment. Returns the exit code and the standard error.
    fn connect_with(&self, url: &str, more: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
        let connect = connect_authenticator(url, "device.pem", "device.key");
        let output = self
            .workspace
            .run_with(&[&connect[..], more].concat(), |command| {
                command.envs(variables.iter().copied());
            });
        (output.status.code().unwrap(), text(&output.stderr))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_go_through_the_proxy_which_resolves_the_host() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.gateway.port);
    let address = format!("http://127.0.0.1:{}", proxy.port);
    for (variable, value) in [
        ("HTTPS_PROXY", address.clone()),
        ("https_proxy", address.clone()),
        ("ALL_PROXY", address.clone()),
        ("HTTPS_PROXY", format!("localhost:{}", proxy.port)),
    ] {
        let (code, error) = echo.connect_with(
            "https://gateway.invalid:4433/",
            &["--server-name", "localhost"],
            &[(variable, &value)],
        );
        assert_eq!(code, 0, "{variable}={value}: {error}");
        let heads = proxy.take_heads();
        assert_eq!(heads.len(), 1, "{variable}={value}");
        assert!(
            heads[0].starts_with("CONNECT gateway.invalid:4433 HTTP/1.1\r\n"),
            "{heads:?}"
        );
        assert!(!heads[0].to_lowercase().contains("proxy-authorization"));
    }
    // A variable for other schemes does not count.
    let (code, error) = echo.connect_with(
        "https://gateway.invalid:4433/",
        &["--server-name", "localhost"],
        &[("HTTP_PROXY", &address)],
    );
    assert_eq!(code, 5, "{error}");
    assert_eq!(proxy.take_heads(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_password_are_sent_to_the_proxy() {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.gateway.port);
    for (in_url, decoded) in [
        ("user:password", "user:password"),
        ("us%40er:p%3Aa%2Fs%25s%20w", "us@er:p:a/s%s w"),
        ("user:", "user:"),
    ] {
        let address = format!("http://{in_url}@127.0.0.1:{}", proxy.port);
        let url = echo.gateway.uri("/");
        let (code, error) = echo.connect_with(&url, &[], &[("HTTPS_PROXY", &address)]);
        assert_eq!(code, 0, "{in_url}: {error}");
        let heads = proxy.take_heads();
        assert_eq!(heads.len(), 1, "{in_url}");
        let expected = format!("Basic {}", BASE64_STANDARD.encode(decoded));
        let field = heads[0].lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("proxy-authorization")
                .then_some(value)
        });
        assert_eq!(field, Some(&*expected), "{in_url}: {heads:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_is_asked_for_the_address_that_the_user_gives() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.gateway.port);
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let more = ["--server-name", "localhost", "--resolve", "192.0.2.1:99"];
    let (code, error) = echo.connect_with(
        "https://gateway.invalid/",
        &more,
        &[("HTTPS_PROXY", &address)],
    );
    assert_eq!(code, 0, "{error}");
    let heads = proxy.take_heads();
    assert!(
        heads[0].starts_with("CONNECT 192.0.2.1:99 HTTP/1.1\r\n"),
        "{heads:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_in_no_proxy_are_connected_to_directly() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.gateway.port);
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let url = echo.gateway.uri("/");
    for (no_proxy, through) in [
        ("localhost", 0),
        ("example.com,localhost", 0),
        ("*", 0),
        ("example.com", 1),
    ] {
        let variables = [("HTTPS_PROXY", address.as_str()), ("NO_PROXY", no_proxy)];
        let (code, error) = echo.connect_with(&url, &[], &variables);
        assert_eq!(code, 0, "{no_proxy}: {error}");
        assert_eq!(proxy.take_heads().len(), through, "{no_proxy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_that_refuse_or_fail_are_errors_of_the_network() {
    let echo = Echo::start().await;
    let url = echo.gateway.uri("/");
    let unused = peers::unused_port();
    for (proxy, says) in [
        (
            format!(
                "http://127.0.0.1:{}",
                peers::answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            ),
            "the proxy gives no tunnel to localhost:",
        ),
        (
            format!(
                "http://127.0.0.1:{}",
                peers::answering(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
                )
            ),
            "authorization",
        ),
        (
            format!("http://127.0.0.1:{}", peers::closing()),
            "the proxy gives no tunnel to localhost:",
        ),
        (
            format!("http://127.0.0.1:{}", peers::silent()),
            "it did not answer in time",
        ),
        (
            format!("http://127.0.0.1:{unused}"),
            &format!(
                "the proxy gives no tunnel to localhost:{}: no connection to 127.0.0.1:{unused} ",
                echo.gateway.port
            ),
        ),
        (
            "https://127.0.0.1:1".to_owned(),
            "only http:// proxies are supported",
        ),
    ] {
        let variables = [("HTTPS_PROXY", proxy.as_str())];
        let (code, error) = echo.connect_with(&url, &["--timeout", "1"], &variables);
        assert_eq!(code, 5, "{proxy}: {error}");
        assert!(error.contains(says), "{proxy}: {error}");
    }
}
