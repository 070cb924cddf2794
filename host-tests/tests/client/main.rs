//! The client that runs any prover: sessions and pools, with requests and responses of any kind, over TLS on 127.0.0.1.
#![cfg(test)]
#![allow(clippy::arithmetic_side_effects, reason = "a panic fails the test")]

mod bodies;
mod pool;
mod session;

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, Request},
    middleware::map_request,
    response::{IntoResponse, Response},
    routing::any,
};
use bytes::Bytes;
use chanbind::{
    client::{Connection, RequestBody, ResponseBody, Session, SessionError},
    gateway::{ClientKey, ClientTable, MemoryRegistry, Policy, ProofLayer},
    proof::{
        authenticator::{self, AuthenticatorProver, AuthenticatorVerifier, Credentials, Trust},
        otp::{self, Form, OtpProver, OtpVerifier, Settings},
    },
};
use chanbind_core::{kdf::HmacSha256, otp::ClientId};
use chanbind_host_tests::{
    gateway::TestGateway,
    pki::{Authority, for_device},
};
use http_body_util::BodyExt;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};
use tower::Layer;

const SECRET: &[u8] = b"secret";

/// The time in which a peer does what it must do.
const LIMIT: Duration = Duration::from_secs(20);

/// A gateway that requires a one-time password below `/otp`, and an authenticator below `/certificate`.
struct Fixture {
    gateway: TestGateway,
    authority: Authority,
    shared: Arc<Shared>,
}

/// The state that the tests share with the handlers of the gateway.
#[derive(Default)]
struct Shared {
    /// The requests that were admitted: the address of the client, which tells connections apart, and the header fields.
    admitted: Mutex<Vec<(SocketAddr, HeaderMap)>>,
    /// The pieces that `/pieces` responds with.
    pieces: Mutex<Option<mpsc::Receiver<Bytes>>>,
    /// The pieces that `/upload` has received.
    received: Mutex<Option<mpsc::Sender<Bytes>>>,
}

impl Fixture {
    async fn start() -> Self {
        let authority = Authority::new("devices").unwrap();
        let shared = Arc::<Shared>::default();
        let gateway = TestGateway::serve(app(&authority, &shared)).await.unwrap();
        Self {
            gateway,
            authority,
            shared,
        }
    }

    fn request(&self, method: Method, path: &str, body: RequestBody) -> Request<RequestBody> {
        let request = Request::builder().method(method);
        request.uri(self.gateway.uri(path)).body(body).unwrap()
    }

    async fn connect(&self) -> Connection {
        self.gateway.connect().await.unwrap().into_inner()
    }

    async fn otp(&self, form: Form) -> Session<OtpProver, HmacSha256> {
        otp(self.connect().await, form).await.unwrap()
    }

    fn credentials(&self) -> Credentials {
        let uri = "urn:device:1";
        let issued = self
            .authority
            .issue(|params| for_device(params, uri))
            .unwrap();
        Credentials::from_pem(issued.pem().as_bytes(), issued.key_pem().as_bytes()).unwrap()
    }

    async fn certificate(&self) -> Session<AuthenticatorProver, Credentials> {
        let credentials = self.credentials();
        let prover = authenticator::prover(&credentials);
        let begun = Session::begin(self.connect().await, prover, credentials).await;
        begun.unwrap()
    }

    /// Returns the addresses from which requests were admitted, in their order.
    fn peers(&self) -> Vec<SocketAddr> {
        let admitted = self.shared.admitted.lock().unwrap();
        admitted.iter().map(|(peer, _)| *peer).collect()
    }
}

async fn otp(
    connection: Connection,
    form: Form,
) -> Result<Session<OtpProver, HmacSha256>, SessionError> {
    let client = ClientId::new("client1").unwrap();
    let prover = otp::prover(&Settings::default(), client, form);
    Session::begin(connection, prover, HmacSha256::new(SECRET)).await
}

/// The header fields as the client sent them: the layer takes the proofs out.
#[derive(Clone)]
struct Sent(HeaderMap);

fn app(authority: &Authority, shared: &Arc<Shared>) -> Router {
    let clients = [("client1".to_owned(), ClientKey::secret(SECRET))];
    let registry = MemoryRegistry::new(ClientTable::new(clients).unwrap());
    let trust = Trust::from_pem(authority.pem().as_bytes()).unwrap();
    let policy = Policy::new()
        .require("/otp", OtpVerifier::new(registry, Settings::default()))
        .require("/certificate", AuthenticatorVerifier::new(trust));
    let handlers = Router::new()
        .route("/echo", any(echo))
        .route("/upload", any(upload))
        .route("/pieces", any(pieces));
    let app = Router::new()
        .nest("/otp", handlers.clone())
        .nest("/certificate", handlers)
        .with_state(Arc::clone(shared));
    let app = Router::new().fallback_service(ProofLayer::new(policy).layer(app));
    app.layer(map_request(|mut request: Request<Body>| {
        let sent = Sent(request.headers().clone());
        request.extensions_mut().insert(sent);
        std::future::ready(request)
    }))
}

/// Answers with the method and the content of the request, and with its `x-test` fields.
async fn echo(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let request = shared.note(request);
    let (parts, body) = request.into_parts();
    let content = body.collect().await.unwrap().to_bytes();
    let content = [parts.method.as_str().as_bytes(), b" ", &content].concat();
    let mut response = content.into_response();
    for value in parts.headers.get_all("x-test") {
        response.headers_mut().append("x-test", value.clone());
    }
    response
}

/// Hands each piece of the request to the test as it comes, and answers with the number of bytes.
async fn upload(State(shared): State<Arc<Shared>>, request: Request<Body>) -> String {
    let mut body = shared.note(request).into_body();
    let received = shared.received.lock().unwrap().take();
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        len += data.len();
        if let Some(received) = &received {
            received.send(data).await.unwrap();
        }
    }
    len.to_string()
}

/// Answers with the pieces that the test gives, each when it comes.
async fn pieces(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Body {
    shared.note(request);
    let pieces = shared.pieces.lock().unwrap().take();
    stream(pieces.unwrap())
}

/// Returns a body of these pieces.
fn stream(pieces: mpsc::Receiver<Bytes>) -> Body {
    Body::from_stream(futures_util::stream::unfold(pieces, |mut pieces| async {
        let piece = pieces.recv().await?;
        Some((Ok::<_, Infallible>(piece), pieces))
    }))
}

impl Shared {
    fn note(&self, request: Request<Body>) -> Request<Body> {
        let peer = *request.extensions().get().unwrap();
        let Sent(headers) = request.extensions().get().cloned().unwrap();
        self.admitted.lock().unwrap().push((peer, headers));
        request
    }
}

/// Reads a body to its end.
async fn text(body: ResponseBody) -> String {
    let bytes = body.bytes(1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Waits for a piece.
async fn next(pieces: &mut mpsc::Receiver<Bytes>) -> Bytes {
    timeout(LIMIT, pieces.recv()).await.unwrap().unwrap()
}
