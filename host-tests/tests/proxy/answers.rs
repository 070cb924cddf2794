//! Answers of the proxy itself.

use super::*;
use std::time::Duration;

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_or_used_gives_502() {
    // A port on which nothing listens, because the listener is closed.
    let closed = Server::start(mirror()).await;
    let upstream = closed.upstream();
    drop(closed);
    let gateway = gateway_for(upstream).await;
    let (status, text) = answered(&gateway, get(&gateway, "/")).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    // The client is not told where the upstream is.
    assert_eq!(text, "the server behind this gateway does not answer\n");
    gateway.stop().await;

    // A server that does not speak HTTP.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::AsyncWriteExt;
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        }
    });
    let upstream = Upstream::parse(&format!("http://{address}")).unwrap();
    let gateway = gateway_for(upstream).await;
    let (status, _) = answered(&gateway, get(&gateway, "/")).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    gateway.stop().await;
    task.abort();
}

#[tokio::test]
async fn an_upstream_that_is_silent_gives_504() {
    let silent = Router::new().fallback(std::future::pending::<()>);
    let server = Server::start(silent).await;
    let proxy = ReverseProxy::new(server.upstream(), IdentityFields::default());
    let gateway = gateway(proxy.with_response_limit(Duration::from_millis(200))).await;
    let (status, _) = answered(&gateway, get(&gateway, "/")).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    gateway.stop().await;
}

#[tokio::test]
async fn content_that_is_too_long_gives_413() {
    let server = Server::start(mirror()).await;
    let proxy = ReverseProxy::new(server.upstream(), IdentityFields::default());
    let gateway = gateway(proxy.with_max_content(1000)).await;
    for (len, is_chunked) in [(1000, false), (1001, false), (1000, true), (1001, true)] {
        let bytes = vec![7; len];
        let content = if is_chunked {
            RequestBody::repeatable(move || {
                Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(
                    bytes.clone(),
                )]))
            })
        } else {
            bytes.into()
        };
        let mut request = get(&gateway, "/").map(|_| content);
        *request.method_mut() = axum::http::Method::POST;
        let (status, text) = answered(&gateway, request).await;
        if len > 1000 {
            assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{is_chunked}");
        } else {
            let seen: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(seen["len"], len, "{is_chunked}");
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn methods_that_are_for_proxies_give_405() {
    let server = Server::start(mirror()).await;
    let gateway = gateway_for(server.upstream()).await;
    let mut client = gateway.connect().await.unwrap();
    let mut request = get(&gateway, "/open");
    *request.method_mut() = axum::http::Method::TRACE;
    let response = client.send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.body(), "this method is not passed on\n");
    gateway.stop().await;
}

/// Answers of the upstream are its own, also errors.
#[tokio::test]
async fn the_upstreams_answers_are_passed_on() {
    let app = Router::new().fallback(|| async {
        let fields = [
            ("x-own", "1"),
            ("keep-alive", "timeout=5"),
            ("www-authenticate", "Basic realm=\"app\""),
        ];
        (StatusCode::UNAUTHORIZED, fields, "of the application")
    });
    let server = Server::start(app).await;
    let gateway = gateway_for(server.upstream()).await;
    let mut client = gateway.connect().await.unwrap();
    let response = client.send(get(&gateway, "/open")).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["x-own"], "1");
    assert_eq!(
        response.headers()["www-authenticate"],
        "Basic realm=\"app\""
    );
    assert!(!response.headers().contains_key("keep-alive"));
    assert_eq!(response.body(), "of the application");
    gateway.stop().await;
}
