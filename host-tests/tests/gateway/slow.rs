//! Clients that are slow on purpose, against each limit alone: the others are far away.

use super::{
    limits::{SHORT, Server, closed, limits},
    unread::status,
};
use axum::{Router, http::StatusCode, routing::get};
use chanbind::gateway::Limits;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

/// A limit that no test reaches.
const LONG: Duration = Duration::from_secs(60);
/// The time within which a test notices a short limit, on a busy machine too.
const SOON: Duration = Duration::from_secs(10);

/// Returns limits that no test reaches, but for those that `change` sets.
fn alone(change: impl FnOnce(&mut Limits)) -> Limits {
    limits(|limits| {
        limits.head = LONG;
        limits.body = LONG;
        limits.response = LONG;
        limits.idle = LONG;
        change(limits);
    })
}

/// Answers without reading the content of a request.
fn app() -> Router {
    let large = "x".repeat(60_000);
    let refused = get("ok").post((StatusCode::UNAUTHORIZED, "no"));
    Router::new()
        .route("/", refused)
        .route("/large", get("ok").post(large))
}

#[tokio::test]
async fn a_head_has_its_time_whether_it_is_the_first_or_not() {
    let limits = alone(|limits| limits.head = 2 * SHORT);
    let server = Server::start(app(), limits).await;
    for before in ["", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let mut stream = server.connect(b"http/1.1").await;
        stream.write_all(before.as_bytes()).await.unwrap();
        let start = Instant::now();
        // Each byte alone would be in time.
        let head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: 0123456789012345678901234567890123456789\r\n\r\n";
        for byte in head {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            let mut answer = [0; 1024];
            if let Ok(Ok(0) | Err(_)) = timeout(SHORT / 2, stream.read(&mut answer)).await {
                break;
            }
        }
        let took = start.elapsed();
        assert!(took > SHORT && took < SOON, "{took:?}");
    }
}

#[tokio::test]
async fn content_that_is_not_read_does_not_cost_the_connection() {
    let limits = alone(|limits| limits.head = SHORT);
    let server = Server::start(app(), limits).await;
    let mut stream = server.connect(b"http/1.1").await;
    let head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n";
    stream.write_all(head).await.unwrap();
    assert_eq!(status(&mut stream).await, Some(401));
    // The content is still to come, for longer than a head has.
    for byte in b"abc" {
        sleep(SHORT).await;
        stream.write_all(&[*byte]).await.unwrap();
    }
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    assert_eq!(status(&mut stream).await, Some(200));
}

/// A client that has the server begin requests whose responses it leaves no room for.
#[tokio::test]
async fn requests_behind_responses_that_are_not_read_end() {
    let limits = alone(|limits| limits.response = 2 * SHORT);
    let server = Server::start(app(), limits).await;
    let mut stream = server.connect(b"http/1.1").await;
    let head = b"POST /large HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n";
    // More than the buffers of both ends have.
    for _ in 0..400 {
        let sent = timeout(SHORT / 10, async {
            stream.write_all(head).await?;
            sleep(Duration::from_millis(1)).await;
            stream.write_all(b"x").await
        });
        if let Ok(Err(_)) = sent.await {
            break;
        }
    }
    sleep(10 * SHORT).await;
    let took = closed(&mut stream).await;
    assert!(took < SOON, "{took:?}");
}
