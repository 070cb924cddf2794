//! Serving.

use crate::{failure::Failure, files::say};
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chanbind::{
    gateway::{Identity, Limits, Policy, ProofLayer, serve_with},
    proof::Responder,
};
use http_body_util::{BodyExt, Limited};
use rustls::ServerConfig;
use std::{future::Future, net::SocketAddr, pin::Pin, process::ExitCode, sync::Arc};
use tokio::net::TcpListener;
use tower::Layer;

/// A gateway that has been configured.
pub(super) struct Prepared {
    pub(super) listener: Listener,
    pub(super) policy: Policy,
    pub(super) responders: Vec<Arc<dyn Responder>>,
    pub(super) reload: Vec<Arc<dyn Fn() + Send + Sync>>,
    pub(super) background: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
    pub(super) summary: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// How connections are accepted.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) tls: ServerConfig,
    pub(super) limits: Limits,
}

/// The content of a request that is read, in bytes.
const MAX_CONTENT: usize = 1024 * 1024;

pub(super) async fn run(prepared: Prepared) -> Result<ExitCode, Failure> {
    for warning in &prepared.warnings {
        tracing::warn!("{warning}");
    }
    let Listener {
        address,
        tls,
        limits,
    } = prepared.listener;
    let layer = ProofLayer::with_responders(prepared.policy, prepared.responders);
    let app = layer.layer(Router::new().fallback(answer));
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address} ({error}): is another gateway running? --listen takes another address"))?;
    let address = listener.local_addr()?;
    say(&format!(
        "listening on {address} for {}\n",
        prepared.summary.join(", ")
    ))?;
    let mut background = tokio::task::JoinSet::new();
    for work in prepared.background {
        background.spawn(work);
    }
    background.spawn(reload_on_hangup(prepared.reload));
    serve_with(listener, tls, app, limits, stopped()).await;
    background.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// Answers with `ok`, the name of the device, and for a request with content how many bytes came.
async fn answer(identity: Option<Identity>, request: Request) -> Response {
    let subject = identity
        .as_ref()
        .map(|identity| format!(" {}", identity.subject()));
    let subject = subject.unwrap_or_default();
    let method = request.method().clone();
    let content = match Limited::new(request.into_body(), MAX_CONTENT)
        .collect()
        .await
    {
        Ok(content) => content.to_bytes(),
        Err(_) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    };
    let text = if content.is_empty() {
        format!("ok{subject}\n")
    } else {
        format!("ok{subject}: {method}, {} bytes\n", content.len())
    };
    let mut response = Response::new(Body::from(text));
    let plain = header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// Reads files again at each SIGHUP.
async fn reload_on_hangup(reload: Vec<Arc<dyn Fn() + Send + Sync>>) {
    #[cfg(unix)]
    if let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        while hangup.recv().await.is_some() {
            reload.iter().for_each(|reload| reload());
        }
    }
    #[cfg(not(unix))]
    drop(reload);
}

/// Waits for Ctrl-C, or the signal that service managers send. The second one ends the program at once.
async fn stopped() {
    signal().await;
    tokio::spawn(async {
        signal().await;
        eprintln!("chanbind: stopped at once");
        std::process::exit(130);
    });
}

async fn signal() {
    #[cfg(unix)]
    if let Ok(mut terminate) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}
