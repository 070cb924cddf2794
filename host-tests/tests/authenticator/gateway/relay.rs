//! A man in the middle with two TLS connections of its own: one that the device takes for the gateway's, as the device trusts the
//! authority of its certificate too, and one to the gateway. It hands every byte of HTTP on.

use super::{Fixture, credentials, is, seen};
use chanbind::{
    client::{ConnectOptions, Connection},
    tls,
};
use chanbind_host_tests::{client::TestClient, pki::Pki};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A relay on a free port: its port, and the authority of its certificate.
async fn relay(fixture: &Fixture) -> (u16, String, tokio::task::JoinHandle<()>) {
    let own = Pki::new().unwrap();
    let server =
        tls::server_config_from_pem(own.certificate.as_bytes(), own.key.as_bytes()).unwrap();
    let roots = tls::roots_from_pem(fixture.gateway.pki.ca.as_bytes()).unwrap();
    let client = tls::client_config(roots).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let gateway = fixture.gateway.port;
    let task = tokio::spawn(async move {
        let (acceptor, connector) = (
            TlsAcceptor::from(Arc::new(server)),
            TlsConnector::from(Arc::new(client)),
        );
        while let Ok((device, _)) = listener.accept().await {
            let (acceptor, connector) = (acceptor.clone(), connector.clone());
            tokio::spawn(async move {
                let mut device = acceptor.accept(device).await.unwrap();
                let gateway = TcpStream::connect(("127.0.0.1", gateway)).await.unwrap();
                let name = ServerName::try_from("localhost").unwrap();
                let mut gateway = connector.connect(name, gateway).await.unwrap();
                let _ = copy_bidirectional(&mut device, &mut gateway).await;
            });
        }
    });
    (port, own.ca, task)
}

#[tokio::test]
async fn an_authenticator_is_not_relayed() {
    let fixture = Fixture::start().await;
    let device = credentials(&fixture.device("urn:device:1"));
    let (port, ca, task) = relay(&fixture).await;
    let roots = tls::roots_from_pem(ca.as_bytes()).unwrap();
    let config = tls::client_config(roots).unwrap();
    let options = ConnectOptions::default();
    let connection = Connection::open("localhost", port, config, &options).await;
    let mut connection = TestClient::new(connection.unwrap());
    // What needs no proof passes: the relay works.
    let open = connection.send(fixture.request("/open")).await.unwrap();
    assert_eq!(seen(&open), is(200, "open false"));
    // The device answers the gateway's own request, on the connection that it has: the relay's.
    for _ in 0..2 {
        let response = connection.send_with(fixture.request("/get"), Some(&device));
        assert_eq!(response.await.unwrap().status(), 401);
    }
    // Nor does the gateway prove its second identity through it.
    let seconds = super::trust(&fixture.seconds);
    let mut request = fixture.request("/open");
    let asked = connection.ask(&mut request, None, &seconds).unwrap();
    let response = connection.send(request).await.unwrap();
    assert!(connection.proved(asked, &response).is_err());
    // Without the relay both do.
    let mut direct = fixture.gateway.connect().await.unwrap();
    let response = direct.send_with(fixture.request("/get"), Some(&device));
    assert_eq!(seen(&response.await.unwrap()), is(200, "ok urn:device:1"));
    task.abort();
}
