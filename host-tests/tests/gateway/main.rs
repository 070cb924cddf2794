//! The gateway and the client, over real TLS on 127.0.0.1.

mod admitted;
mod limits;
mod malformed;
mod refused;
mod server;

use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use chanbind::{
    client::{Connection, Prover},
    core::{kdf::HmacSha256, otp::ClientId},
    gateway::{ClientKey, Registry},
    proof::{Form, Settings},
};
use chanbind_host_tests::gateway::TestGateway;

const SECRET: &[u8] = b"my_api_key";
const FORMS: [Form; 3] = [Form::ApiKey, Form::Jws, Form::Nested];

fn registry() -> Registry {
    let key = |secret: &[u8]| ClientKey::secret(secret);
    Registry::new([
        ("client1".to_owned(), key(SECRET)),
        ("client2".to_owned(), key(b"another")),
    ])
    .unwrap()
}

async fn gateway(settings: Settings) -> TestGateway {
    TestGateway::start(registry(), settings).await.unwrap()
}

fn request(gateway: &TestGateway) -> Request<()> {
    Connection::get(&gateway.uri("/get").parse().unwrap()).unwrap()
}

/// A request with `client`'s proof for `connection`, by a key with this secret.
async fn proved(
    gateway: &TestGateway,
    settings: &Settings,
    connection: &Connection,
    form: Form,
    client: &str,
    secret: &[u8],
) -> Request<()> {
    let mut request = request(gateway);
    Prover::new(settings.clone(), ClientId::new(client).unwrap())
        .prove(
            form,
            connection.channel(),
            &mut &HmacSha256::new(secret),
            &mut request,
        )
        .await
        .unwrap();
    request
}

fn copy(request: &Request<()>) -> Request<()> {
    let mut copy = Request::get(request.uri().clone()).body(()).unwrap();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn set(request: &mut Request<()>, name: &str, value: &[u8]) {
    let name: HeaderName = name.parse().unwrap();
    request
        .headers_mut()
        .insert(name, HeaderValue::from_bytes(value).unwrap());
}

/// Sends on its own connection or another and gives status and body.
async fn answer(connection: &mut Connection, request: Request<()>) -> (StatusCode, String) {
    let response = connection.send(request).await.unwrap();
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status(), body)
}
