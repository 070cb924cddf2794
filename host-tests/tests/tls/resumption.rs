//! Sessions that are resumed with a ticket (RFC 8446 section 2.2): they have an exporter of their own, so that proofs do not carry over.

use super::*;
use chanbind::{
    client::{ConnectOptions, Connection},
    gateway::{ClientKey, ClientTable, MemoryRegistry},
    proof::otp::{Form, Settings},
};
use chanbind_core::kdf::HmacSha256;
use chanbind_host_tests::{
    client::{TestClient, copy, one_time_password},
    gateway::TestGateway,
};

const SECRET: &[u8] = b"my_api_key";

async fn connect(gateway: &TestGateway, config: &Arc<ClientConfig>) -> TestClient {
    let options = ConnectOptions::default();
    let config = Arc::clone(config);
    let opened = Connection::open("localhost", gateway.port, config, &options).await;
    TestClient::new(opened.unwrap())
}

#[tokio::test]
async fn a_resumed_session_needs_a_proof_of_its_own() {
    let table = ClientTable::new([("client1".to_owned(), ClientKey::secret(SECRET))]).unwrap();
    let settings = Settings::default();
    let gateway = TestGateway::start(MemoryRegistry::new(table), settings.clone());
    let gateway = gateway.await.unwrap();
    let roots = roots_from_pem(gateway.pki.ca.as_bytes()).unwrap();
    let config = Arc::new(client_config(roots).unwrap());
    let mut stolen = None;
    let mut bindings = Vec::new();
    for is_resumed in [false, true] {
        let mut client = connect(&gateway, &config).await;
        assert_eq!(client.channel().is_resumed(), is_resumed);
        bindings.push(ChannelBinding::tls_exporter(client.channel()).unwrap());
        let key = HmacSha256::new(SECRET);
        let mut request = Connection::get(&gateway.uri("/get").parse().unwrap()).unwrap();
        if let Some(stolen) = &stolen {
            let response = client.send(copy(stolen)).await.unwrap();
            assert_eq!(response.status(), 401);
        }
        one_time_password(
            &settings,
            "client1",
            Form::ApiKey,
            &client,
            &key,
            &mut request,
        )
        .await
        .unwrap();
        // The response is read to its end, and the tickets with it.
        let response = client.send(copy(&request)).await.unwrap();
        assert_eq!(response.status(), 200);
        stolen = Some(request);
    }
    assert!(bindings[0] != bindings[1]);
    gateway.stop().await;
}
