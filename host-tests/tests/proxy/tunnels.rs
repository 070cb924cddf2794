//! WebSockets through the proxy.

use super::*;
use axum::extract::ws::{Message as ServerMessage, WebSocketUpgrade};
use chanbind::{
    gateway::Identity,
    tls::{self, SharedStream},
};
use chanbind_host_tests::client::{begin, fields};
use futures_util::{SinkExt, StreamExt};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

type Socket = WebSocketStream<SharedStream<TlsStream<TcpStream>>>;

/// An application that sends messages back, and counts its open sockets.
fn echo(open: &Arc<AtomicUsize>) -> Router {
    let open = Arc::clone(open);
    Router::new().fallback(move |upgrade: WebSocketUpgrade| {
        let open = Arc::clone(&open);
        std::future::ready(
            upgrade
                .protocols(["echo"])
                .on_upgrade(move |mut socket| async move {
                    open.fetch_add(1, Ordering::SeqCst);
                    while let Some(Ok(message)) = socket.recv().await {
                        if let ServerMessage::Text(_) | ServerMessage::Binary(_) = &message
                            && socket.send(message).await.is_err()
                        {
                            break;
                        }
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                }),
        )
    })
}

/// Opens a WebSocket with a proof of `client1`, or without one.
async fn connect(gateway: &TestGateway, has_proof: bool) -> Result<Socket, Error> {
    let roots = tls::roots_from_pem(gateway.pki.ca.as_bytes()).unwrap();
    let connector = TlsConnector::from(Arc::new(tls::client_config(roots).unwrap()));
    let stream = TcpStream::connect(("127.0.0.1", gateway.port))
        .await
        .unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = SharedStream::new(connector.connect(name, stream).await.unwrap());
    let mut request = format!("wss://localhost:{}/socket", gateway.port).into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", HeaderValue::from_static("echo"));
    if has_proof {
        let client = ClientId::new("client1").unwrap();
        let mut prover = otp::prover(&Settings::default(), client, Form::Jws);
        begin(&mut prover, &stream, &HmacSha256::new(SECRET))
            .await
            .unwrap();
        let own = fields(&mut prover, &get(gateway, "/socket")).unwrap();
        for (name, value) in own.0 {
            let name: HeaderName = name.parse().unwrap();
            headers.insert(name, value.parse().unwrap());
        }
    }
    let (socket, response) = client_async(request, stream).await?;
    assert_eq!(response.headers()["sec-websocket-protocol"], "echo");
    Ok(socket)
}

async fn echoes(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
}

/// Waits until the connection has been closed.
async fn closed(socket: &mut Socket) {
    while let Some(Ok(_)) = socket.next().await {}
}

async fn wait_for(open: &AtomicUsize, count: usize) {
    for _ in 0..500 {
        if open.load(Ordering::SeqCst) == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} sockets are open", open.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_both_ways() {
    let open = Arc::new(AtomicUsize::new(0));
    let server = Server::start(echo(&open)).await;
    let gateway = gateway_for(server.upstream()).await;
    let refused = connect(&gateway, false).await.unwrap_err();
    assert!(matches!(refused, Error::Http(response) if response.status() == 401));
    let mut socket = connect(&gateway, true).await.unwrap();
    echoes(&mut socket, "one").await;
    let long = "x".repeat(1 << 20);
    echoes(&mut socket, &long).await;
    wait_for(&open, 1).await;
    socket.close(None).await.unwrap();
    closed(&mut socket).await;
    wait_for(&open, 0).await;
    gateway.stop().await;
}

/// A tunnel ends with its client's admission, with the gateway, and after silence.
#[tokio::test(flavor = "multi_thread")]
async fn tunnels_have_an_end() {
    let open = Arc::new(AtomicUsize::new(0));
    let server = Server::start(echo(&open)).await;
    let proxy = ReverseProxy::new(server.upstream(), IdentityFields::default());
    let layer = layer();
    let app = layer.layer(proxy.with_idle_limit(Duration::from_millis(500)));
    let gateway = TestGateway::serve(app).await.unwrap();

    let mut socket = connect(&gateway, true).await.unwrap();
    echoes(&mut socket, "one").await;
    assert_eq!(
        layer.close_where(|identity: &Identity| identity.subject() == "client1"),
        1
    );
    closed(&mut socket).await;
    wait_for(&open, 0).await;

    let mut socket = connect(&gateway, true).await.unwrap();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        echoes(&mut socket, "not silent").await;
    }
    closed(&mut socket).await;
    wait_for(&open, 0).await;

    let mut socket = connect(&gateway, true).await.unwrap();
    echoes(&mut socket, "two").await;
    let stopping = tokio::spawn(gateway.stop());
    closed(&mut socket).await;
    wait_for(&open, 0).await;
    stopping.await.unwrap();
}

/// Another protocol than WebSocket is not passed on: `h2c` would let requests through that no policy has seen.
#[tokio::test]
async fn other_protocols_are_not_switched_to() {
    let server = Server::start(mirror()).await;
    let gateway = gateway_for(server.upstream()).await;
    for upgrade in ["h2c", "TLS/1.2", "websocket, h2c"] {
        let fields = [("connection", "upgrade"), ("upgrade", upgrade)];
        let request = with_fields(get(&gateway, "/"), &fields);
        let seen = mirrored(&gateway, request).await;
        assert_eq!(seen["headers"]["upgrade"], Value::Null, "{upgrade}");
        assert_eq!(seen["headers"]["connection"], Value::Null, "{upgrade}");
    }
    gateway.stop().await;
}
