//! One-time passwords at the gateway, over real TLS on 127.0.0.1.
#![cfg(test)]

mod accepted;
mod malformed;
mod other_protocols;
mod refused;
mod registry;

use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use chanbind::{
    client::{Connection, RequestBody},
    gateway::{ClientKey, ClientTable, MemoryRegistry},
    proof::{
        KeyHolder,
        otp::{Form, Settings},
    },
};
use chanbind_core::{kdf::HmacSha256, otp::ClientId};
use chanbind_host_tests::{
    client::{TestClient, copy, one_time_password},
    gateway::TestGateway,
};
use std::sync::Arc;

const SECRET: &[u8] = b"my_api_key";
const FORMS: [Form; 3] = [Form::ApiKey, Form::Jws, Form::Nested];

fn registry() -> Arc<MemoryRegistry> {
    let key = |secret: &[u8]| ClientKey::secret(secret);
    let clients = [
        ("client1".to_owned(), key(SECRET)),
        ("client2".to_owned(), key(b"another")),
    ];
    MemoryRegistry::new(ClientTable::new(clients).unwrap())
}

async fn gateway(settings: Settings) -> TestGateway {
    TestGateway::start(registry(), settings).await.unwrap()
}

fn request(gateway: &TestGateway) -> Request<RequestBody> {
    Connection::get(&gateway.uri("/get").parse().unwrap()).unwrap()
}

/// Returns a request with a one-time password of `client` for `connection`, from a key with this secret.
async fn proved(
    gateway: &TestGateway,
    settings: &Settings,
    connection: &TestClient,
    form: Form,
    client: &str,
    secret: &[u8],
) -> Request<RequestBody> {
    let key = HmacSha256::new(secret);
    proved_by(gateway, settings, connection, form, client, &key).await
}

async fn proved_by(
    gateway: &TestGateway,
    settings: &Settings,
    connection: &TestClient,
    form: Form,
    client: &str,
    key: &dyn KeyHolder,
) -> Request<RequestBody> {
    let mut request = request(gateway);
    one_time_password(settings, client, form, connection, key, &mut request)
        .await
        .unwrap();
    request
}

fn set(request: &mut Request<RequestBody>, name: &str, value: &[u8]) {
    let name: HeaderName = name.parse().unwrap();
    request
        .headers_mut()
        .insert(name, HeaderValue::from_bytes(value).unwrap());
}

/// Sends a request on a connection, its own or another, and returns status and content.
async fn answer(
    connection: &mut TestClient,
    request: Request<RequestBody>,
) -> (StatusCode, String) {
    let response = connection.send(request).await.unwrap();
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status(), body)
}
