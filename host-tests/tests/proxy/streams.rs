//! Bodies that are passed on while they arrive.

use super::*;
use axum::routing::{get as on_get, post};
use bytes::Bytes;
use futures_util::StreamExt;
use std::{convert::Infallible, time::Duration};
use tokio::sync::mpsc;

fn stream_of(receiver: mpsc::Receiver<Bytes>) -> Body {
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async {
        let piece = receiver.recv().await?;
        Some((Ok::<_, Infallible>(piece), receiver))
    });
    Body::from_stream(pieces)
}

#[tokio::test]
async fn a_response_arrives_piece_by_piece() {
    let (send, receive) = mpsc::channel(1);
    let once = Arc::new(std::sync::Mutex::new(Some(receive)));
    let app = Router::new().route(
        "/events",
        on_get(move || {
            let receive = once.lock().unwrap().take();
            async move { stream_of(receive.unwrap()) }
        }),
    );
    let server = Server::start(app).await;
    let gateway = gateway_for(server.upstream()).await;
    let mut session = session(&gateway).await;
    let answer = session.send(get(&gateway, "/events")).await.unwrap();
    let mut body = Body::new(answer.response.into_body()).into_data_stream();
    for piece in ["one", "two", "three"] {
        // The next piece does not exist before this one has arrived.
        send.send(Bytes::from_static(piece.as_bytes()))
            .await
            .unwrap();
        assert_eq!(body.next().await.unwrap().unwrap(), piece);
    }
    drop(send);
    assert!(body.next().await.is_none());
    gateway.stop().await;
}

#[tokio::test]
async fn a_request_arrives_piece_by_piece() {
    let (seen, mut pieces) = mpsc::channel(1);
    let app = Router::new().route(
        "/upload",
        post(move |body: Body| {
            let seen = seen.clone();
            async move {
                let mut body = body.into_data_stream();
                let mut len = 0;
                while let Some(Ok(piece)) = body.next().await {
                    len += piece.len();
                    let _ = seen.send(piece).await;
                }
                len.to_string()
            }
        }),
    );
    let server = Server::start(app).await;
    let gateway = gateway_for(server.upstream()).await;
    let mut session = session(&gateway).await;
    let (send, receive) = mpsc::channel(1);
    let mut request = get(&gateway, "/upload").map(|_| RequestBody::stream(stream_of(receive)));
    *request.method_mut() = axum::http::Method::POST;
    let answering = tokio::spawn(async move { session.send(request).await.unwrap() });
    for piece in ["one", "two", "three"] {
        send.send(Bytes::from_static(piece.as_bytes()))
            .await
            .unwrap();
        assert_eq!(pieces.recv().await.unwrap(), piece);
    }
    drop(send);
    let answer = answering.await.unwrap();
    let body = answer.response.into_body().bytes(100).await.unwrap();
    assert_eq!(body, "11");
    gateway.stop().await;
}

/// A long upload and download at once need no more memory than a few pieces: neither end is read faster than the other takes it.
#[tokio::test]
async fn neither_end_is_read_faster_than_the_other_takes() {
    let app = Router::new().route(
        "/upload",
        // Reads one piece, and then nothing for a while.
        post(|body: Body| async {
            let mut body = body.into_data_stream();
            let _ = body.next().await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            let rest = body.fold(0, |len, piece| async move { len + piece.unwrap().len() });
            rest.await.to_string()
        }),
    );
    let server = Server::start(app).await;
    let proxy = ReverseProxy::new(server.upstream(), IdentityFields::default());
    let gateway = gateway(proxy.with_max_content(1 << 30)).await;
    let mut session = session(&gateway).await;
    let (send, receive) = mpsc::channel(1);
    let mut request = get(&gateway, "/upload").map(|_| RequestBody::stream(stream_of(receive)));
    *request.method_mut() = axum::http::Method::POST;
    let answering = tokio::spawn(async move { session.send(request).await.unwrap() });
    let piece = Bytes::from(vec![7; 1 << 20]);
    let mut sent = 0;
    while sent < 64 {
        match tokio::time::timeout(Duration::from_millis(200), send.send(piece.clone())).await {
            Ok(result) => result.unwrap(),
            Err(_) => break,
        }
        sent += 1;
    }
    // Sockets and TLS hold some, and the proxy a little.
    assert!(
        sent < 40,
        "{sent} MiB were taken from the client that the upstream has not read"
    );
    drop(send);
    let answer = answering.await.unwrap();
    assert_eq!(answer.response.status(), StatusCode::OK);
    gateway.stop().await;
}

/// A response that pauses for too long ends, and the client learns that it is not complete.
#[tokio::test]
async fn a_response_that_pauses_for_too_long_is_cut() {
    let pausing = || {
        let first = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"one"))]);
        Body::from_stream(first.chain(futures_util::stream::pending()))
    };
    let server = Server::start(answering(pausing)).await;
    let proxy = ReverseProxy::new(server.upstream(), IdentityFields::default());
    let gateway = gateway(proxy.with_idle_limit(Duration::from_millis(200))).await;
    let mut session = session(&gateway).await;
    let answer = session.send(get(&gateway, "/")).await.unwrap();
    let mut body = Body::new(answer.response.into_body()).into_data_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), "one");
    assert!(body.next().await.unwrap().is_err());
    gateway.stop().await;
}
