//! The server around the layer.

use super::*;
use axum::{Router, routing::get};
use chanbind::gateway::{Channel, Identity, Policy, ProofLayer};
use std::net::SocketAddr;

#[tokio::test]
async fn gives_requests_their_channel_and_peer() {
    use chanbind_core::exporter::Exporter;
    let app = Router::new().route(
        "/ekm",
        get(
            |channel: axum::Extension<Channel>, peer: axum::Extension<SocketAddr>| async move {
                let mut ekm = [0; 32];
                channel
                    .exporter()
                    .export_keying_material(b"EXPORTER-test", None, &mut ekm)
                    .unwrap();
                format!("{} {ekm:?}", peer.ip())
            },
        ),
    );
    let gateway = TestGateway::serve(app).await.unwrap();
    let mut connection = gateway.connect().await.unwrap();
    let mut ekm = [0; 32];
    connection
        .channel()
        .export_keying_material(b"EXPORTER-test", None, &mut ekm)
        .unwrap();
    let request = Connection::get(&gateway.uri("/ekm").parse().unwrap()).unwrap();
    assert_eq!(
        answer(&mut connection, request).await,
        (StatusCode::OK, format!("127.0.0.1 {ekm:?}"))
    );
}

#[tokio::test]
async fn answers_500_if_a_handler_needs_an_identity_without_a_layer() {
    let app = Router::new().route(
        "/get",
        get(|identity: Identity| async move { identity.subject().to_owned() }),
    );
    let gateway = TestGateway::serve(app).await.unwrap();
    let mut connection = gateway.connect().await.unwrap();
    assert_eq!(
        answer(&mut connection, request(&gateway, "/get")).await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

/// A layer behind a server that does not say by which connection a request came.
#[tokio::test]
async fn answers_500_without_a_channel() {
    use tower::ServiceExt;
    let app: Router = Router::new()
        .route("/get", get(|| async { "in" }))
        .layer(ProofLayer::new(Policy::new().require("/", verifier())));
    let request = Request::get("/get")
        .body(axum::body::Body::empty())
        .unwrap();
    assert_eq!(
        app.oneshot(request).await.unwrap().status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

/// The client repeats the request on the same connection, as its proof is for that one.
#[tokio::test]
async fn keeps_a_connection_on_which_content_was_refused() {
    let gateway = gateway().await;
    let mut connection = gateway.connect().await.unwrap();
    let refused = |len: usize| {
        let mut request = request(&gateway, "/get");
        *request.method_mut() = axum::http::Method::POST;
        *request.body_mut() = vec![b'a'; len].into();
        request
    };
    for len in [1, 1000, 250_000] {
        let (status, _) = answer(&mut connection, refused(len)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{len}");
    }
    let request = proved(&gateway, &connection, "/get").await;
    assert_eq!(answer(&mut connection, request).await.0, StatusCode::OK);
    // Content without end is not read.
    let (status, _) = answer(&mut connection, refused(16 << 20)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let request = proved(&gateway, &connection, "/get").await;
    assert!(connection.send(request).await.is_err());
}

#[tokio::test]
async fn stops_gracefully() {
    let gateway = gateway().await;
    let mut connection = gateway.connect().await.unwrap();
    assert_eq!(
        answer(&mut connection, request(&gateway, "/get")).await.0,
        StatusCode::UNAUTHORIZED
    );
    let uri = gateway.uri("/get");
    let port = gateway.port;
    gateway.stop().await;
    let request = Connection::get(&uri.parse().unwrap()).unwrap();
    assert!(connection.send(request).await.is_err());
    assert!(
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
    );
}

/// Peers that do not speak TLS, or send nothing.
#[tokio::test]
async fn serves_others_beside_peers_that_do_not_speak_tls() {
    use tokio::io::AsyncWriteExt;
    let gateway = gateway().await;
    let mut noise = Vec::new();
    for bytes in [
        &b""[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 3, 1, 0xff, 0xff],
        &[0; 4096],
    ] {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", gateway.port))
            .await
            .unwrap();
        stream.write_all(bytes).await.unwrap();
        noise.push(stream);
    }
    let mut connection = gateway.connect().await.unwrap();
    let request = proved(&gateway, &connection, "/get").await;
    assert_eq!(answer(&mut connection, request).await.0, StatusCode::OK);
}
