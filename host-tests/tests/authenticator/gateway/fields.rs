//! Fields without an authenticator, and fields with the wrong one.

use super::{Fixture, credentials, is, seen};
use axum::http::{HeaderValue, Request, StatusCode, header};
use chanbind::{
    client::RequestBody,
    proof::authenticator::header_fields::{self, REQUEST_HEADER},
};
use chanbind_core::{
    authenticator::{Client, Endpoint, Request as AuthenticatorRequest},
    exporter::ExporterSecret,
};
use chanbind_host_tests::{
    client::{TestClient, authenticate, challenged},
    pki::{Authority, for_device},
};

async fn status(connection: &mut TestClient, request: Request<RequestBody>) -> (u16, String) {
    seen(&connection.send(request).await.unwrap())
}

fn with(fixture: &Fixture, name: &header::HeaderName, values: &[&str]) -> Request<RequestBody> {
    let mut request = fixture.request("/get");
    for value in values {
        request
            .headers_mut()
            .append(name.clone(), HeaderValue::from_str(value).unwrap());
    }
    request
}

#[tokio::test]
async fn malformed_credentials_are_told_why() {
    let fixture = Fixture::start().await;
    let mut connection = fixture.gateway.connect().await.unwrap();
    let too_long = format!("Exported-Authenticator {}", "A".repeat(10_924));
    for (values, reason) in [
        (&["Exported-Authenticator"][..], "length"),
        (&["Exported-Authenticator !"], "base64url"),
        (&["Exported-Authenticator CwAA"], "length"),
        (&["Exported-Authenticator FAAAAAA"], "length"),
        (&[too_long.as_str()], "more than 8192 bytes"),
        (&["Exported-Authenticator FAAAAA", "Bearer x"], "twice"),
    ] {
        let request = with(&fixture, &header::AUTHORIZATION, values);
        let (status, body) = status(&mut connection, request).await;
        assert_eq!(status, 400, "{values:?}");
        assert!(body.contains(reason), "{values:?}: {body}");
    }
    // Other schemes are ignored.
    let request = with(&fixture, &header::AUTHORIZATION, &["Bearer x"]);
    assert_eq!(status(&mut connection, request).await.0, 401);
}

#[tokio::test]
async fn malformed_requests_are_told_why() {
    let fixture = Fixture::start().await;
    let mut connection = fixture.gateway.connect().await.unwrap();
    let too_long = "A".repeat(1_367);
    for (values, reason) in [
        (&[""][..], "length"),
        (&["!"], "base64url"),
        (&["EQAAAwAAAA"], "signature_algorithms"),
        (&[too_long.as_str()], "more than 1024 bytes"),
        // A server's, sent back to it.
        (&["DQAADQAACgANAAQAAgQD"], "length"),
        (&["DQAACwAACAANAAQAAgQD"], "this side sends"),
    ] {
        let request = with(&fixture, &REQUEST_HEADER, values);
        let (status, body) = status(&mut connection, request).await;
        assert_eq!(status, 400, "{values:?}: {body}");
        assert!(body.contains(reason), "{values:?}: {body}");
    }
}

#[tokio::test]
async fn wrong_authenticators_are_all_the_same() {
    let fixture = Fixture::start().await;
    let device = credentials(&fixture.device("urn:device:1"));
    let mut connection = fixture.gateway.connect().await.unwrap();
    let challenge = async |connection: &mut TestClient| {
        let response = connection.send(fixture.request("/get")).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        challenged(response.headers()).unwrap()
    };

    // Of another connection, for a request that is this one's.
    let request = challenge(&mut connection).await;
    let elsewhere = ExporterSecret::sha384(&[7; 48]);
    let mut other_end = Endpoint::<Client>::new(&elsewhere).unwrap();
    let parsed = AuthenticatorRequest::parse(&request).unwrap();
    let of_elsewhere = authenticate(&device, &mut other_end, &parsed)
        .await
        .unwrap();

    // Right, but for a bit of the signature.
    let mut own_end = Endpoint::<Client>::new(connection.channel()).unwrap();
    let right = authenticate(&device, &mut own_end, &parsed).await.unwrap();
    let mut changed = right.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;

    let mut bodies = Vec::new();
    let mut send = async |connection: &mut TestClient, authenticator: &[u8]| {
        let mut sent = fixture.request("/get");
        let value = header_fields::credentials(authenticator);
        sent.headers_mut().insert(header::AUTHORIZATION, value);
        let response = connection.send(sent).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        bodies.push(response.body().clone());
        challenged(response.headers()).unwrap()
    };
    let after_other = send(&mut connection, &of_elsewhere).await;
    assert_ne!(after_other, request);
    // The right one comes too late: its request is used up.
    let after_right = send(&mut connection, &right).await;
    assert_eq!(after_right, after_other);
    let after_changed = send(&mut connection, &changed).await;
    assert_eq!(after_changed, after_other);
    assert!(bodies.iter().all(|body| *body == bodies[0]));

    let admitted = connection.send_with(fixture.request("/get"), Some(&device));
    assert_eq!(seen(&admitted.await.unwrap()), is(200, "ok urn:device:1"));
    // And where it is proved, credentials are not looked at.
    let replayed = with(
        &fixture,
        &header::AUTHORIZATION,
        &["Exported-Authenticator !"],
    );
    assert_eq!(status(&mut connection, replayed).await.0, 200);
}

#[tokio::test]
async fn others_certificates_are_refused() {
    let fixture = Fixture::start().await;
    let stranger = Authority::new("devices").unwrap();
    let expired = fixture.devices.issue(|params| {
        for_device(params, "urn:device:1");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let of_server = fixture.devices.issue(|_| {});
    for issued in [
        super::issue(&stranger, "urn:device:1"),
        expired.unwrap(),
        of_server.unwrap(),
    ] {
        let mut connection = fixture.gateway.connect().await.unwrap();
        let response = connection
            .send_with(fixture.request("/get"), Some(&credentials(&issued)))
            .await
            .unwrap();
        assert_eq!(response.status(), 401);
    }
}
