//! New connections: their pace, and the addresses that load balancers give them.

use axum::{Router, extract::Request, routing::get};
use chanbind::{
    gateway::{Event, Limits, Observer, Server},
    tls,
};
use chanbind_host_tests::pki::Pki;
use rustls::pki_types::ServerName;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

/// The events that an observer has been told, in short.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Observer for Log {
    fn observe(&self, event: &Event<'_>) {
        let text = match event {
            Event::ConnectionRejected { peer, reason } => {
                format!("rejected {}: {reason}", peer.ip())
            }
            Event::HandshakeFailed { peer, .. } => format!("failed {}", peer.ip()),
            Event::ConnectionOpened { peer, .. } => format!("opened {}", peer.ip()),
            Event::ConnectionClosed { peer, .. } => format!("closed {}", peer.ip()),
            _ => "other".to_owned(),
        };
        self.0.lock().unwrap().push(text);
    }
}

impl Log {
    async fn wait_for(&self, expected: &[&str]) {
        for _ in 0..500 {
            if *self.0.lock().unwrap() == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", self.0.lock().unwrap());
    }
}

/// A server that answers with the address of the client.
struct Running {
    address: SocketAddr,
    pki: Pki,
    log: Arc<Log>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(change: impl FnOnce(&mut Limits), proxies: &[&str]) -> Self {
        let pki = Pki::new().unwrap();
        let tls =
            tls::server_config_from_pem(pki.certificate.as_bytes(), pki.key.as_bytes()).unwrap();
        let mut limits = Limits::default();
        change(&mut limits);
        let log = Arc::<Log>::default();
        let server = Server::new(tls)
            .with_limits(limits)
            .observed(Arc::<Log>::clone(&log))
            .behind(proxies.iter().map(|network| network.parse().unwrap()));
        let app = Router::new().route(
            "/",
            get(|request: Request| async move {
                request
                    .extensions()
                    .get::<SocketAddr>()
                    .unwrap()
                    .to_string()
            }),
        );
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            server.serve(listener, app, std::future::pending()).await;
        });
        Self {
            address,
            pki,
            log,
            task,
        }
    }

    async fn tcp(&self, from: Ipv4Addr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// Sends a request after `before`. Returns the content of the response.
    async fn ask(&self, from: Ipv4Addr, before: &[u8]) -> std::io::Result<String> {
        let mut stream = self.tcp(from).await;
        stream.write_all(before).await?;
        let roots = tls::roots_from_pem(self.pki.ca.as_bytes()).unwrap();
        let connector = TlsConnector::from(Arc::new(tls::client_config(roots).unwrap()));
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, stream).await?;
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await?;
        Ok(response.rsplit("\r\n").next().unwrap().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[tokio::test]
async fn an_address_that_comes_too_often_is_rejected_and_others_are_not() {
    let server = Running::start(|limits| limits.handshakes_per_second_and_address = 2, &[]).await;
    for _ in 0..2 {
        server.ask(Ipv4Addr::LOCALHOST, b"").await.unwrap();
    }
    let mut rejected = 0;
    for _ in 0..4 {
        rejected += usize::from(server.ask(Ipv4Addr::LOCALHOST, b"").await.is_err());
    }
    assert!(rejected > 0);
    server.ask(OTHER, b"").await.unwrap();
    let log = server.log.0.lock().unwrap();
    let reason = "rejected 127.0.0.1: too many connections in a second from this address";
    assert_eq!(log.iter().filter(|line| *line == reason).count(), rejected);
}

#[tokio::test]
async fn all_connections_wait_for_their_turn() {
    let server = Running::start(|limits| limits.handshakes_per_second = 10, &[]).await;
    let start = Instant::now();
    for _ in 0..25 {
        server.ask(Ipv4Addr::LOCALHOST, b"").await.unwrap();
    }
    assert!(
        start.elapsed() >= Duration::from_millis(1500),
        "{:?}",
        start.elapsed()
    );
}

/// A header of version 2 for TCP over IPv4, written by hand from section 2.2 of the specification.
const FOR_192_0_2_7: &[u8] =
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x7f\x00\x00\x01\x10\x92\x20\xfb";
/// The same for IPv6, with a TLV behind the addresses.
const FOR_2001_DB8_7: &[u8] = b"\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x28\
    \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x10\x92\x20\xfb\x04\x00\x01\x00";
/// A connection of the load balancer's own.
const LOCAL: &[u8] = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00";

#[tokio::test]
async fn load_balancers_name_the_client() {
    let server = Running::start(|_| {}, &["127.0.0.2/32", "2001:db8::/32"]).await;
    for (header, client) in [
        (FOR_192_0_2_7, "192.0.2.7:4242"),
        (FOR_2001_DB8_7, "[2001:db8::7]:4242"),
    ] {
        assert_eq!(server.ask(OTHER, header).await.unwrap(), client);
    }
    assert!(
        server
            .ask(OTHER, LOCAL)
            .await
            .unwrap()
            .starts_with("127.0.0.2:")
    );
    server
        .log
        .wait_for(&[
            "opened 192.0.2.7",
            "closed 192.0.2.7",
            "opened 2001:db8::7",
            "closed 2001:db8::7",
            "opened 127.0.0.2",
            "closed 127.0.0.2",
        ])
        .await;

    // A load balancer that sends none, or another version, is not served: the address would be wrong.
    for header in [
        &b""[..],
        b"PROXY TCP4 192.0.2.7 127.0.0.1 4242 8443\r\n",
        b"\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c\xc0\x00\x02\x07\x7f\x00\x00\x01\x10\x92\x20\xfb",
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x04\xc0\x00\x02\x07",
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff\xc0\x00\x02\x07",
    ] {
        assert!(server.ask(OTHER, header).await.is_err());
    }
    // Others cannot say who they are.
    let own = server.ask(Ipv4Addr::LOCALHOST, b"").await.unwrap();
    assert!(own.starts_with("127.0.0.1:"));
    assert!(
        server
            .ask(Ipv4Addr::LOCALHOST, FOR_192_0_2_7)
            .await
            .is_err()
    );
}

/// A load balancer that is silent holds no connection for ever, and limits count the client's address.
#[tokio::test]
async fn limits_count_the_clients_of_load_balancers() {
    let change = |limits: &mut Limits| {
        limits.handshakes_per_second_and_address = 1;
        limits.handshake = Duration::from_millis(300);
    };
    let server = Running::start(change, &["127.0.0.2/32"]).await;
    server.ask(OTHER, FOR_192_0_2_7).await.unwrap();
    assert!(server.ask(OTHER, FOR_192_0_2_7).await.is_err());
    server.ask(OTHER, FOR_2001_DB8_7).await.unwrap();
    let mut silent = server.tcp(OTHER).await;
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0);
}
