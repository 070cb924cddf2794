//! A server of one's own, without `chanbind::gateway::serve`: hyper on tokio-rustls, with the layer around the service.
//!
//! ```text
//! cargo run --example own_server -- registry.toml chain.pem key.pem 127.0.0.1:8443
//! ```
//!
//! The layer needs to know the connection of each request: a `Channel` in the request's extensions. The server closes the connection when
//! the channel says so, as it does for a client that has been removed from the registry. A server in production adds what
//! `serve` has: limits on time, connections and lengths, and a graceful end.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use axum::{
    body::Body,
    http::{Request, Response},
};
use chanbind::{
    gateway::{Channel, Identity, Policy, ProofLayer, RegistryFile},
    proof::otp::{OtpVerifier, Settings},
    tls::{self, SharedStream},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, env, error::Error, fs, sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::{Layer, ServiceExt, service_fn as tower_service};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [registry, chain, key, address] = arguments.as_slice() else {
        return Err("usage: own_server REGISTRY CHAIN KEY ADDRESS".into());
    };
    let registry = RegistryFile::open(registry.as_ref())?;
    tokio::spawn(Arc::clone(&registry).follow());
    let devices = OtpVerifier::new(registry, Settings::default());
    let layer = ProofLayer::new(Policy::new().require("/", devices));
    let tls = tls::server_config_from_pem(&fs::read(chain)?, &fs::read(key)?)?;
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        let (acceptor, layer) = (acceptor.clone(), layer.clone());
        tokio::spawn(async move {
            if let Err(error) = serve_connection(stream, acceptor, layer).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn serve_connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    layer: ProofLayer,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let accepting = acceptor.accept(stream);
    let stream = tokio::time::timeout(Duration::from_secs(10), accepting).await??;
    // One owner reads and writes the stream, the other exports keying material from it.
    let stream = SharedStream::new(stream);
    let channel = Channel::new(stream.clone());

    let service = layer.layer(tower_service(answer));
    let of_channel = channel.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(of_channel.clone());
        service.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        served = connection => served?,
        () = channel.closed() => {}
    }
    Ok(())
}

async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let device = request.extensions().get::<Identity>();
    let name = device.map_or("stranger", Identity::subject);
    Ok(Response::new(Body::from(format!("hello, {name}\n"))))
}
