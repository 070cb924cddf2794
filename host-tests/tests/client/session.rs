//! Requests and outcomes of a session.

use super::*;
use axum::http::{HeaderValue, StatusCode};
use chanbind::proof::KeyHolder;
use chanbind_core::proof::{Outcome, Prover};

/// Sends requests with every method.
async fn sends_every_method<P, K>(fixture: &Fixture, mut session: Session<P, K>, kind: &str)
where
    P: Prover<Failure: Send + Sync + 'static>,
    K: KeyHolder,
{
    for method in [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND",
    ] {
        let method: Method = method.parse().unwrap();
        let content = if method == "GET" || method == "HEAD" {
            ""
        } else {
            "content"
        };
        let path = format!("/{kind}/echo?a=b");
        let mut request = fixture.request(method.clone(), &path, content.into());
        for value in ["one", "two", "\u{e9}"] {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request.headers_mut().append("x-test", value);
        }
        let answer = session.send(request).await.unwrap();
        assert_eq!(answer.response.status(), StatusCode::OK, "{method}");
        assert_eq!(answer.outcome, Outcome::Proved, "{method}");
        assert!(answer.declined.is_none());
        let echoed: Vec<_> = answer.response.headers().get_all("x-test").iter().collect();
        assert_eq!(echoed.len(), 3, "{method}");
        assert_eq!(echoed[2].as_bytes(), "\u{e9}".as_bytes());
        let expected = format!("{method} {content}");
        let expected = if method == "HEAD" {
            String::new()
        } else {
            expected
        };
        assert_eq!(text(answer.response.into_body()).await, expected);
    }
}

#[tokio::test]
async fn sends_every_method_with_a_one_time_password() {
    let fixture = Fixture::start().await;
    for form in [Form::ApiKey, Form::Jws, Form::Nested] {
        sends_every_method(&fixture, fixture.otp(form).await, "otp").await;
    }
    assert_eq!(fixture.peers().len(), 24);
}

#[tokio::test]
async fn sends_every_method_with_an_authenticator() {
    let fixture = Fixture::start().await;
    sends_every_method(&fixture, fixture.certificate().await, "certificate").await;
    let peers = fixture.peers();
    assert!(peers.iter().all(|peer| *peer == peers[0]), "one connection");
    // The authenticator went with one of the requests.
    let admitted = fixture.shared.admitted.lock().unwrap();
    let proofs = admitted
        .iter()
        .filter(|(_, headers)| headers.contains_key("authorization"));
    assert_eq!(proofs.count(), 1);
}

#[tokio::test]
async fn replaces_fields_of_the_application_by_those_of_the_proof() {
    let fixture = Fixture::start().await;
    let mut session = fixture.otp(Form::ApiKey).await;
    let mut request = fixture.request(Method::GET, "/otp/echo", RequestBody::empty());
    let headers = request.headers_mut();
    for name in ["chanbind-client", "chanbind-key"] {
        headers.append(name, HeaderValue::from_static("one"));
        headers.append(name, HeaderValue::from_static("two"));
    }
    headers.insert("host", HeaderValue::from_static("elsewhere.example"));
    headers.insert("authorization", HeaderValue::from_static("Basic x"));
    let answer = session.send(request).await.unwrap();
    assert_eq!(answer.response.status(), StatusCode::OK);
    let admitted = fixture.shared.admitted.lock().unwrap();
    let (_, headers) = &admitted[0];
    assert_eq!(headers.get_all("chanbind-key").iter().count(), 1);
    assert_eq!(headers["chanbind-client"], "client1");
    assert_eq!(headers["authorization"], "Basic x");
    assert_eq!(
        headers["host"],
        format!("localhost:{}", fixture.gateway.port)
    );
}

#[tokio::test]
async fn reports_what_a_response_says_of_the_proof() {
    let fixture = Fixture::start().await;
    let get = |path| fixture.request(Method::GET, path, RequestBody::empty());

    // Not asked, then asked on the same connection, then not asked again.
    let mut session = fixture.certificate().await;
    for (path, status, outcome) in [
        ("/open", 404, Outcome::NotAsked),
        ("/certificate/echo", 200, Outcome::Proved),
        ("/open", 404, Outcome::Proved),
    ] {
        let answer = session.send(get(path)).await.unwrap();
        assert_eq!(answer.response.status(), status, "{path}");
        assert_eq!(answer.outcome, outcome, "{path}");
        let _ = text(answer.response.into_body()).await;
    }

    // Refused: the response is the application's all the same.
    let client = ClientId::new("client1").unwrap();
    let prover = otp::prover(&Settings::default(), client, Form::ApiKey);
    let wrong = HmacSha256::new(b"wrong");
    let begun = Session::begin(fixture.connect().await, prover, wrong).await;
    let answer = begun.unwrap().send(get("/otp/echo")).await.unwrap();
    assert_eq!(answer.outcome, Outcome::Refused);
    assert_eq!(answer.response.status(), StatusCode::UNAUTHORIZED);
    assert!(
        text(answer.response.into_body())
            .await
            .contains("prove who you are")
    );

    // Declined: the certificate comes from another authority than the gateway asks for.
    let stranger = Authority::new("strangers").unwrap();
    let issued = stranger
        .issue(|params| for_device(params, "urn:device:1"))
        .unwrap();
    let credentials =
        Credentials::from_pem(issued.pem().as_bytes(), issued.key_pem().as_bytes()).unwrap();
    let prover = authenticator::prover(&credentials);
    let begun = Session::begin(fixture.connect().await, prover, credentials).await;
    let answer = begun.unwrap().send(get("/certificate/echo")).await.unwrap();
    assert_eq!(answer.outcome, Outcome::Refused);
    assert_eq!(answer.response.status(), StatusCode::FORBIDDEN);
    assert!(answer.declined.unwrap().contains("another certificate"));
}

#[tokio::test]
async fn reports_a_key_that_cannot_prove() {
    let fixture = Fixture::start().await;
    let client = ClientId::new("client1").unwrap();
    let prover = otp::prover(&Settings::default(), client, Form::ApiKey);
    let begun = Session::begin(fixture.connect().await, prover, fixture.credentials()).await;
    assert!(matches!(begun, Err(SessionError::Key(_))));
}
