//! A gateway in front of a service that knows nothing of proofs: requests of admitted devices are passed on with their names.
//!
//! ```text
//! cargo run --example proxy -- registry.toml chain.pem key.pem 127.0.0.1:8443 http://127.0.0.1:8080
//! ```
//!
//! The service behind it reads the name from `X-Client-Subject`, which devices cannot set themselves, and must not be reachable by another way.
//! `GET /health` needs no proof. `examples/client.rs` is a device for it. `chanbind gateway --config` does the same without a program of one's own.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use chanbind::{
    gateway::{Policy, ProofLayer, RegistryFile, serve},
    proof::otp::{OtpVerifier, Settings},
    proxy::{IdentityFields, ReverseProxy, Upstream},
    tls,
};
use std::{env, error::Error, fs, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tower::Layer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [registry, chain, key, address, upstream] = arguments.as_slice() else {
        return Err("usage: proxy REGISTRY CHAIN KEY ADDRESS UPSTREAM".into());
    };
    let registry = RegistryFile::open(registry.as_ref())?;
    tokio::spawn(Arc::clone(&registry).follow());
    let devices = OtpVerifier::new(registry, Settings::default());
    let policy = Policy::new().require("/", devices).exempt("/health");

    let proxy = ReverseProxy::new(Upstream::parse(upstream)?, IdentityFields::default())
        .with_response_limit(Duration::from_secs(10));
    let app = ProofLayer::new(policy).layer(proxy);

    let tls = tls::server_config_from_pem(&fs::read(chain)?, &fs::read(key)?)?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    serve(listener, tls, app, async {
        let _ = tokio::signal::ctrl_c().await;
    })
    .await;
    Ok(())
}
