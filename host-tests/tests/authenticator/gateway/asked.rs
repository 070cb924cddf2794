//! Clients that ask the server to prove a further identity.

use super::{Fixture, credentials, is, seen, trust};
use chanbind::proof::authenticator::ServerIdentityError;
use chanbind_core::{authenticator::ValidateError, x509::PathError};
use chanbind_host_tests::{client::copy, pki::Authority};

#[tokio::test]
async fn a_server_proves_a_second_identity() {
    let fixture = Fixture::start().await;
    let seconds = trust(&fixture.seconds);
    let device = credentials(&fixture.device("urn:device:1"));
    let mut connection = fixture.gateway.connect().await.unwrap();
    // On an answer that has no need of the client's, and on one that asks for it.
    for path in ["/open", "/get"] {
        for name in [None, Some("second.example")] {
            let mut request = fixture.request(path);
            let asked = connection.ask(&mut request, name, &seconds).unwrap();
            let response = connection.send_with(request, Some(&device)).await.unwrap();
            assert_eq!(response.status(), 200);
            let identity = connection.proved(asked, &response).unwrap();
            assert_eq!(identity.dns_names(), ["second.example"]);
        }
    }
    let get = connection.send(fixture.request("/get")).await.unwrap();
    assert_eq!(seen(&get), is(200, "ok urn:device:1"));
}

#[tokio::test]
async fn a_server_declines_what_it_is_not() {
    let fixture = Fixture::start().await;
    let seconds = trust(&fixture.seconds);
    let strangers = trust(&Authority::new("strangers").unwrap());
    let mut connection = fixture.gateway.connect().await.unwrap();
    for (name, whom) in [(Some("third.example"), &seconds), (None, &strangers)] {
        let mut request = fixture.request("/open");
        let asked = connection.ask(&mut request, name, whom).unwrap();
        let response = connection.send(request).await.unwrap();
        let proved = connection.proved(asked, &response);
        assert!(matches!(
            proved,
            Err(ServerIdentityError::Validate(ValidateError::Empty))
        ));
    }
}

#[tokio::test]
async fn an_answer_is_good_for_its_question_only() {
    let fixture = Fixture::start().await;
    let seconds = trust(&fixture.seconds);
    let mut connection = fixture.gateway.connect().await.unwrap();
    let mut first = fixture.request("/open");
    let asked_first = connection.ask(&mut first, None, &seconds).unwrap();
    let mut second = fixture.request("/open");
    let asked_second = connection.ask(&mut second, None, &seconds).unwrap();
    let again = copy(&first);
    let answered = connection.send(first).await.unwrap();
    let proved = connection.proved(asked_second, &answered);
    assert!(matches!(
        proved,
        Err(ServerIdentityError::Validate(ValidateError::Context))
    ));
    // The server answers a question once.
    assert_eq!(connection.send(again).await.unwrap().status(), 400);
    assert!(connection.proved(asked_first, &answered).is_ok());

    // One that was asked on another connection is not answered here.
    let mut other = fixture.gateway.connect().await.unwrap();
    let mut request = fixture.request("/open");
    let asked = connection.ask(&mut request, None, &seconds).unwrap();
    let answered = other.send(request).await.unwrap();
    let proved = connection.proved(asked, &answered);
    assert!(matches!(
        proved,
        Err(ServerIdentityError::Validate(ValidateError::Finished))
    ));
    // No answer at all.
    let mut request = fixture.request("/open");
    let asked = connection.ask(&mut request, None, &seconds).unwrap();
    let without = connection.send(fixture.request("/open")).await.unwrap();
    let proved = connection.proved(asked, &without);
    assert!(matches!(proved, Err(ServerIdentityError::NoAnswer)));
}

#[tokio::test]
async fn pins_hold_beside_the_authority() {
    let fixture = Fixture::start().await;
    let mut connection = fixture.gateway.connect().await.unwrap();
    let pinned = trust(&fixture.seconds).with_pins(&[[7; 32]]);
    let mut request = fixture.request("/open");
    let asked = connection.ask(&mut request, None, &pinned).unwrap();
    let response = connection.send(request).await.unwrap();
    let proved = connection.proved(asked, &response);
    assert!(matches!(
        proved,
        Err(ServerIdentityError::Validate(ValidateError::Path(
            PathError::Pin
        )))
    ));
}
