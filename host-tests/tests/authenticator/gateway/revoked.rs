//! An identity is taken back: its connections end.

use super::{Fixture, credentials};
use chanbind_core::x509::spki_sha256;

#[tokio::test]
async fn revoking_a_key_closes_its_connections_and_no_others() {
    let fixture = Fixture::start().await;
    let (one, two) = (
        fixture.device("urn:device:1"),
        fixture.device("urn:device:2"),
    );
    let mut connections = Vec::new();
    for issued in [&one, &one, &two] {
        let mut connection = fixture.gateway.connect().await.unwrap();
        let response = connection
            .send_with(fixture.request("/get"), Some(&credentials(issued)))
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        connections.push(connection);
    }
    let pin = spki_sha256(&one.certificate).unwrap();
    assert_eq!(fixture.revocations.revoke(pin), 2);
    let mut ended = Vec::new();
    for connection in &mut connections {
        let response = connection.send(fixture.request("/get")).await;
        ended.push(response.is_err());
    }
    assert_eq!(ended, [true, true, false]);

    // It does not come back, by a new connection or a new certificate.
    let mut again = fixture.gateway.connect().await.unwrap();
    let one = credentials(&one);
    let response = again.send_with(fixture.request("/get"), Some(&one));
    assert_eq!(response.await.unwrap().status(), 401);
    // Who else is on that connection may.
    let two = credentials(&two);
    let response = again.send_with(fixture.request("/get"), Some(&two));
    assert_eq!(response.await.unwrap().status(), 200);
}

/// Each connection counts once, and once only.
#[tokio::test]
async fn a_connection_with_two_proofs_is_one_connection() {
    let fixture = Fixture::start().await;
    let device = credentials(&fixture.device("urn:device:1"));
    let operator = credentials(&super::issue(&fixture.operators, "urn:operator:1"));
    let mut connection = fixture.gateway.connect().await.unwrap();
    for (path, who) in [("/get", &device), ("/admin", &operator)] {
        let response = connection.send_with(fixture.request(path), Some(who));
        assert_eq!(response.await.unwrap().status(), 200);
    }
    // Asking the layer from within is no dead end.
    let closed = fixture.layer.close_where(|_| {
        fixture.layer.close_where(|_| false);
        true
    });
    assert_eq!(closed, 1);
    assert_eq!(fixture.layer.close_where(|_| true), 0);
}

#[tokio::test]
async fn connections_are_closed_by_what_they_proved() {
    let fixture = Fixture::start().await;
    let device = credentials(&fixture.device("urn:device:1"));
    let mut connection = fixture.gateway.connect().await.unwrap();
    let response = connection.send_with(fixture.request("/get"), Some(&device));
    assert_eq!(response.await.unwrap().status(), 200);
    let by_uri = |uri: &'static str| {
        fixture
            .layer
            .close_where(move |identity| identity.subject() == uri)
    };
    assert_eq!(by_uri("urn:device:2"), 0);
    let response = connection.send(fixture.request("/get")).await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(by_uri("urn:device:1"), 1);
    assert!(connection.send(fixture.request("/get")).await.is_err());
    // That was a connection, not the key.
    let mut again = fixture.gateway.connect().await.unwrap();
    let response = again.send_with(fixture.request("/get"), Some(&device));
    assert_eq!(response.await.unwrap().status(), 200);
}
