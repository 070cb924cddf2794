//! The paths on which authenticators are asked for, and the time for which they are valid.

use super::{Fixture, app, credentials, is, issue, seen, trust};
use axum::{Router, http::header, routing::get};
use chanbind::{
    client::Connection,
    gateway::{Identity, Policy, ProofLayer, any_of},
    proof::authenticator::{AuthenticatorVerifier, MAX_REQUESTS, header_fields},
};
use chanbind_core::{
    authenticator::{Client, Endpoint, Request as AuthenticatorRequest},
    x509::spki_sha256,
};
use chanbind_host_tests::{
    client::{authenticate, challenged},
    gateway::TestGateway,
    pki::Authority,
};
use tower::Layer;

#[tokio::test]
async fn a_device_is_challenged_once_and_known_from_then_on() {
    let fixture = Fixture::start().await;
    let device = credentials(&fixture.device("urn:device:1"));
    let mut connection = fixture.gateway.connect().await.unwrap();

    let first = connection.send(fixture.request("/get")).await.unwrap();
    assert_eq!(first.status(), 401);
    assert!(first.headers().contains_key(header::WWW_AUTHENTICATE));
    // Unanswered, it is asked again.
    let second = connection.send(fixture.request("/get")).await.unwrap();
    assert_eq!(
        first.headers()[header::WWW_AUTHENTICATE],
        second.headers()[header::WWW_AUTHENTICATE]
    );

    let admitted = connection
        .send_with(fixture.request("/get"), Some(&device))
        .await
        .unwrap();
    assert_eq!(seen(&admitted), is(200, "ok urn:device:1"));
    for _ in 0..3 {
        let later = connection.send(fixture.request("/get")).await.unwrap();
        assert_eq!(seen(&later), is(200, "ok urn:device:1"));
    }

    // Another connection knows nothing of it.
    let mut other = fixture.gateway.connect().await.unwrap();
    let response = other.send(fixture.request("/get")).await.unwrap();
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn each_path_has_its_authority() {
    let fixture = Fixture::start().await;
    let device = credentials(&fixture.device("urn:device:1"));
    let operator = credentials(&issue(&fixture.operators, "urn:operator:1"));
    let mut connection = fixture.gateway.connect().await.unwrap();

    let open = connection.send(fixture.request("/open")).await.unwrap();
    assert_eq!(seen(&open), is(200, "open false"));

    let get = connection.send_with(fixture.request("/get"), Some(&device));
    assert_eq!(seen(&get.await.unwrap()), is(200, "ok urn:device:1"));
    // A device is no operator: it sees by the authorities of the request that it is not meant, and declines.
    let admin = connection.send_with(fixture.request("/admin"), Some(&device));
    assert_eq!(admin.await.unwrap().status(), 403);
    let admin = connection.send_with(fixture.request("/admin"), Some(&operator));
    assert_eq!(seen(&admin.await.unwrap()), is(200, "ok urn:operator:1"));
    // Both are known now, each on its paths; and an exempt path gets no identity.
    let get = connection.send(fixture.request("/get")).await.unwrap();
    assert_eq!(seen(&get), is(200, "ok urn:device:1"));
    let open = connection.send(fixture.request("/open")).await.unwrap();
    assert_eq!(seen(&open), is(200, "open false"));
    // Other spellings of a path need no less.
    for (path, status) in [
        ("/admin/", 404),
        ("/%61dmin", 400),
        ("/open/../get", 400),
        ("/open/..;/admin", 400),
        ("/open/%2e%2e;/admin", 400),
        ("/open/..%00", 400),
        ("/%2561dmin", 400),
        ("/admin;x=1", 400),
        ("/Admin", 400),
        ("/admin%20", 400),
    ] {
        let mut other = fixture.gateway.connect().await.unwrap();
        let response = other.send_with(fixture.request(path), Some(&operator));
        assert_eq!(response.await.unwrap().status(), status, "{path}");
    }
}

#[tokio::test]
async fn who_has_no_certificate_declines() {
    let fixture = Fixture::start().await;
    let mut connection = fixture.gateway.connect().await.unwrap();
    let declined = connection.send_with(fixture.request("/get"), None).await;
    assert_eq!(declined.unwrap().status(), 403);
    // It may think better of it.
    let device = credentials(&fixture.device("urn:device:1"));
    let admitted = connection.send_with(fixture.request("/get"), Some(&device));
    assert_eq!(admitted.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_connection_is_used_up_in_the_end() {
    let fixture = Fixture::start().await;
    let mut connection = fixture.gateway.connect().await.unwrap();
    let mut statuses = Vec::new();
    loop {
        let Ok(response) = connection.send_with(fixture.request("/get"), None).await else {
            break;
        };
        statuses.push(response.status().as_u16());
        assert!(statuses.len() < 100);
    }
    let (last, declined) = statuses.split_last().unwrap();
    assert_eq!(*last, 421);
    assert_eq!(declined, vec![403; MAX_REQUESTS]);
}

/// Inside of a nested router the path has lost its front: rules for paths would be about others, so nothing is let through.
#[tokio::test]
async fn a_layer_inside_of_a_nested_router() {
    let devices = Authority::new("devices").unwrap();
    let policy = Policy::new().require("/api/admin", AuthenticatorVerifier::new(trust(&devices)));
    let inner = Router::new()
        .route("/admin", get(|| async { "admin" }))
        .route("/open", get(|| async { "open" }))
        .layer(ProofLayer::new(policy));
    let gateway = TestGateway::serve(Router::new().nest("/api", inner))
        .await
        .unwrap();
    let mut connection = gateway.connect().await.unwrap();
    let mut status = async |path: &str| {
        let request = Connection::get(&gateway.uri(path).parse().unwrap()).unwrap();
        connection.send(request).await.unwrap().status().as_u16()
    };
    assert_eq!(status("/api/admin").await, 500);
    assert_eq!(status("/api/open").await, 500);

    // One rule for everything is about no path.
    let everything = Policy::new().require("/", AuthenticatorVerifier::new(trust(&devices)));
    let inner = Router::new()
        .route("/admin", get(|| async { "admin" }))
        .layer(ProofLayer::new(everything));
    let gateway = TestGateway::serve(Router::new().nest("/api", inner))
        .await
        .unwrap();
    let mut connection = gateway.connect().await.unwrap();
    let request = Connection::get(&gateway.uri("/api/admin").parse().unwrap()).unwrap();
    assert_eq!(connection.send(request).await.unwrap().status(), 401);
}

/// The path that is served is judged, not the one that was sent.
#[tokio::test]
async fn a_path_that_is_rewritten_is_judged_as_rewritten() {
    use axum::{body::Body, extract::Request, middleware::Next};
    let devices = Authority::new("devices").unwrap();
    let policy = Policy::new().require("/admin", AuthenticatorVerifier::new(trust(&devices)));
    let served = Router::new()
        .route("/admin", get(|| async { "admin" }))
        .route("/open", get(|| async { "open" }));
    let guarded = ProofLayer::new(policy).layer(served);
    let rewrite = async |mut request: Request<Body>, next: Next| {
        let path = match request.uri().path() {
            "/old" | "/old/admin" => "/admin",
            "/admin" => "/open",
            other => other,
        };
        *request.uri_mut() = path.parse().unwrap();
        next.run(request).await
    };
    // An outer router, which remembers the URI that was sent, and its middleware.
    let app = Router::new()
        .fallback_service(guarded)
        .layer(axum::middleware::from_fn(rewrite));
    let gateway = TestGateway::serve(app).await.unwrap();
    let mut connection = gateway.connect().await.unwrap();
    for (path, status) in [
        ("/old", 401),
        ("/old/admin", 401),
        ("/admin", 200),
        ("/open", 200),
    ] {
        let request = Connection::get(&gateway.uri(path).parse().unwrap()).unwrap();
        let response = connection.send(request).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
}

/// A list of keys that has become empty admits no client.
#[tokio::test]
async fn pins_at_a_gateway() {
    let devices = Authority::new("devices").unwrap();
    let device = issue(&devices, "urn:device:1");
    let pin = spki_sha256(&device.certificate).unwrap();
    for (pins, expected) in [(&[pin, [7; 32]][..], 200), (&[[7; 32]], 401), (&[], 401)] {
        let policy = Policy::new().require(
            "/",
            AuthenticatorVerifier::new(trust(&devices).with_pins(pins)),
        );
        let app = ProofLayer::new(policy).layer(app());
        let gateway = TestGateway::serve(app).await.unwrap();
        let mut connection = gateway.connect().await.unwrap();
        let request = Connection::get(&gateway.uri("/get").parse().unwrap()).unwrap();
        let credentials = credentials(&device);
        let response = connection.send_with(request, Some(&credentials)).await;
        assert_eq!(response.unwrap().status(), expected);
    }
}

/// An empty authenticator answers one request, and the others can still be answered.
#[tokio::test]
async fn declining_one_request_leaves_the_others() {
    let fixture = Fixture::start().await;
    let mut connection = fixture.gateway.connect().await.unwrap();
    let mut asked = Vec::new();
    for path in ["/get", "/admin"] {
        let response = connection.send(fixture.request(path)).await.unwrap();
        asked.push(challenged(response.headers()).unwrap());
    }
    let mut end = Endpoint::<Client>::new(connection.channel()).unwrap();
    let mut present = async |path: &str, authenticator: &[u8]| {
        let mut request = fixture.request(path);
        let value = header_fields::credentials(authenticator);
        request.headers_mut().insert(header::AUTHORIZATION, value);
        connection.send(request).await.unwrap().status().as_u16()
    };
    let mut out = [0; 64];
    let admin = AuthenticatorRequest::parse(&asked[1]).unwrap();
    let declined = end.decline(&admin, &mut out).unwrap().to_vec();
    assert_eq!(present("/admin", &declined).await, 403);
    // It was good once.
    assert_eq!(present("/admin", &declined).await, 401);
    let device = credentials(&fixture.device("urn:device:1"));
    let get = AuthenticatorRequest::parse(&asked[0]).unwrap();
    let authenticator = authenticate(&device, &mut end, &get).await.unwrap();
    assert_eq!(present("/get", &authenticator).await, 200);
}

/// A rule with two authorities sends a challenge for each, and a device answers the one that its certificate suits.
#[tokio::test]
async fn a_device_answers_the_challenge_of_its_own_authority() {
    let authorities = ["first", "second", "third"].map(|name| Authority::new(name).unwrap());
    let [first, second, third] = &authorities;
    let verifiers = [first, second].map(|one| AuthenticatorVerifier::new(trust(one)));
    let policy = Policy::new().require("/", any_of(&verifiers));
    let handler = |identity: Identity| async move { format!("ok {}", identity.subject()) };
    let router = Router::new().route("/get", get(handler));
    let gateway = TestGateway::serve(ProofLayer::new(policy).layer(router))
        .await
        .unwrap();
    for (authority, expected) in [(first, 200), (second, 200), (third, 403)] {
        let device = credentials(&issue(authority, "urn:device:1"));
        let mut connection = gateway.connect().await.unwrap();
        let request = Connection::get(&gateway.uri("/get").parse().unwrap()).unwrap();
        let response = connection.send_with(request, Some(&device)).await.unwrap();
        assert_eq!(response.status(), expected);
    }
}
