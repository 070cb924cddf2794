//! A gateway that fetches the discharges which a client has not brought, over HTTPS.

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, Uri, header::AUTHORIZATION},
    middleware::map_request,
    routing::get,
};
use chanbind::{
    client::{ConnectOptions, Connection, Session},
    gateway::{Policy, ProofLayer},
    proof::blessing::{
        BlessingNames, BlessingProver, BlessingVerifier, HttpsDischarges, PeerPatterns, Principal,
        PrincipalKey, discharger, prover, union,
    },
    protocol::blessing::{Caveat, Caveats, Condition, THIRD_PARTY, ThirdParty},
    tls,
};
use chanbind_host_tests::{
    gateway::TestGateway,
    principals::{blessed, block_on, key, named, until},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tower::Layer as _;

/// A third party that gives discharges with these conditions, and counts the requests.
async fn third_party(
    principal: &Arc<Principal>,
    conditions: Option<Vec<Condition<'static>>>,
) -> (TestGateway, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let decide = move |_: &ThirdParty<'_>| {
        count.fetch_add(1, Ordering::SeqCst);
        conditions.clone()
    };
    let app = Router::new().route("/discharges/all", discharger(principal, decide));
    (TestGateway::serve(app).await.unwrap(), asked)
}

fn client_config(of: &TestGateway) -> rustls::ClientConfig {
    let roots = tls::roots_from_pem(of.pki.ca.as_bytes()).unwrap();
    tls::client_config(roots).unwrap()
}

/// The status of a request by a client that needs a discharge from `location`. The gateway fetches from locations below `allowed`.
async fn status(
    auditor: &Arc<Principal>,
    third: &TestGateway,
    location: &str,
    allowed: &str,
) -> StatusCode {
    status_with(auditor, third, [location, allowed], &[]).await
}

/// Does the same for a client that brings a discharge with these conditions, if there are any.
async fn status_with(
    auditor: &Arc<Principal>,
    third: &TestGateway,
    [location, allowed]: [&str; 2],
    brought: &[Condition<'_>],
) -> StatusCode {
    let factory = named("factory");
    let condition = discharged_by(auditor, &[9; 16], location);
    let mut client = blessed(&factory, "pump7", &[condition]);
    if !brought.is_empty() {
        let mut parameter = vec![0; 4096];
        let caveat = Caveat {
            id: THIRD_PARTY,
            parameter: condition.encode(&mut parameter).unwrap(),
        };
        let given = caveat.with_third_party(|party| block_on(auditor.discharge(party, brought)));
        client = client
            .with_discharges(vec![given.unwrap().unwrap().unwrap()])
            .unwrap();
    }
    let (gateway, mut session, _) = connected(&factory, client, third, allowed).await;
    let status = get_status(&gateway, &mut session).await;
    drop(session);
    gateway.stop().await;
    status
}

/// The condition that the auditor gives a discharge.
fn discharged_by<'a>(
    auditor: &'a Principal,
    nonce: &'a [u8; 16],
    location: &'a str,
) -> Condition<'a> {
    Condition::ThirdParty {
        nonce,
        caveats: Caveats::NONE,
        public_key: auditor.key().public_key(),
        location,
    }
}

/// The credentials that a gateway has received last.
type Sent = Arc<Mutex<Option<HeaderValue>>>;

/// A gateway that fetches discharges from locations below `allowed`, and a connection of the client to it.
async fn connected(
    factory: &Principal,
    client: Principal,
    third: &TestGateway,
    allowed: &str,
) -> (TestGateway, Session<BlessingProver, PrincipalKey>, Sent) {
    let gateway = Arc::new(blessed(factory, "gateway", &[]));
    let client = Arc::new(client);
    let allowed: Uri = allowed.parse().unwrap();
    let source = HttpsDischarges::new([allowed], client_config(third));
    let source = source.with_limit(Duration::from_secs(2));
    let peers = PeerPatterns::admit(["factory:pump7"]);
    let verifier = BlessingVerifier::with_discharges(&gateway, peers, Arc::new(source));
    let handler = |names: BlessingNames| async move { names.names().join(" ") };
    let layer = ProofLayer::new(Policy::new().require("/", verifier));
    let app = layer.layer(Router::new().route("/get", get(handler)));
    let sent = Sent::default();
    let last = Arc::clone(&sent);
    let app = Router::new()
        .fallback_service(app)
        .layer(map_request(move |request: Request| {
            if let Some(credentials) = request.headers().get(AUTHORIZATION) {
                *last.lock().unwrap() = Some(credentials.clone());
            }
            std::future::ready(request)
        }));
    let gateway = TestGateway::serve(app).await.unwrap();

    let options = ConnectOptions::default();
    let config = client_config(&gateway);
    let connection = Connection::open("localhost", gateway.port, config, &options).await;
    let prover = prover(&client, &PeerPatterns::admit(["factory:gateway"]));
    let session = Session::begin(connection.unwrap(), prover, client.key().clone());
    (gateway, session.await.unwrap(), sent)
}

