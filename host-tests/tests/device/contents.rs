//! Contents of requests, when the gateway asks for a proof first.

use super::*;
use chanbind_device::http::{Chunked, WithLength};

const CONTENT: &[u8] = b"{\"celsius\":23.5}";

#[tokio::test]
async fn a_slice_is_sent_again_after_a_challenge() {
    let fixture = Fixture::new(Proof::Authenticator).await;
    fixture
        .run(async |device| {
            let mut slot = None;
            let mut session = device.connect(&mut slot).await.unwrap();
            for _ in 0..2 {
                let mut response = session.send(&Request::post("/a"), CONTENT).await.unwrap();
                assert_eq!(response.status(), 200);
                assert_eq!(text(&mut response).await.unwrap().as_bytes(), CONTENT);
            }
        })
        .await;
    // The challenge comes once on a connection, and the key is used once.
    assert_eq!(fixture.statuses(), [401, 200, 200]);
    let request = format!("POST /a {}", String::from_utf8_lossy(CONTENT));
    assert_eq!(fixture.admitted(), [request.clone(), request]);
    assert_eq!(fixture.log.count("event=proof kind=authenticator"), 1);
    assert_eq!(fixture.log.count("event=admitted status=200"), 2);
}

#[tokio::test]
async fn a_reader_cannot_be_sent_again_after_a_challenge() {
    let fixture = Fixture::new(Proof::Authenticator).await;
    fixture
        .run(async |device| {
            let mut slot = None;
            let mut session = device.connect(&mut slot).await.unwrap();
            let consumed = HostFailure::Http(HttpError::ContentConsumed);
            let content = WithLength::new(CONTENT, CONTENT.len());
            let sent = session.send(&Request::post("/a"), content).await;
            assert_eq!(sent.err(), Some(consumed));
            // The session has understood the challenge: with another reader, or a slice, it goes on.
            let content = WithLength::new(CONTENT, CONTENT.len());
            let mut response = session.send(&Request::post("/b"), content).await.unwrap();
            assert_eq!(text(&mut response).await.unwrap().as_bytes(), CONTENT);
        })
        .await;
    assert_eq!(fixture.statuses(), [401, 200]);
    assert!(fixture.admitted()[0].starts_with("POST /b "));

    let fixture = Fixture::new(Proof::Authenticator).await;
    fixture
        .run(async |device| {
            let mut slot = None;
            let mut session = device.connect(&mut slot).await.unwrap();
            let sent = session
                .send(&Request::post("/a"), Chunked::new(CONTENT))
                .await;
            let consumed = HostFailure::Http(HttpError::ContentConsumed);
            assert_eq!(sent.err(), Some(consumed));
        })
        .await;
    assert_eq!(
        (fixture.statuses(), fixture.admitted()),
        (vec![401], vec![])
    );
}

#[tokio::test]
async fn readers_are_sent_on_an_authenticated_session() {
    let fixture = Fixture::new(Proof::Authenticator).await;
    let long = "0123456789".repeat(700);
    fixture
        .run(async |device| {
            let mut slot = None;
            let mut session = device.connect(&mut slot).await.unwrap();
            session.authenticate().await.unwrap();
            let content = WithLength::new(long.as_bytes(), long.len());
            let mut response = session.send(&Request::post("/a"), content).await.unwrap();
            assert_eq!(text(&mut response).await.unwrap(), long);
            // In chunks both ways.
            let content = Chunked::new(long.as_bytes());
            let request = Request::post("/chunks");
            let mut response = session.send(&request, content).await.unwrap();
            assert_eq!(response.field("content-length"), None);
            assert_eq!(text(&mut response).await.unwrap(), long);
        })
        .await;
    assert_eq!(fixture.statuses(), [401, 200, 200, 200]);
    assert_eq!(fixture.admitted()[0], "GET /get ");
}

#[tokio::test]
async fn a_password_needs_no_second_exchange() {
    let fixture = Fixture::new(Proof::Otp).await;
    fixture
        .run(async |device| {
            let mut slot = None;
            let mut session = device.connect(&mut slot).await.unwrap();
            let request = Request::post("/a");
            let mut response = session.send(&request, Chunked::new(CONTENT)).await.unwrap();
            assert_eq!(text(&mut response).await.unwrap().as_bytes(), CONTENT);
        })
        .await;
    assert_eq!(fixture.statuses(), [200]);
    assert_eq!(fixture.log.count("event=proof kind=otp"), 1);
}

/// The server would take the next request for the rest of the content.
#[tokio::test]
async fn a_session_is_spent_after_content_that_failed() {
    let fixture = Fixture::new(Proof::Otp).await;
    fixture
        .run(async |device| {
            let mut slot = None;
            let mut session = device.connect(&mut slot).await.unwrap();
            let short = WithLength::new(CONTENT, 1000);
            let sent = session.send(&Request::post("/a"), short).await;
            assert_eq!(sent.err(), Some(HostFailure::Http(HttpError::Content)));
            let sent = session.send(&Request::get("/b"), ()).await;
            assert_eq!(sent.err(), Some(HostFailure::Http(HttpError::Unread)));
        })
        .await;
    assert_eq!((fixture.statuses(), fixture.admitted()), (vec![], vec![]));
}

/// A server need not read content before it asks for a proof: this one closes the connection instead, so that no proof comes about.
#[tokio::test]
async fn long_content_needs_an_authenticated_session() {
    let fixture = Fixture::new(Proof::Authenticator).await;
    let long = "0123456789".repeat(40_000);
    let request = Request::post("/none");
    fixture
        .run(async |device| {
            {
                let mut slot = None;
                let mut session = device.connect(&mut slot).await.unwrap();
                let sent = session.send(&request, long.as_bytes()).await.err();
                let is_broken = matches!(sent, Some(Failure::Http(HttpError::Connection(_))));
                assert!(is_broken, "{sent:?}");
            }
            let mut slot = None;
            let mut session = device.connect(&mut slot).await.unwrap();
            session.authenticate().await.unwrap();
            let response = session.send(&request, long.as_bytes()).await.unwrap();
            assert_eq!(response.status(), 204);
        })
        .await;
    assert_eq!(fixture.statuses(), [401, 401, 200, 204]);
}
