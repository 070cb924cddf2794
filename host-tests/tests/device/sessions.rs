//! Requests and responses on one session.

use super::*;
use chanbind_device::http::Method as DeviceMethod;
use std::time::{Duration, Instant};

#[tokio::test]
async fn responses_of_all_kinds_follow_each_other() {
    let fixture = Fixture::new(Proof::Otp).await;
    let content = "x".repeat(3000);
    fixture
        .run(async |device| {
            let mut slot = None;
            let mut session = device.connect(&mut slot).await.unwrap();
            for (method, path, status, expected) in [
                (DeviceMethod::POST, "/a", 200, content.as_str()),
                (DeviceMethod::PUT, "/none", 204, ""),
                (DeviceMethod::PATCH, "/chunks", 200, &content),
                (DeviceMethod::HEAD, "/a", 200, ""),
                (DeviceMethod::POST, "/missing", 404, &content),
                (DeviceMethod::DELETE, "/chunks?a=b", 200, &content),
            ] {
                let fields = [("x-request", "1")];
                let request = Request {
                    method,
                    path,
                    fields: &fields,
                };
                let content = match method {
                    DeviceMethod::HEAD => &[],
                    _ => content.as_bytes(),
                };
                let mut response = session.send(&request, content).await.unwrap();
                assert_eq!(response.status(), status, "{path}");
                assert_eq!(text(&mut response).await.unwrap(), expected, "{path}");
            }
        })
        .await;
    assert_eq!(fixture.admitted().len(), 6);
    assert_eq!(fixture.log.count("event=tls-open"), 1);
    // Not that of the status 404.
    assert_eq!(fixture.log.count("event=admitted"), 5);
}

#[tokio::test]
async fn content_must_be_read_or_dropped_before_the_next_request() {
    let fixture = Fixture::new(Proof::Otp).await;
    fixture
        .run(async |device| {
            let mut slot = None;
            let mut session = device.connect(&mut slot).await.unwrap();
            let request = Request::post("/chunks");
            let mut response = session.send(&request, &[b'x'; 3000][..]).await.unwrap();
            assert_eq!(response.read(&mut [0; 10]).await, Ok(10));
            assert_eq!(response.discard().await, Ok(2990));
            let mut response = session.send(&request, &b"hello"[..]).await.unwrap();
            assert_eq!(response.read(&mut [0; 2]).await, Ok(2));
            let sent = session.send(&Request::get("/a"), ()).await;
            assert_eq!(sent.err(), Some(HostFailure::Http(HttpError::Unread)));
        })
        .await;
    assert_eq!(fixture.statuses(), [200, 200]);
}

#[tokio::test]
async fn an_invalid_request_is_not_sent_and_harms_nothing() {
    let fixture = Fixture::new(Proof::Otp).await;
    fixture
        .run(async |device| {
            let mut slot = None;
            let mut session = device.connect(&mut slot).await.unwrap();
            let fields = [("content-length", "1")];
            for request in [
                Request::get("a"),
                Request::get("/a HTTP/1.1\r\nx: y"),
                Request::post("/a").with_fields(&fields),
            ] {
                let sent = session.send(&request, ()).await;
                let invalid = HostFailure::Http(HttpError::InvalidRequest);
                assert_eq!(sent.err(), Some(invalid));
            }
            let response = session.send(&Request::get("/a"), ()).await.unwrap();
            assert_eq!(response.status(), 200);
        })
        .await;
    assert_eq!(fixture.admitted(), ["GET /a "]);
}

#[tokio::test]
async fn the_last_response_of_a_connection_is_read_and_ends_the_session() {
    let fixture = Fixture::new(Proof::Otp).await;
    fixture
        .run(async |device| {
            for _ in 0..2 {
                let mut slot = None;
                let mut session = device.connect(&mut slot).await.unwrap();
                let request = Request::post("/close");
                let mut response = session.send(&request, &b"hello"[..]).await.unwrap();
                assert_eq!(text(&mut response).await.unwrap(), "hello");
                let sent = session.send(&Request::get("/a"), ()).await;
                assert_eq!(sent.err(), Some(HostFailure::Http(HttpError::Closed)));
            }
        })
        .await;
    assert_eq!(fixture.statuses(), [200, 200]);
    assert_eq!(fixture.log.count("event=proof"), 2);
}

#[tokio::test]
async fn content_that_stalls_is_given_up() {
    let fixture = Fixture::new(Proof::Otp).await;
    fixture
        .run(async |device| {
            let limit = Duration::from_millis(u64::from(device.config().step_timeout_ms));
            let mut slot = None;
            let mut session = device.connect(&mut slot).await.unwrap();
            let request = Request::post("/stall");
            let mut response = session.send(&request, &b"hello"[..]).await.unwrap();
            assert_eq!(response.read(&mut [0; 10]).await, Ok(5));
            let begin = Instant::now();
            let read = response.read(&mut [0; 10]).await;
            assert_eq!(read, Err(HttpError::TimedOut));
            assert!((limit..limit * 2).contains(&begin.elapsed()));
        })
        .await;
}

#[tokio::test]
async fn a_refused_proof_spends_the_session() {
    let fixture = Fixture::with_secret_at_gateway(b"another key").await;
    fixture
        .run(async |device| {
            let mut slot = None;
            let mut session = device.connect(&mut slot).await.unwrap();
            let sent = session.send(&Request::get("/a"), ()).await;
            assert_eq!(sent.err(), Some(HostFailure::Refused { status: 401 }));
            let sent = session.send(&Request::get("/a"), ()).await;
            assert_eq!(sent.err(), Some(HostFailure::Http(HttpError::Unread)));
        })
        .await;
    assert_eq!(
        (fixture.statuses(), fixture.admitted()),
        (vec![401], vec![])
    );
}
