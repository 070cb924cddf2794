//! API keys that come by another protocol than HTTP.

use super::*;
use chanbind::{
    gateway::Channel,
    proof::{RefusalKind, otp::OtpVerifier},
};
use chanbind_core::{
    exporter::ExporterSecret,
    otp::{OneTimeKey, Profile, Purpose, api_key},
};
use std::time::Duration;

fn connection(number: u8) -> ExporterSecret {
    ExporterSecret::sha256(&[number; 32])
}

/// Returns the API key of a client on a connection.
fn api_key_of(client: &str, secret: &[u8], connection: &ExporterSecret) -> String {
    let client = ClientId::new(client).unwrap();
    let key = OneTimeKey::derive(
        &Profile::default(),
        Purpose::ApiKey,
        client,
        connection,
        &mut HmacSha256::new(secret),
    );
    let mut encoded = [0; api_key::ENCODED_LEN];
    api_key::encode(&key.unwrap(), &mut encoded);
    String::from_utf8(encoded.to_vec()).unwrap()
}

#[tokio::test]
async fn an_api_key_is_accepted_on_its_connection_only() {
    let verifier = OtpVerifier::new(registry(), Settings::default());
    let key = api_key_of("client1", SECRET, &connection(1));
    let channel = Channel::new(connection(1));
    for _ in 0..2 {
        let identity = verifier.verify_api_key(&channel, "client1", &key).await;
        let identity = identity.unwrap();
        assert_eq!(identity.subject(), "client1");
        let details = identity.details::<chanbind::proof::otp::Details>().unwrap();
        assert_eq!(details.form(), Form::ApiKey);
    }
    let other = Channel::new(connection(2));
    let relayed = verifier.verify_api_key(&other, "client1", &key).await;
    assert_eq!(relayed.unwrap_err().kind(), RefusalKind::NotProved);
}

#[tokio::test]
async fn wrong_keys_and_unknown_clients_are_refused_alike() {
    let verifier = OtpVerifier::new(registry(), Settings::default());
    let channel = Channel::new(connection(1));
    let key = |client, secret| api_key_of(client, secret, &connection(1));
    for (client, key) in [
        ("client1", key("client1", b"another")),
        ("client1", key("client2", SECRET)),
        ("client2", key("client1", SECRET)),
        ("stranger", key("stranger", SECRET)),
    ] {
        let refused = verifier.verify_api_key(&channel, client, &key).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), RefusalKind::NotProved, "{client}");
        assert!(!refused.message().contains(client));
    }
    let key = key("client1", SECRET);
    for (client, key) in [
        ("", key.as_str()),
        ("client1\n", &key),
        ("client1", ""),
        ("client1", "password"),
    ] {
        let refused = verifier.verify_api_key(&channel, client, key).await;
        assert!(refused.is_err(), "{client:?} {key:?}");
    }
}

#[tokio::test]
async fn a_connection_is_closed_with_its_client() {
    let registry = registry();
    let clients: Arc<dyn chanbind::gateway::Registry> = registry.clone();
    let verifier = OtpVerifier::new(clients, Settings::default());
    let channel = Channel::new(connection(1));
    let key = api_key_of("client1", SECRET, &connection(1));
    verifier
        .verify_api_key(&channel, "client1", &key)
        .await
        .unwrap();
    assert!(!channel.is_closed());
    registry.replace(ClientTable::new([]).unwrap());
    let closed = tokio::time::timeout(Duration::from_secs(10), channel.closed());
    closed.await.unwrap();
    let again = Channel::new(connection(1));
    let refused = verifier.verify_api_key(&again, "client1", &key).await;
    assert_eq!(refused.unwrap_err().kind(), RefusalKind::NotProved);
}
