//! Request bodies that the application does not read, as a layer that refuses a request does not.

use super::*;
use chanbind::tls;
use chanbind_host_tests::gateway::TestGateway;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

async fn connect(gateway: &TestGateway) -> TlsStream<TcpStream> {
    let roots = tls::roots_from_pem(gateway.pki.ca.as_bytes()).unwrap();
    let client = tls::client_config(roots).unwrap();
    let stream = TcpStream::connect(("127.0.0.1", gateway.port))
        .await
        .unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(client))
        .connect(name, stream)
        .await
        .unwrap()
}

/// Sends a request whose content of `len` bytes follows after the response, and then another request. Returns the status of the second
/// response, or `None` if the connection was closed.
async fn second_status(gateway: &TestGateway, len: usize, fields: &str) -> Option<u16> {
    let mut stream = connect(gateway).await;
    let head =
        format!("POST /get HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(status(&mut stream).await, Some(401));
    // A server that has closed the connection may make either of them fail.
    let _ = stream.write_all(&vec![b'x'; len]).await;
    let _ = stream
        .write_all(b"GET /get HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    status(&mut stream).await
}

/// Reads one response and returns its status.
pub(crate) async fn status(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<u16> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let (_, rest) = head.split_once("content-length: ").unwrap();
    let len = rest.lines().next().unwrap().parse().unwrap();
    let mut content = vec![0; len];
    stream.read_exact(&mut content).await.ok()?;
    head.split(' ').nth(1).unwrap().parse().ok()
}

#[tokio::test]
async fn short_content_of_a_refused_request_does_not_cost_the_connection() {
    let gateway = gateway().await;
    for len in [1, 20_000, 64 * 1024] {
        assert_eq!(
            second_status(&gateway, len, "").await,
            Some(401),
            "{len} bytes"
        );
    }
}

#[tokio::test]
async fn long_content_of_a_refused_request_closes_the_connection() {
    let gateway = gateway().await;
    assert_eq!(second_status(&gateway, 10 << 20, "").await, None);
}

/// The client does not send its content after a final response, so waiting for it would take for ever.
#[tokio::test]
async fn content_that_waits_for_100_is_not_asked_for() {
    let gateway = gateway().await;
    let fields = "Expect: 100-continue\r\n";
    assert_eq!(second_status(&gateway, 100, fields).await, None);
}
