//! The server around the layer.

use super::*;
use axum::{Router, routing::get};
use chanbind::gateway::{Channel, Identity, ProofLayer};
use std::net::SocketAddr;

#[tokio::test]
async fn requests_know_their_connection() {
    use chanbind::core::exporter::Exporter;
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
async fn a_handler_without_the_layer_gets_no_identity() {
    let app = Router::new().route(
        "/get",
        get(|who: Identity| async move { who.client().to_owned() }),
    );
    let gateway = TestGateway::serve(app).await.unwrap();
    let mut connection = gateway.connect().await.unwrap();
    assert_eq!(
        answer(&mut connection, request(&gateway)).await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

/// A layer behind a server that does not say which connection a request came by lets nothing through.
#[tokio::test]
async fn a_layer_without_a_channel_lets_nothing_through() {
    use tower::ServiceExt;
    let app: Router = Router::new()
        .route("/get", get(|| async { "in" }))
        .layer(ProofLayer::new(registry(), Settings::default()));
    let request = Request::get("/get")
        .body(axum::body::Body::empty())
        .unwrap();
    assert_eq!(
        app.oneshot(request).await.unwrap().status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

#[tokio::test]
async fn it_stops_in_order() {
    let gateway = gateway(Settings::default()).await;
    let mut connection = gateway.connect().await.unwrap();
    assert_eq!(
        answer(&mut connection, request(&gateway)).await.0,
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

/// Peers that are no TLS clients, or say nothing, do not keep others from being served.
#[tokio::test]
async fn noise_on_the_port() {
    use tokio::io::AsyncWriteExt;
    let settings = Settings::default();
    let gateway = gateway(settings.clone()).await;
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
    let request = proved(
        &gateway,
        &settings,
        &connection,
        Form::ApiKey,
        "client1",
        SECRET,
    )
    .await;
    assert_eq!(answer(&mut connection, request).await.0, StatusCode::OK);
}

#[test]
fn registries() {
    let entry = Registry::entry(ClientId::new(r#"a.b"c\d"#).unwrap(), SECRET);
    assert_eq!(Registry::from_toml(&entry).unwrap().len(), 1);
    for (text, what) in [
        ("", "line 1, column 1"),
        ("[clients]", "no clients"),
        ("x", "[clients.NAME]"),
        ("[clients.a]\nhmac_sha256 = \"***\"", "not base64"),
        ("[clients.a]\nhmac_sha256 = \"\"", "empty"),
        (
            "[clients.a]\nhmac_sha265 = \"AAAA\"",
            "line 2, column 1, client \"a\"",
        ),
        ("[clients]\nclient1 = \"AAAA\"", "line 2, column 11"),
        ("client1 = \"AAAA\"", "line 1, column 1"),
        ("[clients.a]\nhmac_sha256 = \"AAAA", "line 2"),
        (
            "[clients.a]\nhmac_sha256 = AAAA",
            "line 2, column 15, client \"a\"",
        ),
        ("[clients.a]\nAAAA==", "line 2"),
        ("[clients.a]\nhmac_sha256 = [\"AAAA\"]", "client \"a\""),
        (
            "[clients.\"b c\"]\nhmac_sha256 = \"AA\"\nkey = \"AAAA\"",
            "line 3, column 1, client \"b c\"",
        ),
        ("[clients.\"\"]\nhmac_sha256 = \"AAAA\"", "empty"),
        (
            "[clients.a]\nhmac_sha256 = \"AAAA\"\n[clients.a]\nhmac_sha256 = \"BBBB\"",
            "line 3",
        ),
    ] {
        let message = Registry::from_toml(text).unwrap_err().to_string();
        assert!(message.contains(what), "{text:?}: {message}");
        assert!(!message.contains("AAAA"), "no key in a message");
    }
    let twice = ["a", "a"].map(|id| (id.to_owned(), ClientKey::secret(b"k")));
    assert!(
        Registry::new(twice)
            .unwrap_err()
            .to_string()
            .contains("twice")
    );
    assert!(!format!("{:?}", Registry::from_toml(&entry).unwrap()).contains("my_api_key"));
}
