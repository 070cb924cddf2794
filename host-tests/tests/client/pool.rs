//! Sessions that a pool opens and uses again.

use super::*;
use axum::http::{StatusCode, Uri};
use chanbind::client::{ConnectOptions, Pool};
use chanbind::tls;
use chanbind_core::proof::Outcome;
use chanbind_host_tests::pki::Pki;
use futures_util::future::join_all;
use rustls::ClientConfig;
use std::collections::{HashMap, HashSet};
use tower::{Service, ServiceExt};

fn config(pki: &Pki) -> Arc<ClientConfig> {
    let roots = tls::roots_from_pem(pki.ca.as_bytes()).unwrap();
    Arc::new(tls::client_config(roots).unwrap())
}

async fn connect(uri: Uri, tls: Arc<ClientConfig>) -> Result<Connection, SessionError> {
    let (host, port) = (uri.host().unwrap(), uri.port_u16().unwrap());
    Ok(Connection::open(host, port, tls, &ConnectOptions::default()).await?)
}

/// Creates a pool of sessions with API keys for the gateway's authority.
macro_rules! otp_pool {
    ($pki:expr) => {{
        let tls = config($pki);
        Pool::new(move |uri| {
            let tls = Arc::clone(&tls);
            async move { otp(connect(uri, tls).await?, Form::ApiKey).await }
        })
    }};
}

#[tokio::test]
async fn never_lets_a_proof_cross_connections() {
    let fixture = Fixture::start().await;
    let pool = otp_pool!(&fixture.gateway.pki);
    for _ in 0..3 {
        let requests = (0..5).map(|_| {
            let request = fixture.request(Method::GET, "/otp/echo", RequestBody::empty());
            pool.clone().oneshot(request)
        });
        for response in join_all(requests).await {
            let response = response.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.extensions().get(), Some(&Outcome::Proved));
            assert_eq!(text(response.into_body()).await, "GET ");
        }
        assert_eq!(pool.idle(), 5);
    }
    let admitted = fixture.shared.admitted.lock().unwrap();
    assert_eq!(admitted.len(), 15);
    let mut keys = HashMap::<_, HashSet<_>>::new();
    for (peer, headers) in &*admitted {
        let key = headers["chanbind-key"].clone();
        keys.entry(*peer).or_default().insert(key);
    }
    assert_eq!(keys.len(), 5, "five connections");
    assert!(keys.values().all(|keys| keys.len() == 1), "one key on each");
    let all: HashSet<_> = keys.into_values().flatten().collect();
    assert_eq!(all.len(), 5, "no key on two");
}

#[tokio::test]
async fn proves_a_certificate_once_on_each_connection() {
    let fixture = Fixture::start().await;
    let (tls, credentials) = (config(&fixture.gateway.pki), fixture.credentials());
    let pool = Pool::new(move |uri| {
        let (tls, credentials) = (Arc::clone(&tls), credentials.clone());
        async move {
            let prover = authenticator::prover(&credentials);
            Session::begin(connect(uri, tls).await?, prover, credentials).await
        }
    });
    for _ in 0..2 {
        let requests = (0..3).map(|_| {
            let request = fixture.request(Method::POST, "/certificate/echo", "content".into());
            pool.clone().oneshot(request)
        });
        for response in join_all(requests).await {
            assert_eq!(text(response.unwrap().into_body()).await, "POST content");
        }
    }
    let admitted = fixture.shared.admitted.lock().unwrap();
    let proofs = admitted.iter().filter_map(|(peer, headers)| {
        let proof = headers.get("authorization")?;
        Some((*peer, proof.clone()))
    });
    let (peers, proofs): (HashSet<_>, HashSet<_>) = proofs.unzip();
    assert_eq!((admitted.len(), peers.len(), proofs.len()), (6, 3, 3));
}

#[tokio::test]
async fn uses_a_session_again_when_its_response_has_been_read() {
    let fixture = Fixture::start().await;
    let mut pool = otp_pool!(&fixture.gateway.pki);
    for method in [Method::GET, Method::HEAD, Method::POST] {
        let request = fixture.request(method, "/otp/echo", RequestBody::empty());
        let response = pool.ready().await.unwrap().call(request).await.unwrap();
        drop(response.into_body().bytes(1024).await.unwrap());
        assert_eq!(pool.idle(), 1);
    }
    // A response without content need not be read.
    let request = fixture.request(Method::HEAD, "/otp/echo", RequestBody::empty());
    drop(pool.call(request).await.unwrap());
    assert_eq!(pool.idle(), 1);
    let peers = fixture.peers();
    assert_eq!(peers.len(), 4);
    assert!(peers.iter().all(|peer| *peer == peers[0]));
}

