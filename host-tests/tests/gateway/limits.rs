//! Limits on clients of the server, connections and time, each against a client that goes beyond it.

use super::*;
use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use chanbind::{
    gateway::{Limits, serve_with},
    tls,
};
use chanbind_host_tests::pki::Pki;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::ServerName;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A server with limits of its own, for HTTP/1.1 and HTTP/2.
pub(crate) struct Server {
    address: SocketAddr,
    pki: Pki,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(app: Router, limits: Limits) -> Self {
        let pki = Pki::new().unwrap();
        let mut tls =
            tls::server_config_from_pem(pki.certificate.as_bytes(), pki.key.as_bytes()).unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve_with(listener, tls, app, limits, async {
            let _ = stopped.await;
        }));
        Self {
            address,
            pki,
            stop: Some(stop),
            task,
        }
    }

    pub(crate) async fn connect(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        self.connect_from(Ipv4Addr::LOCALHOST, protocol)
            .await
            .unwrap()
    }

    async fn connect_from(
        &self,
        from: Ipv4Addr,
        protocol: &[u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let roots = tls::roots_from_pem(self.pki.ca.as_bytes()).unwrap();
        let mut client = tls::client_config(roots).unwrap();
        client.alpn_protocols = vec![protocol.to_vec()];
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(client))
            .connect(name, stream)
            .await
    }

    /// A connection of HTTP/2, and the task that answers its pings until it ends.
    async fn http2(&self) -> (http2::SendRequest<Empty<Bytes>>, JoinHandle<()>) {
        let stream = TokioIo::new(self.connect(b"h2").await);
        let opened = http2::handshake(TokioExecutor::new(), stream).await;
        let (sender, connection) = opened.unwrap();
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        (sender, driver)
    }

    /// A client like any other.
    async fn serves(&self, from: Ipv4Addr) {
        let mut stream = self.connect_from(from, b"http/1.1").await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn app() -> Router {
    Router::new().route("/", get(|| async { "ok" }))
}

pub(crate) fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// Waits until the server has closed a stream: reads whatever comes before that.
pub(crate) async fn closed(stream: &mut TlsStream<TcpStream>) -> Duration {
    let start = Instant::now();
    let mut bytes = vec![0; 65_536];
    let end = async { while matches!(stream.read(&mut bytes).await, Ok(1..)) {} };
    tokio::time::timeout(Duration::from_secs(20), end)
        .await
        .expect("the server closes it");
    start.elapsed()
}

/// Counts itself while it lives.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn count(all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(all))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// More connections than there are places for, from many addresses, that say nothing.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_attackers_do_not_keep_a_client_out() {
    const ATTACKERS: u32 = 10_000;
    let files = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: files.maximum,
        ..files
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    assert!(
        files.maximum.is_none_or(|most| most >= 16_384),
        "raise the limit of open files (ulimit -Hn) to 16384: this test has both ends of 10,000 connections"
    );
    let server = Server::start(app(), Limits::default()).await;
    let mut attackers = Vec::new();
    for number in 0..ATTACKERS {
        let [_, _, high, low] = (number / 100).to_be_bytes();
        let socket = TcpSocket::new_v4().unwrap();
        let from = Ipv4Addr::new(127, 1 + high, low, 1);
        socket.bind((from, 0).into()).unwrap();
        attackers.push(socket.connect(server.address).await.unwrap());
        if number % 2_000 == 1_999 {
            server.serves(Ipv4Addr::LOCALHOST).await;
        }
    }
    server.serves(Ipv4Addr::LOCALHOST).await;
    // Also from an address that the attackers share.
    server.serves(Ipv4Addr::new(127, 1, 0, 1)).await;
    assert_eq!(attackers.len(), 10_000);
}

