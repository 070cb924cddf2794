//! Rules over two kinds of proof.

use super::*;
use axum::{Router, http::Method, routing::any};
use chanbind::{
    gateway::{Identities, Identity, Policy, ProofLayer, Requirement, all_of, any_of},
    proof::authenticator::{AuthenticatorVerifier, Credentials, Trust},
};
use chanbind_host_tests::pki::{Authority, for_device};
use tower::Layer;

struct Fixture {
    gateway: TestGateway,
    layer: ProofLayer,
    device: Credentials,
}

impl Fixture {
    async fn start() -> Self {
        let authority = Authority::new("devices").unwrap();
        let issued = authority
            .issue(|params| for_device(params, "urn:device:1"))
            .unwrap();
        let device =
            Credentials::from_pem(issued.pem().as_bytes(), issued.key_pem().as_bytes()).unwrap();
        let trust = Trust::from_pem(authority.pem().as_bytes()).unwrap();
        let (otp, certificates) = (verifier(), AuthenticatorVerifier::new(trust));
        let both = || [Requirement::from(&otp), Requirement::from(&certificates)];
        let policy = Policy::new()
            .require("/any", any_of(both()))
            .require("/all", all_of(both()))
            .optional("/optional", &otp)
            .exempt("/open")
            .host("admin.example", Policy::new().require("/", &certificates));
        let handler = |identities: Identities, first: Option<Identity>| async move {
            let all: Vec<_> = identities
                .iter()
                .map(|one| format!("{}:{}", one.kind(), one.subject()))
                .collect();
            assert_eq!(first.is_some(), !all.is_empty());
            all.join(" ")
        };
        let layer = ProofLayer::new(policy);
        let app = layer.layer(Router::new().fallback(any(handler)));
        Self {
            gateway: TestGateway::serve(app).await.unwrap(),
            layer,
            device,
        }
    }
}

