//! The gateway's server, and its layer whatever the kind of proof.
#![cfg(test)]

mod arrivals;
mod audience;
mod limits;
mod pending;
mod policy;
mod server;
mod slow;
mod unread;

use axum::http::{Request, StatusCode};
use chanbind::{
    client::{Connection, RequestBody},
    gateway::{ClientKey, ClientTable, MemoryRegistry},
    proof::otp::{Form, OtpVerifier, Settings},
};
use chanbind_core::kdf::HmacSha256;
use chanbind_host_tests::{
    client::{TestClient, one_time_password},
    gateway::TestGateway,
};
use std::sync::Arc;

const SECRET: &[u8] = b"my_api_key";

fn registry() -> Arc<MemoryRegistry> {
    let clients = [("client1".to_owned(), ClientKey::secret(SECRET))];
    MemoryRegistry::new(ClientTable::new(clients).unwrap())
}

fn verifier() -> Arc<OtpVerifier> {
    OtpVerifier::new(registry(), Settings::default())
}

async fn gateway() -> TestGateway {
    TestGateway::start(registry(), Settings::default())
        .await
        .unwrap()
}

fn request(gateway: &TestGateway, path: &str) -> Request<RequestBody> {
    Connection::get(&gateway.uri(path).parse().unwrap()).unwrap()
}

/// Returns a request with the one-time password of `client1` for `connection`.
async fn proved(
    gateway: &TestGateway,
    connection: &TestClient,
    path: &str,
) -> Request<RequestBody> {
    let mut request = request(gateway, path);
    let (settings, key) = (Settings::default(), HmacSha256::new(SECRET));
    one_time_password(
        &settings,
        "client1",
        Form::ApiKey,
        connection,
        &key,
        &mut request,
    )
    .await
    .unwrap();
    request
}

/// Sends a request and returns status and content.
async fn answer(
    connection: &mut TestClient,
    request: Request<RequestBody>,
) -> (StatusCode, String) {
    let response = connection.send(request).await.unwrap();
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status(), body)
}
