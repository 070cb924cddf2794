//! The reverse proxy, between real clients and real servers on 127.0.0.1.
#![cfg(test)]

mod answers;
mod identity;
mod streams;
mod tunnels;
mod upstreams;

use axum::{
    Json, Router,
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode},
};
use chanbind::{
    client::{Connection, RequestBody, Session},
    gateway::{ClientKey, ClientTable, MemoryRegistry, Policy, ProofLayer},
    proof::otp::{self, Form, OtpProver, OtpVerifier, Settings},
    proxy::{IdentityFields, ReverseProxy, Upstream},
};
use chanbind_core::{kdf::HmacSha256, otp::ClientId};
use chanbind_host_tests::gateway::TestGateway;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle};
use tower::Layer;

const SECRET: &[u8] = b"my_api_key";

/// A server behind the gateway, over HTTP/1.1 and HTTP/2 without TLS. It ends when it is dropped.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(app: Router) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, task }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn upstream(&self) -> Upstream {
        Upstream::parse(&self.url()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An application that answers with what it has received.
fn mirror() -> Router {
    Router::new().fallback(|request: Request| async {
        let (parts, body) = request.into_parts();
        let mut headers = serde_json::Map::new();
        for (name, value) in &parts.headers {
            let values = headers.entry(name.as_str()).or_insert(json!([]));
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            values.as_array_mut().unwrap().push(json!(text));
        }
        let content = body.collect().await.unwrap();
        let trailers = content.trailers().map(|all| format!("{all:?}"));
        Json(json!({
            "method": parts.method.as_str(),
            "uri": parts.uri.to_string(),
            "version": format!("{:?}", parts.version),
            "headers": headers,
            "len": content.to_bytes().len(),
            "trailers": trailers,
        }))
    })
}

fn registry() -> Arc<MemoryRegistry> {
    let key = ClientKey::secret(SECRET);
    MemoryRegistry::new(ClientTable::new([("client1".to_owned(), key)]).unwrap())
}

/// A layer that admits `client1`; below `/open` everyone.
fn layer() -> ProofLayer {
    let policy = Policy::new()
        .require("/", OtpVerifier::new(registry(), Settings::default()))
        .exempt("/open");
    ProofLayer::new(policy)
}

async fn gateway(proxy: ReverseProxy) -> TestGateway {
    TestGateway::serve(layer().layer(proxy)).await.unwrap()
}

/// A gateway with the default fields.
async fn gateway_for(upstream: Upstream) -> TestGateway {
    gateway(ReverseProxy::new(upstream, IdentityFields::default())).await
}

/// A connection that proves itself as `client1`.
async fn session(gateway: &TestGateway) -> Session<OtpProver, HmacSha256> {
    let connection = gateway.connect().await.unwrap().into_inner();
    let client = ClientId::new("client1").unwrap();
    let prover = otp::prover(&Settings::default(), client, Form::Jws);
    let begun = Session::begin(connection, prover, HmacSha256::new(SECRET));
    begun.await.unwrap()
}

fn get(gateway: &TestGateway, path: &str) -> axum::http::Request<RequestBody> {
    Connection::get(&gateway.uri(path).parse().unwrap()).unwrap()
}

fn with_fields(
    mut request: axum::http::Request<RequestBody>,
    fields: &[(&'static str, &'static str)],
) -> axum::http::Request<RequestBody> {
    for (name, value) in fields {
        let (name, value) = (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        request.headers_mut().append(name, value);
    }
    request
}

/// Sends a request with a proof, and returns what the upstream has received.
async fn mirrored(gateway: &TestGateway, request: axum::http::Request<RequestBody>) -> Value {
    let mut session = session(gateway).await;
    let answer = session.send(request).await.unwrap();
    assert_eq!(answer.response.status(), StatusCode::OK);
    let body = answer.response.into_body().bytes(1 << 20).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// The status of a request with a proof, and the content of the response.
async fn answered(
    gateway: &TestGateway,
    request: axum::http::Request<RequestBody>,
) -> (StatusCode, String) {
    let mut session = session(gateway).await;
    let answer = session.send(request).await.unwrap();
    let status = answer.response.status();
    let body = answer.response.into_body().bytes(1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Returns an application that answers with `body` at every path.
fn answering(make: impl Fn() -> Body + Clone + Send + Sync + 'static) -> Router {
    Router::new().fallback(move || std::future::ready(make()))
}