/// Returns the schemes of the challenges in a response.
fn challenges(response: &axum::http::Response<bytes::Bytes>) -> Vec<String> {
    let values = response.headers().get_all("www-authenticate").iter();
    let scheme = |value: &str| value.split(' ').next().unwrap_or_default().to_owned();
    values
        .map(|value| scheme(value.to_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn any_of_two_kinds_admits_by_either_and_challenges_for_both() {
    let fixture = Fixture::start().await;
    let mut connection = fixture.gateway.connect().await.unwrap();
    let first = connection
        .send(request(&fixture.gateway, "/any"))
        .await
        .unwrap();
    assert_eq!(first.status(), 401);
    assert_eq!(challenges(&first), ["Chanbind", "Exported-Authenticator"]);

    let by_password = proved(&fixture.gateway, &connection, "/any").await;
    assert_eq!(
        answer(&mut connection, by_password).await,
        (StatusCode::OK, "otp:client1".to_owned())
    );
    let by_certificate = connection
        .send_with(request(&fixture.gateway, "/any"), Some(&fixture.device))
        .await
        .unwrap();
    assert_eq!(by_certificate.body(), "authenticator:urn:device:1");
    // Both at once.
    let both = proved(&fixture.gateway, &connection, "/any").await;
    assert_eq!(
        answer(&mut connection, both).await.1,
        "otp:client1 authenticator:urn:device:1"
    );
}

#[tokio::test]
async fn all_of_two_kinds_needs_both_and_challenges_for_what_is_missing() {
    let fixture = Fixture::start().await;
    let mut connection = fixture.gateway.connect().await.unwrap();
    let password = proved(&fixture.gateway, &connection, "/all").await;
    let one = connection
        .send(chanbind_host_tests::client::copy(&password))
        .await
        .unwrap();
    assert_eq!(one.status(), 401);
    assert_eq!(challenges(&one), ["Exported-Authenticator"]);
    let certificate = connection
        .send_with(request(&fixture.gateway, "/all"), Some(&fixture.device))
        .await
        .unwrap();
    assert_eq!(certificate.status(), 401);
    assert_eq!(challenges(&certificate), ["Chanbind"]);
    assert_eq!(
        answer(&mut connection, password).await,
        (
            StatusCode::OK,
            "otp:client1 authenticator:urn:device:1".to_owned()
        )
    );
}

#[tokio::test]
async fn optional_proofs_are_verified_if_present() {
    let fixture = Fixture::start().await;
    let mut connection = fixture.gateway.connect().await.unwrap();
    for path in ["/optional", "/open"] {
        let without = request(&fixture.gateway, path);
        let expected = (StatusCode::OK, String::new());
        assert_eq!(answer(&mut connection, without).await, expected, "{path}");
    }
    let with = proved(&fixture.gateway, &connection, "/optional").await;
    assert_eq!(answer(&mut connection, with).await.1, "otp:client1");
    let other = fixture.gateway.connect().await.unwrap();
    let wrong = proved(&fixture.gateway, &other, "/optional").await;
    assert_eq!(answer(&mut connection, wrong).await.0, 401);
    // An exempt path ignores proofs.
    let ignored = proved(&fixture.gateway, &connection, "/open").await;
    assert_eq!(
        answer(&mut connection, ignored).await,
        (StatusCode::OK, String::new())
    );
}

#[tokio::test]
async fn a_host_has_rules_of_its_own() {
    let fixture = Fixture::start().await;
    let mut connection = fixture.gateway.connect().await.unwrap();
    let with_host = |path: &str, hosts: &[&str]| {
        let mut request = request(&fixture.gateway, path);
        for host in hosts {
            let value = axum::http::HeaderValue::from_str(host).unwrap();
            request.headers_mut().append("host", value);
        }
        request
    };
    let admin = connection
        .send(with_host("/open", &["admin.example"]))
        .await
        .unwrap();
    assert_eq!(
        (admin.status(), challenges(&admin)),
        (
            StatusCode::UNAUTHORIZED,
            vec!["Exported-Authenticator".to_owned()]
        )
    );
    let other = with_host("/open", &["other.example"]);
    assert_eq!(answer(&mut connection, other).await.0, StatusCode::OK);
    let two = with_host("/open", &["other.example", "admin.example"]);
    assert_eq!(
        answer(&mut connection, two).await.0,
        StatusCode::BAD_REQUEST
    );
}

/// Identities come from proofs alone: what a middleware puts there is removed.
#[tokio::test]
async fn identities_in_the_extensions_are_replaced() {
    use tower::ServiceExt;
    let handler = |identity: Option<Identity>| async move { format!("{}", identity.is_some()) };
    let app = ProofLayer::new(Policy::new()).layer(Router::new().fallback(any(handler)));
    let mut request = Request::new(axum::body::Body::empty());
    *request.method_mut() = Method::GET;
    request
        .extensions_mut()
        .insert(Identity::new("forged", "otp", ()));
    let response = app.oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 100)
        .await
        .unwrap();
    assert_eq!(body, "false");
}

#[tokio::test]
async fn closes_connections_by_identity_of_any_kind() {
    let fixture = Fixture::start().await;
    let mut by_password = fixture.gateway.connect().await.unwrap();
    let password = proved(&fixture.gateway, &by_password, "/any").await;
    assert_eq!(answer(&mut by_password, password).await.0, StatusCode::OK);
    let mut by_certificate = fixture.gateway.connect().await.unwrap();
    let response = by_certificate
        .send_with(request(&fixture.gateway, "/any"), Some(&fixture.device))
        .await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(fixture.layer.close_where(|one| one.kind() == "otp"), 1);
    let again = request(&fixture.gateway, "/open");
    assert!(by_password.send(again).await.is_err());
    let again = request(&fixture.gateway, "/any");
    assert_eq!(answer(&mut by_certificate, again).await.0, StatusCode::OK);
}
