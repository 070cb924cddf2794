//! Serving.

use super::{
    admin::{self, Admin},
    signals::{Hangups, StopSignals},
};
use crate::{failure::Failure, files::say};
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chanbind::{
    gateway::{Identity, Limits, Policy, ProofLayer, Server},
    proof::Responder,
    proxy::ReverseProxy,
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
    /// The way to the server behind the gateway, if there is one.
    pub(super) proxy: Option<ReverseProxy>,
    /// The public keys of the tokens for that server, JSON.
    pub(super) jwk_set: Option<String>,
    /// The address of the listener for operators.
    pub(super) admin: Option<SocketAddr>,
    pub(super) responders: Vec<Arc<dyn Responder>>,
    pub(super) reload: Vec<Arc<dyn Fn() + Send + Sync>>,
    pub(super) background: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
    pub(super) summary: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// The options for accepting connections.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) tls: ServerConfig,
    pub(super) limits: Limits,
}

/// The content of a request that is read, in bytes.
const MAX_CONTENT: usize = 1024 * 1024;

pub(super) async fn run(mut prepared: Prepared) -> Result<ExitCode, Failure> {
    for warning in &prepared.warnings {
        tracing::warn!("{warning}");
    }
    let Listener {
        address,
        tls,
        limits,
    } = prepared.listener;
    let admin = Arc::new(Admin {
        jwk_set: prepared.jwk_set,
        ..Admin::default()
    });
    let layer =
        ProofLayer::with_responders(prepared.policy, prepared.responders)
            .observed(Arc::<Admin>::clone(&admin));
    let app = match prepared.proxy {
        Some(proxy) => {
            let proxy = proxy.observed(Arc::<Admin>::clone(&admin));
            Router::new().fallback_service(proxy)
        }
        None => Router::new().fallback(answer),
    };
    let app = layer.layer(app);
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address} ({error}): is another gateway running? --listen takes another address"))?;
    let address = listener.local_addr()?;
    // Before the gateway says that it is ready: what reads this may send signals.
    let (stop, hangups) = (StopSignals::new()?, Hangups::new()?);
    let mut background = tokio::task::JoinSet::new();
    if let Some(address) = prepared.admin {
        let (address, serving) = admin::serve(address, Arc::clone(&admin)).await?;
        background.spawn(serving);
        prepared
            .summary
            .push(format!("operators on http://{address}/"));
    }
    // Connections wait in the system's queue from here on.
    admin.readiness.set_ready();
    say(&format!(
        "listening on {address} for {}\n",
        prepared.summary.join(", ")
    ))?;
    for work in prepared.background {
        background.spawn(work);
    }
    background.spawn(reload_on_hangup(hangups, prepared.reload));
    let stopping = async {
        stopped(stop).await;
        admin.readiness.set_draining();
    };
    let server = Server::new(tls).with_limits(limits);
    let server = server.observed(Arc::<Admin>::clone(&admin));
    server.serve(listener, app, stopping).await;
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
async fn reload_on_hangup(mut hangups: Hangups, reload: Vec<Arc<dyn Fn() + Send + Sync>>) {
    loop {
        hangups.next().await;
        reload.iter().for_each(|reload| reload());
    }
}

/// Waits for the first signal. The second one ends the program at once.
async fn stopped(mut signals: StopSignals) {
    signals.next().await;
    tokio::spawn(async move {
        signals.next().await;
        tracing::warn!("stopped at once");
        std::process::exit(130);
    });
}
