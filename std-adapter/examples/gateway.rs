//! A service with public routes and routes for devices: axum's router inside a `ProofLayer`.
//!
//! ```text
//! cargo run --example gateway -- registry.toml chain.pem key.pem 127.0.0.1:8443
//! ```
//!
//! | route | who may use it |
//! |---|---|
//! | `GET /` | everyone |
//! | `GET /hello` | everyone; a device that proves itself is greeted by its name |
//! | `POST /readings` | devices in the registry |
//!
//! `examples/client.rs` is a device for it. The registry is read again when its file changes, and a device that is removed loses its
//! connections.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use axum::{Json, Router, extract::State, routing::get, routing::post};
use chanbind::{
    gateway::{Identity, Policy, ProofLayer, RegistryFile, serve},
    proof::otp::{OtpVerifier, Settings},
    tls,
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    env,
    error::Error,
    fs,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;
use tower::Layer;

/// The last reading of each device.
type Readings = Arc<Mutex<HashMap<String, Value>>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [registry, chain, key, address] = arguments.as_slice() else {
        return Err("usage: gateway REGISTRY CHAIN KEY ADDRESS".into());
    };
    let registry = RegistryFile::open(registry.as_ref())?;
    tokio::spawn(Arc::clone(&registry).follow());
    let devices = OtpVerifier::new(registry, Settings::default());
    let policy = Policy::new()
        .optional("/hello", &devices)
        .require("/readings", &devices);

    let app = Router::new()
        .route("/", get(|| async { "a service for devices\n" }))
        .route("/hello", get(hello))
        .route("/readings", post(take_reading))
        .with_state(Readings::default());
    // Around the whole router, so that the paths of the policy are whole paths.
    let app = ProofLayer::new(policy).layer(app);

    let tls = tls::server_config_from_pem(&fs::read(chain)?, &fs::read(key)?)?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    serve(listener, tls, app, async {
        let _ = tokio::signal::ctrl_c().await;
    })
    .await;
    Ok(())
}

async fn hello(device: Option<Identity>) -> String {
    match device {
        Some(device) => format!("hello, {}\n", device.subject()),
        None => "hello, stranger\n".to_owned(),
    }
}

/// Keeps the reading and answers with a command. There is always an identity here: the policy requires one.
async fn take_reading(
    State(readings): State<Readings>,
    device: Identity,
    Json(reading): Json<Value>,
) -> Json<Value> {
    let mut readings = readings.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{}: {reading}", device.subject());
    readings.insert(device.subject().to_owned(), reading);
    Json(json!({ "interval_s": 10 }))
}