async fn get_status(
    gateway: &TestGateway,
    session: &mut Session<BlessingProver, PrincipalKey>,
) -> StatusCode {
    let request = Connection::get(&gateway.uri("/get").parse().unwrap()).unwrap();
    session.send(request).await.unwrap().response.status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discharge_is_fetched_from_an_allowed_location() {
    let auditor = Arc::new(named("auditor"));
    let (third, asked) = third_party(&auditor, Some(Vec::new())).await;
    let url = third.uri("/discharges/all");
    for allowed in [url.clone(), third.uri("/discharges/"), third.uri("/")] {
        let status = status(&auditor, &third, &url, &allowed).await;
        assert_eq!(status, StatusCode::OK, "{allowed}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    // The client chooses the location, so the gateway's operator chooses among them.
    for (location, allowed) in [
        (url.as_str(), third.uri("/other")),
        (&url, third.uri("/dis")),
        (&url, "https://localhost/discharges".to_owned()),
        (&third.uri("/discharges/../discharges/all"), third.uri("/")),
        (&third.uri("/x/%2e%2e/discharges/all"), third.uri("/")),
        (&third.uri("/discharges/all?x"), third.uri("/")),
        (&third.uri("/discharges/all;x"), third.uri("/")),
        (&url.replace("https", "http"), third.uri("/")),
        ("not a URL", third.uri("/")),
        (&third.uri("/missing"), third.uri("/")),
    ] {
        let status = status(&auditor, &third, location, &allowed).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{location}, {allowed}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discharge_that_is_refused_or_expired_admits_no_client() {
    let auditor = Arc::new(named("auditor"));
    for conditions in [None, Some(vec![until(1_000_000_000)])] {
        let (third, asked) = third_party(&auditor, conditions).await;
        let url = third.uri("/discharges/all");
        let status = status(&auditor, &third, &url, &url).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        third.stop().await;
    }
    // A third party with another key gives none for this caveat.
    let (third, _) = third_party(&Arc::new(named("auditor")), Some(Vec::new())).await;
    let url = third.uri("/discharges/all");
    let status = status(&auditor, &third, &url, &url).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discharge_is_fetched_in_the_place_of_one_that_has_expired() {
    let auditor = Arc::new(named("auditor"));
    let (third, asked) = third_party(&auditor, Some(Vec::new())).await;
    let url = third.uri("/discharges/all");
    let expired = [until(1_000_000_000)];
    let status = status_with(&auditor, &third, [&url, &url], &expired).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_party_that_does_not_answer_is_given_up() {
    let auditor = Arc::new(named("auditor"));
    let silent = Router::new().route(
        "/discharges/all",
        axum::routing::post(|| async { std::future::pending::<()>().await }),
    );
    let third = TestGateway::serve(silent).await.unwrap();
    let url = third.uri("/discharges/all");
    let status = status(&auditor, &third, &url, &url).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    third.stop().await;
}

/// A client cannot make a gateway ask third parties for anything but what would admit it, nor again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_make_a_gateway_flood_a_third_party() {
    let auditor = Arc::new(named("auditor"));
    let (third, asked) = third_party(&auditor, None).await;
    let url = third.uri("/discharges/all");
    let (factory, stranger) = (named("factory"), named("stranger"));
    let needed = discharged_by(&auditor, &[1; 16], &url);
    let others = [2, 3, 4].map(|nonce| [nonce; 16]);
    let others = others
        .each_ref()
        .map(|nonce| discharged_by(&auditor, nonce, &url));
    let key = key();
    let bless = |giver: &Principal, name, conditions: &[Condition<'_>]| {
        block_on(giver.bless(key.public_key(), name, conditions)).unwrap()
    };
    // Neither a root that is not recognized nor a name that is not admitted is a reason to ask.
    let all = union(&[
        &bless(&factory, "pump7", &[needed]),
        &bless(&stranger, "pump7", &others),
        &bless(&factory, "pump8", &others),
    ]);
    let client = Principal::new(key, all.unwrap(), factory.roots().clone()).unwrap();
    let (gateway, mut session, sent) = connected(&factory, client, &third, &url).await;
    for _ in 0..3 {
        // The prover gives up after the first: the credentials that it has sent are sent again.
        let mut request = Connection::get(&gateway.uri("/get").parse().unwrap()).unwrap();
        if let Some(credentials) = sent.lock().unwrap().clone() {
            request.headers_mut().insert(AUTHORIZATION, credentials);
        }
        let answer = session.send(request).await.unwrap();
        assert_eq!(answer.response.status(), StatusCode::UNAUTHORIZED);
    }
    assert!(sent.lock().unwrap().is_some());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    drop(session);
    gateway.stop().await;
    third.stop().await;
}
