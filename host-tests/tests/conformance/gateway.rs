//! A gateway that records what it admits, and its clients in HTTP/1.1 and HTTP/2.

use crate::hold::LIMIT;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, Response},
};
use bytes::Bytes;
use chanbind::{
    client::{ConnectOptions, Connection, RequestBody},
    gateway::{Channel, Identities, Limits, Policy, ProofLayer, WeakChannel, serve_with},
    proof::Responder,
    tls::{self, SharedStream},
};
use chanbind_core::exporter::Exporter;
use chanbind_host_tests::{client::TestClient, pki::Pki};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::{Layer, ServiceExt};

/// A running gateway. It ends when it is dropped.
pub(crate) struct Gateway {
    pki: Pki,
    port: u16,
    pub(crate) layer: ProofLayer,
    records: Arc<Records>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Records {
    admitted: Mutex<Vec<Admitted>>,
    channels: Mutex<Vec<WeakChannel>>,
}

/// A request that came through the layer.
#[derive(Clone)]
pub(crate) struct Admitted {
    /// The client's address, which tells connections apart.
    pub(crate) peer: SocketAddr,
    /// The fields as the client sent them.
    pub(crate) headers: HeaderMap,
    /// The fields that the layer passed on.
    pub(crate) passed: HeaderMap,
    pub(crate) identities: Identities,
}

/// The fields of a request as the client sent them.
#[derive(Clone)]
struct Sent(HeaderMap);

impl Gateway {
    /// Starts a gateway on a free port. It answers every request with `ok`, and with the kind and subject of each identity.
    pub(crate) async fn start(policy: Policy, responders: Vec<Arc<dyn Responder>>) -> Self {
        let pki = Pki::new().unwrap();
        let mut tls =
            tls::server_config_from_pem(pki.certificate.as_bytes(), pki.key.as_bytes()).unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let records = Arc::<Records>::default();
        let layer = ProofLayer::with_responders(policy, responders);
        let (inside, outside) = (Arc::clone(&records), Arc::clone(&records));
        let app = Router::new()
            .fallback(move |request: Request<Body>| std::future::ready(inside.admitted(&request)));
        let app = layer
            .layer(app)
            .map_request(move |mut request: Request<Body>| {
                let sent = Sent(request.headers().clone());
                request.extensions_mut().insert(sent);
                let channel = request.extensions().get::<Channel>().unwrap();
                outside.channels.lock().unwrap().push(channel.downgrade());
                request
            });
        let task = tokio::spawn(serve_with(
            listener,
            tls,
            app,
            Limits::default(),
            std::future::pending(),
        ));
        Self {
            pki,
            port,
            layer,
            records,
            task,
        }
    }

    /// Creates a GET request for a path.
    pub(crate) fn request(&self, path: &str) -> Request<RequestBody> {
        let uri = format!("https://localhost:{}{path}", self.port);
        Connection::get(&uri.parse().unwrap()).unwrap()
    }

    fn client_config(&self) -> ClientConfig {
        let roots = tls::roots_from_pem(self.pki.ca.as_bytes()).unwrap();
        tls::client_config(roots).unwrap()
    }

    /// Opens a connection with HTTP/1.1.
    pub(crate) async fn open(&self) -> Connection {
        let options = ConnectOptions::default();
        let opened = Connection::open("localhost", self.port, self.client_config(), &options);
        opened.await.unwrap()
    }

    /// Opens a connection with HTTP/1.1, for requests with proofs of the test's choice.
    pub(crate) async fn connect(&self) -> TestClient {
        TestClient::new(self.open().await)
    }

    /// Opens a connection with HTTP/2.
    pub(crate) async fn connect_http2(&self) -> Http2 {
        let mut config = self.client_config();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let channel = SharedStream::new(connector.connect(name, stream).await.unwrap());
        let io = TokioIo::new(channel.clone());
        let (requests, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Http2 {
            requests,
            channel,
            driver,
        }
    }

    /// Returns the requests that were admitted, in their order.
    pub(crate) fn admitted(&self) -> Vec<Admitted> {
        self.records.admitted.lock().unwrap().clone()
    }

    /// Waits until the gateway keeps no state of a connection.
    pub(crate) async fn until_forgotten(&self) {
        let forgotten = async {
            let is_kept = |channel: &WeakChannel| channel.upgrade().is_some();
            while self.records.channels.lock().unwrap().iter().any(is_kept) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, forgotten).await.unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Records {
    fn admitted(&self, request: &Request<Body>) -> String {
        let identities = Identities::of(request.extensions());
        let mut answer = "ok".to_owned();
        for identity in identities.iter() {
            answer += &format!(" {} {}", identity.kind(), identity.subject());
        }
        self.admitted.lock().unwrap().push(Admitted {
            peer: *request.extensions().get().unwrap(),
            headers: request.extensions().get::<Sent>().unwrap().0.clone(),
            passed: request.headers().clone(),
            identities,
        });
        answer
    }
}

/// A client's connection, by which requests are sent whatever the version of HTTP.
pub(crate) trait Wire {
    /// Returns the channel.
    fn channel(&self) -> &(dyn Exporter + Sync);

    /// Sends a request without content, and reads the whole response.
    async fn send(&mut self, request: Request<RequestBody>) -> Response<Bytes>;
}

impl Wire for TestClient {
    fn channel(&self) -> &(dyn Exporter + Sync) {
        Self::channel(self)
    }

    async fn send(&mut self, request: Request<RequestBody>) -> Response<Bytes> {
        Self::send(self, request).await.unwrap()
    }
}

/// A connection with HTTP/2. It ends when it is dropped.
pub(crate) struct Http2 {
    requests: http2::SendRequest<Empty<Bytes>>,
    channel: SharedStream<TlsStream<TcpStream>>,
    driver: JoinHandle<()>,
}

impl Http2 {
    /// Sends a request beside others. Dropping the future cancels the request.
    pub(crate) async fn send_beside(&self, request: Request<RequestBody>) -> Response<Bytes> {
        let mut requests = self.requests.clone();
        let response = requests.send_request(request.map(|_| Empty::new()));
        let (head, body) = response.await.unwrap().into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    }
}

impl Wire for Http2 {
    fn channel(&self) -> &(dyn Exporter + Sync) {
        &self.channel
    }

    async fn send(&mut self, request: Request<RequestBody>) -> Response<Bytes> {
        self.send_beside(request).await
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