#[tokio::test]
async fn does_not_use_a_session_again_whose_response_was_given_up() {
    let fixture = Fixture::start().await;
    let pool = otp_pool!(&fixture.gateway.pki);
    for has_begun in [false, true] {
        let (feed, pieces) = mpsc::channel(1);
        *fixture.shared.pieces.lock().unwrap() = Some(pieces);
        let request = fixture.request(Method::GET, "/otp/pieces", RequestBody::empty());
        let mut body = pool.clone().oneshot(request).await.unwrap().into_body();
        if has_begun {
            feed.send("one".into()).await.unwrap();
            assert!(body.frame().await.unwrap().is_ok());
        }
        drop(body);
        assert_eq!(pool.idle(), 0);
        let request = fixture.request(Method::GET, "/otp/echo", RequestBody::empty());
        let response = pool.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        drop(response);
    }
}

#[tokio::test]
async fn does_not_use_a_session_again_whose_request_was_given_up() {
    let fixture = Fixture::start().await;
    let pool = otp_pool!(&fixture.gateway.pki);
    let (feed, pieces) = mpsc::channel(1);
    let (received, mut seen) = mpsc::channel(1);
    *fixture.shared.received.lock().unwrap() = Some(received);
    let body = RequestBody::stream(stream(pieces));
    let request = fixture.request(Method::POST, "/otp/upload", body);
    feed.send("one".into()).await.unwrap();
    tokio::select! {
        _ = pool.clone().oneshot(request) => panic!("answered before the end of the request"),
        piece = next(&mut seen) => assert_eq!(piece, "one"),
    }
    assert_eq!(pool.idle(), 0);
    let request = fixture.request(Method::GET, "/otp/echo", RequestBody::empty());
    let response = pool.clone().oneshot(request).await.unwrap();
    assert_eq!(text(response.into_body()).await, "GET ");
    let peers = fixture.peers();
    assert_ne!(peers[0], peers[1]);
}

#[tokio::test]
async fn connects_anew_after_the_gateway_has_closed_the_connection() {
    let Fixture {
        gateway,
        authority,
        shared,
    } = Fixture::start().await;
    let pool = otp_pool!(&gateway.pki);
    let uri = gateway.uri("/otp/echo");
    let get = || Request::get(&uri).body(RequestBody::empty()).unwrap();
    let response = pool.clone().oneshot(get()).await.unwrap();
    assert_eq!(text(response.into_body()).await, "GET ");
    assert_eq!(pool.idle(), 1);
    let (pki, port) = (gateway.pki.clone(), gateway.port);
    gateway.stop().await;
    // While there is no gateway, opening a session fails.
    let closed = async {
        while !matches!(pool.clone().oneshot(get()).await, Err(SessionError::Client(ref error)) if is_connect(error))
        {
        }
    };
    timeout(LIMIT, closed).await.unwrap();
    assert_eq!(pool.idle(), 0);
    let app = app(&authority, &shared);
    let _gateway = TestGateway::serve_as(app, pki, port).await.unwrap();
    for _ in 0..2 {
        let response = pool.clone().oneshot(get()).await.unwrap();
        assert_eq!(text(response.into_body()).await, "GET ");
    }
    let peers: Vec<_> = shared
        .admitted
        .lock()
        .unwrap()
        .iter()
        .map(|one| one.0)
        .collect();
    assert_ne!(peers[0], peers[1]);
    assert_eq!(peers[1], peers[2]);
}

fn is_connect(error: &chanbind::client::ClientError) -> bool {
    matches!(error, chanbind::client::ClientError::Connect { .. })
}

#[tokio::test]
async fn keeps_sessions_of_several_gateways_apart() {
    let fixtures = [Fixture::start().await, Fixture::start().await];
    let configs = fixtures
        .each_ref()
        .map(|one| (one.gateway.port, config(&one.gateway.pki)));
    let pool = Pool::new(move |uri: Uri| {
        let mut configs = configs.iter();
        let own = configs.find(|(port, _)| Some(*port) == uri.port_u16());
        let tls = Arc::clone(&own.unwrap().1);
        async move { otp(connect(uri, tls).await?, Form::ApiKey).await }
    });
    for _ in 0..2 {
        for fixture in &fixtures {
            let request = fixture.request(Method::GET, "/otp/echo", RequestBody::empty());
            let response = pool.clone().oneshot(request).await.unwrap();
            assert_eq!(text(response.into_body()).await, "GET ");
        }
        assert_eq!(pool.idle(), 2);
    }
    for fixture in &fixtures {
        let peers = fixture.peers();
        assert_eq!((peers.len(), peers[0]), (2, peers[1]));
    }
}

/// In a stack of tower's middleware.
#[tokio::test]
async fn is_a_tower_service() {
    let fixture = Fixture::start().await;
    let uri = fixture.gateway.uri("/otp/echo");
    let service = otp_pool!(&fixture.gateway.pki)
        .map_request(move |content: &'static str| Request::put(&uri).body(content.into()).unwrap())
        .map_err(|error| error.to_string())
        .and_then(async |response: axum::http::Response<ResponseBody>| {
            Ok::<_, String>(text(response.into_body()).await)
        });
    let mut calls = Vec::new();
    for content in ["one", "two", "three"] {
        let mut service = service.clone();
        calls.push(async move { service.ready().await?.call(content).await });
    }
    let answers: Result<Vec<_>, _> = join_all(calls).await.into_iter().collect();
    assert_eq!(answers.unwrap(), ["PUT one", "PUT two", "PUT three"]);
}