/// HTTP/2 connections that are idle but for answers to pings give their places to others, and are closed in the end.
#[tokio::test(flavor = "multi_thread")]
async fn idle_http2_connections_go() {
    let limits = limits(|limits| {
        limits.connections = 20;
        limits.idle = Duration::from_secs(2);
        limits.head = SHORT;
    });
    let server = Server::start(app(), limits).await;
    let open = Arc::new(AtomicUsize::new(0));
    let mut senders = Vec::new();
    for _ in 0..50 {
        let (sender, driver) = server.http2().await;
        senders.push(sender);
        open.fetch_add(1, Ordering::SeqCst);
        let count = Arc::clone(&open);
        tokio::spawn(async move {
            let _ = driver.await;
            count.fetch_sub(1, Ordering::SeqCst);
        });
        server.serves(Ipv4Addr::LOCALHOST).await;
    }
    tokio::time::sleep(SHORT).await;
    let at_most = open.load(Ordering::SeqCst);
    assert!((1..=20).contains(&at_most), "{at_most}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(open.load(Ordering::SeqCst), 0);
}

/// A request under way keeps its connection's place, whatever others want.
#[tokio::test(flavor = "multi_thread")]
async fn requests_under_way_are_not_evicted() {
    let app = Router::new().route("/", get(|| async { "ok" })).route(
        "/slow",
        get(|| async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            "slow"
        }),
    );
    let server = Server::start(app, limits(|limits| limits.connections = 2)).await;
    let mut slow = server.connect(b"http/1.1").await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(SHORT).await;
    for _ in 0..5 {
        let _idle = TcpStream::connect(server.address).await.unwrap();
        server.serves(Ipv4Addr::LOCALHOST).await;
    }
    let mut response = String::new();
    slow.read_to_string(&mut response).await.unwrap();
    assert!(response.ends_with("slow"), "{response}");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_and_half_said_connections_are_closed() {
    let limits = limits(|limits| {
        limits.handshake = 3 * SHORT;
        limits.head = SHORT;
        limits.idle = 6 * SHORT;
    });
    let server = Server::start(app(), limits).await;
    // No handshake.
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut bytes = [0; 16];
    let read = silent.read(&mut bytes);
    let read = tokio::time::timeout(Duration::from_secs(10), read).await;
    assert_eq!(read.unwrap().unwrap_or(0), 0);
    // Half a head.
    let mut half = server.connect(b"http/1.1").await;
    half.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    closed(&mut half).await;
    // A request, and then nothing.
    let mut kept = server.connect(b"http/1.1").await;
    kept.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let took = closed(&mut kept).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    let mut kept = server.connect(b"h2").await;
    let took = closed(&mut kept).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_given_up() {
    let failed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&failed);
    let app = Router::new().route(
        "/",
        axum::routing::post(async move |body: Body| {
            let error = body.collect().await.err().map(|error| error.to_string());
            seen.store(error.is_some(), Ordering::SeqCst);
            StatusCode::REQUEST_TIMEOUT
        }),
    );
    let server = Server::start(app, limits(|limits| limits.body = SHORT)).await;
    let mut stream = server.connect(b"http/1.1").await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n1")
        .await
        .unwrap();
    let mut response = [0; 12];
    let read = stream.read_exact(&mut response);
    tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&response, b"HTTP/1.1 408");
    assert!(failed.load(Ordering::SeqCst));
    // The connection cannot be used for another request.
    closed(&mut stream).await;

    let stream = server.connect(b"h2").await;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let driver = tokio::spawn(connection);
    failed.store(false, Ordering::SeqCst);
    let body = http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<hyper::body::Frame<Bytes>, std::convert::Infallible>,
    >());
    let request = Request::post("https://localhost/").body(body).unwrap();
    let response = sender.send_request(request);
    let response = tokio::time::timeout(Duration::from_secs(10), response).await;
    assert_eq!(response.unwrap().unwrap().status(), 408);
    assert!(failed.load(Ordering::SeqCst));
    driver.abort();
}

/// Clients that ask for much and read nothing.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_are_dropped() {
    let running = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&running);
    let app = Router::new().route(
        "/",
        get(async move || {
            let guard = Running::count(&count);
            let endless = futures_util::stream::repeat_with(move || {
                let _ = &guard;
                Ok::<_, std::io::Error>(Bytes::from_static(&[7; 65_536]))
            });
            Body::from_stream(endless)
        }),
    );
    let server = Server::start(app, limits(|limits| limits.response = 2 * SHORT)).await;
    let mut first = server.connect(b"http/1.1").await;
    first
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let (mut sender, driver) = server.http2().await;
    let request = Request::get("https://localhost/")
        .body(Empty::new())
        .unwrap();
    // The window is not opened any further, as nothing of the body is read.
    let second = sender.send_request(request).await.unwrap();
    assert_eq!(running.load(Ordering::SeqCst), 2);
    for _ in 0..100 {
        tokio::time::sleep(SHORT / 3).await;
        if running.load(Ordering::SeqCst) == 0 {
            break;
        }
    }
    assert_eq!(running.load(Ordering::SeqCst), 0);
    drop((first, second));
    let _ = driver.await;
}

