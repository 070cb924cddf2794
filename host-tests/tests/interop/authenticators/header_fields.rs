//! Tests of a server's response to every kind of header field, with the same expectations for the Rust gateway and the Go server.

use super::{Ca, Gateway, GoServer, Identity, KINDS, SUITES, connect, get_request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use bytes::Bytes;
use chanbind::{
    client::RequestBody,
    proof::authenticator::{
        Credentials,
        header_fields::{self, AUTHENTICATOR_HEADER, REQUEST_HEADER},
    },
};
use chanbind_core::authenticator::{Client, Endpoint, Request as AuthenticatorRequest};
use chanbind_host_tests::{
    client::{TestClient, authenticate, challenged, copy},
    go,
};

/// A connection to a server, with the client's credentials.
struct Peer {
    connection: TestClient,
    get: Request<RequestBody>,
    credentials: Credentials,
}

impl Peer {
    async fn send(&mut self, fields: &[(HeaderName, HeaderValue)]) -> Response<Bytes> {
        let mut request = copy(&self.get);
        for (name, value) in fields {
            request.headers_mut().append(name.clone(), value.clone());
        }
        self.connection.send(request).await.unwrap()
    }

    /// Sends a request with these fields, expects status 401, and returns the challenge.
    async fn expect_challenge(&mut self, fields: &[(HeaderName, HeaderValue)]) -> Vec<u8> {
        let response = self.send(fields).await;
        assert_eq!(response.status(), 401, "{fields:?}");
        challenged(response.headers()).unwrap()
    }

    async fn expect(&mut self, fields: &[(HeaderName, HeaderValue)], status: u16) -> HeaderMap {
        let response = self.send(fields).await;
        assert_eq!(response.status(), status, "{fields:?}");
        let has_challenge = response.headers().contains_key(header::WWW_AUTHENTICATE);
        assert_eq!(has_challenge, status == 401);
        response.headers().clone()
    }

    /// Returns a valid authenticator and an empty one for a challenge.
    async fn answers(&self, challenge: &[u8]) -> [Vec<u8>; 2] {
        let request = AuthenticatorRequest::parse(challenge).unwrap();
        // Each authenticator is the first one of its endpoint.
        let endpoint = || Endpoint::<Client>::new(self.connection.channel()).unwrap();
        let valid = authenticate(&self.credentials, &mut endpoint(), &request).await;
        let mut out = [0; 52];
        let empty = endpoint().decline(&request, &mut out).unwrap().to_vec();
        [valid.unwrap(), empty]
    }
}

fn with(authenticator: &[u8]) -> [(HeaderName, HeaderValue); 1] {
    [(
        header::AUTHORIZATION,
        header_fields::credentials(authenticator),
    )]
}

fn field(name: HeaderName, value: &str) -> (HeaderName, HeaderValue) {
    (name, HeaderValue::from_str(value).unwrap())
}

/// Checks all responses in the table of `docs/proofs/AUTHENTICATOR.md` except 421.
async fn check_responses(mut peer: Peer) {
    let first = peer.expect_challenge(&[]).await;
    let [valid, empty] = peer.answers(&first).await;

    // Invalid credentials, and credentials of other schemes, do not use up the challenge.
    let text = |text: &str| field(header::AUTHORIZATION, text);
    let encoded = header_fields::credentials(&valid)
        .to_str()
        .unwrap()
        .to_owned();
    let longest = format!("Exported-Authenticator {}", "A".repeat(10_924));
    for fields in [
        vec![text("Exported-Authenticator")],
        vec![text("Exported-Authenticator !")],
        vec![text("Exported-Authenticator AAAA====")],
        vec![text("Exported-Authenticator CwAA")],
        vec![text("Exported-Authenticator FAAAAAA")],
        vec![text(&encoded[..encoded.len() - 8])],
        vec![text(&format!("{encoded}AAAA"))],
        vec![text(&longest)],
        vec![text(&encoded), text(&encoded)],
        vec![text("Bearer x"), text(&encoded)],
    ] {
        peer.expect(&fields, 400).await;
        assert_eq!(peer.expect_challenge(&[]).await, first, "{fields:?}");
    }
    assert_eq!(peer.expect_challenge(&[text("Bearer x")]).await, first);

    // Declining uses up the challenge.
    peer.expect(&with(&empty), 403).await;
    let second = peer.expect_challenge(&with(&valid)).await;
    assert_ne!(second, first);
    // A valid authenticator for a used challenge does not use up the next one.
    assert_eq!(peer.expect_challenge(&with(&valid)).await, second);
    // An empty authenticator for a used challenge does not either.
    let third = peer.expect_challenge(&with(&empty)).await;
    assert_eq!(third, second);

    // An invalid authenticator uses up the challenge.
    let [valid, _] = peer.answers(&third).await;
    let mut changed = valid.clone();
    *changed.last_mut().unwrap() ^= 1;
    let fourth = peer.expect_challenge(&with(&changed)).await;
    assert_ne!(fourth, third);
    assert_eq!(peer.expect_challenge(&with(&valid)).await, fourth);

    // The client's own authenticator requests are processed first.
    let mut with_request = copy(&peer.get);
    let trust = Ca::new("seconds").trust();
    let _pending = peer
        .connection
        .ask(&mut with_request, None, &trust)
        .unwrap();
    let own_request = with_request.headers()[REQUEST_HEADER].to_str();
    let own_request = own_request.unwrap().to_owned();
    let request_field = |value: &str| field(REQUEST_HEADER, value);
    let challenge = header_fields::field_value(&fourth)
        .to_str()
        .unwrap()
        .to_owned();
    let malformed = [
        vec![request_field("")],
        vec![request_field("!")],
        vec![request_field("EQAAAwAAAA")],
        vec![request_field(&"A".repeat(1_367))],
        vec![request_field(&challenge)],
        vec![request_field(&own_request), request_field(&own_request)],
    ];
    for fields in &malformed {
        let headers = peer.expect(fields, 400).await;
        assert!(!headers.contains_key(AUTHENTICATOR_HEADER));
    }
    let [valid, _] = peer.answers(&fourth).await;
    let both = [request_field("!"), with(&valid)[0].clone()];
    peer.expect(&both, 400).await;
    assert_eq!(peer.expect_challenge(&[]).await, fourth);
    // The server answers a request regardless of the other field, but only once.
    let both = [
        request_field(&own_request),
        text("Exported-Authenticator !"),
    ];
    let headers = peer.expect(&both, 400).await;
    assert!(headers.contains_key(AUTHENTICATOR_HEADER));
    let headers = peer.expect(&[request_field(&own_request)], 400).await;
    assert!(!headers.contains_key(AUTHENTICATOR_HEADER));

    // The scheme is case-insensitive. Once the client is authenticated, further credentials are ignored.
    let encoded = header_fields::credentials(&valid);
    let in_capitals = encoded.to_str().unwrap().replacen(
        "Exported-Authenticator ",
        "EXPORTED-AUTHENTICATOR  ",
        1,
    );
    peer.expect(&[text(&in_capitals)], 200).await;
    for fields in [
        Vec::new(),
        with(&valid).to_vec(),
        with(&empty).to_vec(),
        vec![text("Exported-Authenticator !")],
        vec![text("Bearer x"), text("Bearer x")],
    ] {
        peer.expect(&fields, 200).await;
    }
    for fields in &malformed {
        peer.expect(fields, 400).await;
    }
}

#[tokio::test]
async fn rust_and_go_servers_respond_as_documented() {
    let Some(program) = go::program() else { return };
    let devices = Ca::new("devices");
    let device = Identity::new(KINDS[0].1, |key| devices.client(key, "device"));
    let go_server = GoServer::start(program, &devices, None);
    for suite in SUITES {
        let gateway = Gateway::start(suite, &devices, Vec::new()).await;
        check_responses(Peer {
            connection: connect(gateway.port, &gateway.pki, suite).await,
            get: get_request(gateway.port),
            credentials: device.credentials(),
        })
        .await;
        check_responses(Peer {
            connection: go_server.connect(suite).await,
            get: go_server.get(),
            credentials: device.credentials(),
        })
        .await;
    }
}
