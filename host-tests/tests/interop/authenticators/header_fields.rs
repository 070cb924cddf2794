//! What a server says to each answer: ours and the Go program say the same.

use super::{Ca, Gateway, GoServer, Identity, KINDS, SUITES, connect, get_request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use bytes::Bytes;
use chanbind::{
    authenticator::{
        Credentials,
        header_fields::{self, AUTHENTICATOR_HEADER, REQUEST_HEADER},
    },
    client::Connection,
};
use chanbind_core::authenticator::{Client, Endpoint, Request as AuthenticatorRequest};
use chanbind_host_tests::go;
use std::sync::Mutex;

/// One connection to a server, and the client's end of authenticators on it.
struct Peer {
    connection: Connection,
    get: Request<()>,
    credentials: Credentials,
}

impl Peer {
    async fn send(&mut self, fields: &[(HeaderName, HeaderValue)]) -> Response<Bytes> {
        let mut request = self.get.clone();
        for (name, value) in fields {
            request.headers_mut().append(name.clone(), value.clone());
        }
        self.connection.send(request).await.unwrap()
    }

    /// What is challenged with in an answer to these credentials.
    async fn challenged(&mut self, fields: &[(HeaderName, HeaderValue)]) -> Vec<u8> {
        let response = self.send(fields).await;
        assert_eq!(response.status(), 401, "{fields:?}");
        header_fields::challenged(response.headers()).unwrap()
    }

    async fn expect(&mut self, fields: &[(HeaderName, HeaderValue)], status: u16) -> HeaderMap {
        let response = self.send(fields).await;
        assert_eq!(response.status(), status, "{fields:?}");
        let has_challenge = response.headers().contains_key(header::WWW_AUTHENTICATE);
        assert_eq!(has_challenge, status == 401);
        response.headers().clone()
    }

    /// The right answer, and the empty one.
    async fn answers(&self, challenge: &[u8]) -> [Vec<u8>; 2] {
        let request = AuthenticatorRequest::parse(challenge).unwrap();
        // Each is the first answer of its end.
        let end = || Endpoint::<Client>::new(self.connection.channel()).unwrap();
        let right = self.credentials.answer(&Mutex::new(end()), &request).await;
        let mut out = [0; 52];
        let empty = end().decline(&request, &mut out).unwrap().to_vec();
        [right.unwrap(), empty]
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

/// All that the document's table of answers says but 421.
async fn converse(mut peer: Peer) {
    let first = peer.challenged(&[]).await;
    let [right, empty] = peer.answers(&first).await;

    // What is no authenticator leaves the request as it is, and so does what is for others.
    let text = |text: &str| field(header::AUTHORIZATION, text);
    let encoded = header_fields::credentials(&right)
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
        assert_eq!(peer.challenged(&[]).await, first, "{fields:?}");
    }
    assert_eq!(peer.challenged(&[text("Bearer x")]).await, first);

    // Declined: it is used up.
    peer.expect(&with(&empty), 403).await;
    let second = peer.challenged(&with(&right)).await;
    assert_ne!(second, first);
    // The right answer to a request that is used up leaves the next one as it is.
    assert_eq!(peer.challenged(&with(&right)).await, second);
    // An empty one that fits none uses up none.
    let third = peer.challenged(&with(&empty)).await;
    assert_eq!(third, second);

    // One that is not valid.
    let [right, _] = peer.answers(&third).await;
    let mut changed = right.clone();
    *changed.last_mut().unwrap() ^= 1;
    let fourth = peer.challenged(&with(&changed)).await;
    assert_ne!(fourth, third);
    assert_eq!(peer.challenged(&with(&right)).await, fourth);

    // The client's own requests, looked at first.
    let mut asks = peer.get.clone();
    let trust = Ca::new("seconds").trust();
    let _asked = peer.connection.ask(&mut asks, None, &trust).unwrap();
    let question = asks.headers()[REQUEST_HEADER].to_str().unwrap().to_owned();
    let asks = |value: &str| field(REQUEST_HEADER, value);
    let challenge = header_fields::field_value(&fourth)
        .to_str()
        .unwrap()
        .to_owned();
    let malformed = [
        vec![asks("")],
        vec![asks("!")],
        vec![asks("EQAAAwAAAA")],
        vec![asks(&"A".repeat(1_367))],
        vec![asks(&challenge)],
        vec![asks(&question), asks(&question)],
    ];
    for fields in &malformed {
        let headers = peer.expect(fields, 400).await;
        assert!(!headers.contains_key(AUTHENTICATOR_HEADER));
    }
    let [right, _] = peer.answers(&fourth).await;
    let both = [asks("!"), with(&right)[0].clone()];
    peer.expect(&both, 400).await;
    assert_eq!(peer.challenged(&[]).await, fourth);
    // Its answer comes with whatever is said to the other field; and once.
    let both = [asks(&question), text("Exported-Authenticator !")];
    let headers = peer.expect(&both, 400).await;
    assert!(headers.contains_key(AUTHENTICATOR_HEADER));
    let headers = peer.expect(&[asks(&question)], 400).await;
    assert!(!headers.contains_key(AUTHENTICATOR_HEADER));

    // Proved, in whatever letters; from then on credentials are not looked at.
    let encoded = header_fields::credentials(&right);
    let in_capitals = encoded.to_str().unwrap().replacen(
        "Exported-Authenticator ",
        "EXPORTED-AUTHENTICATOR  ",
        1,
    );
    peer.expect(&[text(&in_capitals)], 200).await;
    for fields in [
        Vec::new(),
        with(&right).to_vec(),
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
async fn both_say_what_the_document_says() {
    let Some(program) = go::program() else { return };
    let devices = Ca::new("devices");
    let device = Identity::new(KINDS[0].1, |key| devices.client(key, "device"));
    let go_server = GoServer::start(program, &devices, None);
    for suite in SUITES {
        let gateway = Gateway::start(suite, &devices, Vec::new()).await;
        converse(Peer {
            connection: connect(gateway.port, &gateway.pki, suite).await,
            get: get_request(gateway.port),
            credentials: device.credentials(),
        })
        .await;
        converse(Peer {
            connection: go_server.connect(suite).await,
            get: go_server.get(),
            credentials: device.credentials(),
        })
        .await;
    }
}