/// Blessings of 16 KiB take more than the 16 KiB of header fields that servers of HTTP/2 usually accept.
#[tokio::test(flavor = "multi_thread")]
async fn long_credentials_are_received_over_http2() {
    let app = Router::new().route("/", get(|| async {}));
    let server = Server::start(app, limits(|_| {})).await;
    let (mut sender, driver) = server.http2().await;
    for (len, status) in [(22_000, 200), (70_000, 431)] {
        let request = Request::get("https://localhost/")
            .header("authorization", "x".repeat(len))
            .body(Empty::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), status, "{len}");
    }
    drop(sender);
    let _ = driver.await;
}

/// A response that takes the server long is not the client's fault.
#[tokio::test(flavor = "multi_thread")]
async fn slow_servers_are_not_their_clients_fault() {
    let app = Router::new().route(
        "/",
        get(|| async {
            tokio::time::sleep(4 * SHORT).await;
            Body::from_stream(async_stream())
        }),
    );
    fn async_stream() -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
        futures_util::stream::unfold(0, |at| async move {
            tokio::time::sleep(2 * SHORT).await;
            (at < 3).then(|| (Ok(Bytes::from_static(b"x")), at + 1))
        })
    }
    let limits = limits(|limits| {
        limits.response = SHORT;
        limits.idle = 3 * SHORT;
        limits.body = SHORT;
    });
    let server = Server::start(app, limits).await;
    server.serves(Ipv4Addr::LOCALHOST).await;
}

/// A large response that leaves in one piece, and a client that takes it slowly, but takes it.
#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_are_not_dropped() {
    const LEN: usize = 24 * 1024 * 1024;
    let app = Router::new().route("/", get(|| async { Bytes::from(vec![7; LEN]) }));
    let limits = limits(|limits| {
        limits.response = SHORT;
        limits.idle = 3 * SHORT;
    });
    let server = Server::start(app, limits).await;
    let mut stream = server.connect(b"http/1.1").await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut bytes = vec![0; 256 * 1024];
    let (start, mut read) = (Instant::now(), 0);
    while read < LEN {
        let len = stream.read(&mut bytes).await.unwrap();
        assert!(len > 0, "cut after {read} bytes");
        read += len;
        if read % (1024 * 1024) < len {
            tokio::time::sleep(SHORT / 4).await;
        }
    }
    assert!(start.elapsed() > 3 * SHORT, "{:?}", start.elapsed());
}

#[tokio::test]
async fn long_uris_are_answered_414() {
    let gateway = gateway().await;
    let mut connection = gateway.connect().await.unwrap();
    let mut status = async |path: String| {
        let uri = gateway.uri(&path).parse().unwrap();
        let request = Connection::get(&uri).unwrap();
        answer(&mut connection, request).await.0
    };
    assert_eq!(
        status(format!("/{}", "a".repeat(8_191))).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        status(format!("/{}", "a".repeat(8_192))).await,
        StatusCode::URI_TOO_LONG
    );
    assert_eq!(
        status(format!("/?{}", "%25".repeat(10_000))).await,
        StatusCode::URI_TOO_LONG
    );
}

/// When `serve` returns, nothing is served any more.
#[tokio::test(flavor = "multi_thread")]
async fn serve_returns_when_nothing_is_served() {
    let running = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&running);
    let app = Router::new().route(
        "/",
        get(async move || {
            let _running = Running::count(&count);
            tokio::time::sleep(Duration::from_secs(60)).await;
        }),
    );
    let mut server = Server::start(app, limits(|limits| limits.shutdown = SHORT)).await;
    let mut first = server.connect(b"http/1.1").await;
    first
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let (mut sender, driver) = server.http2().await;
    let request = Request::get("https://localhost/")
        .body(Empty::new())
        .unwrap();
    let second = tokio::spawn(async move { sender.send_request(request).await.is_err() });
    while running.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let _ = server.stop.take().unwrap().send(());
    let start = Instant::now();
    (&mut server.task).await.unwrap();
    assert!(start.elapsed() >= SHORT);
    // A task that is aborted ends at once, but by itself.
    for _ in 0..100 {
        if running.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    assert_eq!(running.load(Ordering::SeqCst), 0);
    closed(&mut first).await;
    assert!(second.await.unwrap());
    let _ = driver.await;
}
