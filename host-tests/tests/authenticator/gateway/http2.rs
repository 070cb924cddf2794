//! The same fields in HTTP/2, where requests of one connection are under way together.

use super::{Fixture, app, credentials};
use axum::http::{HeaderValue, Request, header};
use chanbind::{gateway, proof::authenticator::header_fields, tls};
use chanbind_core::authenticator::{Client, Endpoint, Request as AuthenticatorRequest};
use chanbind_host_tests::{
    client::{authenticate, challenged},
    pki::Pki,
};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tower::Layer;

type Requests = SendRequest<Empty<bytes::Bytes>>;

async fn get(
    requests: &mut Requests,
    authorization: Option<HeaderValue>,
) -> (u16, String, Option<Vec<u8>>) {
    let mut request = Request::get("https://localhost/get")
        .body(Empty::new())
        .unwrap();
    if let Some(value) = authorization {
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    let response = requests.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let challenge = challenged(response.headers());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap(), challenge)
}

#[tokio::test]
async fn one_proof_serves_all_requests_of_a_connection() {
    let fixture = Fixture::start().await;
    let device = credentials(&fixture.device("urn:device:1"));
    let pki = Pki::new().unwrap();
    let mut server =
        tls::server_config_from_pem(pki.certificate.as_bytes(), pki.key.as_bytes()).unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = fixture.layer.layer(app());
    let task = tokio::spawn(gateway::serve(
        listener,
        server,
        served,
        std::future::pending(),
    ));

    let roots = tls::roots_from_pem(pki.ca.as_bytes()).unwrap();
    let mut client = tls::client_config(roots).unwrap();
    client.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let stream = connector.connect(name, stream).await.unwrap();
    let exporter = tls::RustlsExporter::new(stream.get_ref().1);
    let mut end = Endpoint::<Client>::new(&exporter).unwrap();
    let (mut requests, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let driver = tokio::spawn(connection);

    // All that are under way together are asked the same.
    let mut others = [requests.clone(), requests.clone()];
    let [one, two] = &mut others;
    let (one, two) = tokio::join!(get(one, None), get(two, None));
    assert_eq!((one.0, two.0), (401, 401));
    assert_eq!(one.2, two.2);
    let challenge = one.2.unwrap();
    let request = AuthenticatorRequest::parse(&challenge).unwrap();
    let authenticator = authenticate(&device, &mut end, &request).await.unwrap();
    let value = header_fields::credentials(&authenticator);
    // Sent with both, it is looked at once, and both are admitted.
    let [one, two] = &mut others;
    let (one, two) = tokio::join!(get(one, Some(value.clone())), get(two, Some(value)));
    assert_eq!((one.0, two.0), (200, 200));
    let (status, body, _) = get(&mut requests, None).await;
    assert_eq!((status, body.as_str()), (200, "ok urn:device:1"));
    driver.abort();
    task.abort();
}
