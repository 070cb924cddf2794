//! The other servers: the one behind proxies, a proxy without authentication, and TLS without HTTP.

use crate::Outcome;
use axum::{
    body::Body,
    http::{Request, Response, StatusCode, Uri, uri::Scheme},
};
use bytes::Bytes;
use chanbind::tls::server_config_from_pem;
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use std::{convert::Infallible, fs, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// The length of the response to `/large`, in bytes.
pub(crate) const LARGE: usize = 64 * 1024 * 1024;

async fn listen(port: u16) -> Outcome<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}

/// Serves plain HTTP/1.1: the server behind both proxies.
pub(crate) async fn upstream(port: u16) -> Outcome<()> {
    let listener = listen(port).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service_fn(|request: Request<Incoming>| async move {
            let content = match request.uri().path() {
                "/large" => Bytes::from(vec![0; LARGE]),
                _ => Bytes::from_static(b"ok"),
            };
            Ok::<_, Infallible>(Response::new(Full::new(content)))
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

fn acceptor(certificate: &str, key: &str) -> Outcome<TlsAcceptor> {
    let tls = server_config_from_pem(&fs::read(certificate)?, &fs::read(key)?)?;
    Ok(TlsAcceptor::from(Arc::new(tls)))
}

/// Serves a proxy of hyper's server and hyper-util's client, with the same TLS configuration and no authentication.
pub(crate) async fn plain_proxy(certificate: &str, key: &str, upstream: u16) -> Outcome<()> {
    let acceptor = acceptor(certificate, key)?;
    let client: Client<_, Body> = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build_http();
    let authority = format!("127.0.0.1:{upstream}");
    let listener = listen(0).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, client, authority) = (acceptor.clone(), client.clone(), authority.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = service_fn(move |request: Request<Incoming>| {
                let (client, authority) = (client.clone(), authority.clone());
                async move {
                    let mut request = request.map(Body::new);
                    let path = request.uri().path_and_query().cloned();
                    let uri = Uri::builder()
                        .scheme(Scheme::HTTP)
                        .authority(authority.as_str());
                    let uri =
                        uri.path_and_query(path.map_or("/".to_owned(), |path| path.to_string()));
                    if let Ok(uri) = uri.build() {
                        *request.uri_mut() = uri;
                    }
                    Ok::<_, Infallible>(match client.request(request).await {
                        Ok(response) => response.map(Body::new),
                        Err(_) => {
                            let mut response = Response::new(Body::empty());
                            *response.status_mut() = StatusCode::BAD_GATEWAY;
                            response
                        }
                    })
                }
            });
            let mut builder = Builder::new(TokioExecutor::new());
            builder
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(600));
            let _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Serves TLS alone: it answers whatever it reads with a response, and keeps nothing but the connection.
pub(crate) async fn bare_tls(certificate: &str, key: &str) -> Outcome<()> {
    let acceptor = acceptor(certificate, key)?;
    let listener = listen(0).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let mut stream = acceptor.accept(stream).await?;
            while echo(&mut stream).await? {}
            Ok::<_, std::io::Error>(())
        });
    }
}

/// Answers what one read returns. The buffer is not kept while the connection is idle.
async fn echo<S: AsyncReadExt + AsyncWriteExt + Unpin>(stream: &mut S) -> std::io::Result<bool> {
    let mut first = [0];
    if stream.read(&mut first).await? == 0 {
        return Ok(false);
    }
    let mut rest = vec![0; 4096];
    if stream.read(&mut rest).await? == 0 {
        return Ok(false);
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        .await?;
    stream.flush().await?;
    Ok(true)
}
