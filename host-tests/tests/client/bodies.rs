//! Contents of requests and responses, in memory and as streams.

use super::*;
use axum::http::StatusCode;
use chanbind::client::ClientError;
use chanbind_core::proof::Outcome;
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test]
async fn streams_a_request_piece_by_piece() {
    let fixture = Fixture::start().await;
    let mut session = fixture.otp(Form::Jws).await;
    let (feed, pieces) = mpsc::channel(1);
    let (received, mut seen) = mpsc::channel(1);
    *fixture.shared.received.lock().unwrap() = Some(received);
    let body = RequestBody::stream(stream(pieces));
    let sending = session.send(fixture.request(Method::POST, "/otp/upload", body));
    let feeding = async {
        // Each piece is there before the next one exists.
        for piece in ["one", "two", "three"] {
            feed.send(piece.into()).await.unwrap();
            assert_eq!(next(&mut seen).await, piece);
        }
        drop(feed);
    };
    let (answer, ()) = tokio::join!(sending, feeding);
    assert_eq!(text(answer.unwrap().response.into_body()).await, "11");
}

#[tokio::test]
async fn streams_a_response_piece_by_piece() {
    let fixture = Fixture::start().await;
    let mut session = fixture.certificate().await;
    for _ in 0..2 {
        let (feed, pieces) = mpsc::channel(1);
        *fixture.shared.pieces.lock().unwrap() = Some(pieces);
        let request = fixture.request(Method::GET, "/certificate/pieces", RequestBody::empty());
        // The head is there before any piece of the content.
        let answer = session.send(request).await.unwrap();
        assert_eq!(answer.response.status(), StatusCode::OK);
        let mut body = answer.response.into_body();
        for piece in ["one", "two", "three"] {
            feed.send(piece.into()).await.unwrap();
            let frame = timeout(LIMIT, body.frame()).await.unwrap().unwrap();
            assert_eq!(frame.unwrap().into_data().unwrap(), piece);
        }
        drop(feed);
        assert!(timeout(LIMIT, body.frame()).await.unwrap().is_none());
    }
}

/// The gateway asks for an authenticator when it has seen the head of the request.
#[tokio::test]
async fn sends_content_again_after_a_challenge() {
    let fixture = Fixture::start().await;
    for len in [1, 1000, 250_000] {
        let mut session = fixture.certificate().await;
        let content = "a".repeat(len);
        let request = fixture.request(Method::POST, "/certificate/echo", content.clone().into());
        let answer = session.send(request).await.unwrap();
        assert_eq!(answer.outcome, Outcome::Proved);
        assert_eq!(
            text(answer.response.into_body()).await,
            format!("POST {content}")
        );
    }
}

#[tokio::test]
async fn makes_a_repeatable_stream_again_after_a_challenge() {
    let fixture = Fixture::start().await;
    let mut session = fixture.certificate().await;
    let made = Arc::new(AtomicUsize::new(0));
    for expected in [2, 3] {
        let count = Arc::clone(&made);
        let body = RequestBody::repeatable(move || {
            count.fetch_add(1, Ordering::Relaxed);
            let pieces =
                ["one", "two", "three"].map(|piece| Ok::<_, Infallible>(Bytes::from(piece)));
            Body::from_stream(futures_util::stream::iter(pieces))
        });
        let request = fixture.request(Method::PUT, "/certificate/echo", body);
        let answer = session.send(request).await.unwrap();
        assert_eq!(text(answer.response.into_body()).await, "PUT onetwothree");
        // The second request needs no proof any more.
        assert_eq!(made.load(Ordering::Relaxed), expected);
    }
}

fn stream_once() -> RequestBody {
    let pieces = [Ok::<_, Infallible>(Bytes::from("once"))];
    RequestBody::stream(Body::from_stream(futures_util::stream::iter(pieces)))
}

#[tokio::test]
async fn does_not_send_a_stream_twice_and_names_the_remedy() {
    let fixture = Fixture::start().await;
    let post = || fixture.request(Method::POST, "/certificate/echo", stream_once());
    let mut session = fixture.certificate().await;
    let error = session.send(post()).await.unwrap_err();
    let consumed = SessionError::Client(ClientError::BodyConsumed);
    assert_eq!(error.to_string(), consumed.to_string());
    assert!(
        error
            .to_string()
            .contains("authenticate the connection first")
    );
    assert_eq!(fixture.peers().len(), 0);

    // The remedy.
    let mut session = fixture.certificate().await;
    let uri = fixture.gateway.uri("/certificate/echo").parse().unwrap();
    assert_eq!(session.authenticate(&uri).await.unwrap(), Outcome::Proved);
    let answer = session.send(post()).await.unwrap();
    assert_eq!(answer.outcome, Outcome::Proved);
    assert_eq!(text(answer.response.into_body()).await, "POST once");
}

/// A one-time password goes with the first request, so that nothing is sent twice.
#[tokio::test]
async fn sends_a_stream_at_once_with_a_one_time_password() {
    let fixture = Fixture::start().await;
    for form in [Form::ApiKey, Form::Jws, Form::Nested] {
        let mut session = fixture.otp(form).await;
        for _ in 0..2 {
            let request = fixture.request(Method::POST, "/otp/echo", stream_once());
            let answer = session.send(request).await.unwrap();
            assert_eq!(text(answer.response.into_body()).await, "POST once");
        }
    }
}

/// A gateway reads little of a request that it refuses, and closes the connection instead.
#[tokio::test]
async fn names_the_remedy_for_large_content() {
    let fixture = Fixture::start().await;
    let post = || {
        let content = vec![b'a'; 16 << 20];
        fixture.request(Method::POST, "/certificate/upload", content.into())
    };
    let mut session = fixture.certificate().await;
    match session.send(post()).await {
        Err(SessionError::Client(error @ ClientError::ClosedAfterChallenge(_))) => {
            assert!(
                error
                    .to_string()
                    .contains("authenticate the connection first")
            );
        }
        other => panic!("{other:?}"),
    }
    let mut session = fixture.certificate().await;
    let uri = fixture.gateway.uri("/certificate/echo").parse().unwrap();
    assert_eq!(session.authenticate(&uri).await.unwrap(), Outcome::Proved);
    let answer = session.send(post()).await.unwrap();
    let expected = (16 << 20).to_string();
    assert_eq!(text(answer.response.into_body()).await, expected);
}
