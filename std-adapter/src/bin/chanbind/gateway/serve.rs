//! Serving.

use super::{
    admin::{self, Admin, NamedFleet},
    config::Config,
    diagnostics,
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
    gateway::{Identity, Limits, Policy, ProofLayer, ProofService, Server},
    proof::Responder,
    proxy::ReverseProxy,
    tls::{ServerCertificate, server_config_with},
};
use futures_util::future::{Either, Ready, ready};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body as _;
use ipnet::IpNet;
use sd_notify::NotifyState;
use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    process::ExitCode,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
};
use tokio::{net::TcpListener, task::JoinSet};
use tower::{Layer, Service, ServiceExt, util::Oneshot};

/// A gateway that has been configured.
pub(super) struct Prepared {
    pub(super) listener: Listener,
    pub(super) policy: Policy,
    pub(super) pending_proofs: Option<usize>,
    /// The path at which clients are told how their connections look.
    pub(super) diagnostics: Option<String>,
    /// The way to the server behind the gateway, if there is one.
    pub(super) proxy: Option<ReverseProxy>,
    /// The public keys of the tokens for that server, JSON.
    pub(super) jwk_set: Option<String>,
    /// The address of the listener for operators.
    pub(super) admin: Option<SocketAddr>,
    /// The devices that operators can list.
    pub(super) fleets: Vec<NamedFleet>,
    pub(super) responders: Vec<Arc<dyn Responder>>,
    pub(super) reload: Vec<Arc<dyn Fn() + Send + Sync>>,
    pub(super) background: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
    pub(super) summary: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// The options for accepting connections.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) certificate: Arc<ServerCertificate>,
    pub(super) max_fragment_size: Option<usize>,
    pub(super) limits: Limits,
    /// The networks of load balancers that name clients by the PROXY protocol.
    pub(super) proxies: Vec<IpNet>,
}

/// The content of a request that is read, in bytes.
const MAX_CONTENT: usize = 1024 * 1024;

pub(super) async fn run(config: Config, mut prepared: Prepared) -> Result<ExitCode, Failure> {
    for warning in &prepared.warnings {
        tracing::warn!("{warning}");
    }
    let admin = Arc::new(Admin::new(prepared.admin.is_some()));
    let certificate = Arc::clone(&prepared.listener.certificate);
    let app = SharedApp::new(application(&mut prepared, &admin, &certificate));
    let Listener {
        address,
        max_fragment_size,
        limits,
        proxies,
        ..
    } = prepared.listener;
    let mut tls = server_config_with(&certificate)?;
    tls.max_fragment_size = max_fragment_size;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address} ({error}): is another gateway running? --listen takes another address"))?;
    let address = listener.local_addr()?;
    // Before the gateway says that it is ready: what reads this may send signals.
    let (stop, hangups) = (StopSignals::new()?, Hangups::new()?);
    let mut background = JoinSet::new();
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
    tell_manager(&[NotifyState::Ready]);
    for work in prepared.background {
        background.spawn(work);
    }
    let reloading = Reloading {
        config,
        admin: Arc::clone(&admin),
        app: app.clone(),
        certificate,
        hooks: prepared.reload,
        background: JoinSet::new(),
    };
    background.spawn(reloading.at_each(hangups));
    let stopping = async {
        stopped(stop).await;
        admin.readiness.set_draining();
        tell_manager(&[NotifyState::Stopping]);
    };
    let server = Server::new(tls).with_limits(limits).behind(proxies);
    let server = server.observed(Arc::<Admin>::clone(&admin));
    #[cfg(feature = "opentelemetry")]
    let app = super::traces::Traced(app);
    server.serve(listener, app, stopping).await;
    background.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// Tells systemd, if it waits for that.
fn tell_manager(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd could not be told of the state");
    }
}

/// Makes the application of a configuration, and tells operators of its keys. `certificate` is the one that new connections get.
fn application(
    prepared: &mut Prepared,
    admin: &Arc<Admin>,
    certificate: &Arc<ServerCertificate>,
) -> App {
    admin.set_jwk_set(prepared.jwk_set.take());
    admin.set_fleets(std::mem::take(&mut prepared.fleets));
    let policy = std::mem::take(&mut prepared.policy);
    let diagnosed = prepared
        .diagnostics
        .take()
        .map(|path| (path, policy.clone()));
    let responders = std::mem::take(&mut prepared.responders);
    let layer = ProofLayer::with_responders(policy, responders);
    let mut layer = layer.observed(Arc::<Admin>::clone(admin));
    if let Some(requests) = prepared.pending_proofs {
        layer = layer.with_max_pending(requests);
    }
    let proxy = prepared.proxy.take();
    let proxy = proxy.map(|proxy| proxy.observed(Arc::<Admin>::clone(admin)));
    #[cfg(feature = "opentelemetry")]
    let proxy = proxy.map(super::traces::passed_on);
    let inner = proxy.map_or(Inner::Answer, Inner::Proxy);
    layer.layer(match diagnosed {
        Some((path, policy)) => {
            let router = Router::new().fallback_service(inner);
            let certificate = Arc::clone(certificate);
            Inner::Router(diagnostics::route(router, &path, policy, certificate))
        }
        None => inner,
    })
}

type App = ProofService<Inner>;

/// The service of admitted requests.
#[derive(Clone)]
enum Inner {
    /// The proxy alone: a router around it would cost a tenth of its time.
    Proxy(ReverseProxy),
    /// The answer of a gateway without an upstream.
    Answer,
    Router(Router),
}

/// The response of [`Inner`], at once or later.
type Answer = Either<
    Ready<Result<Response, Infallible>>,
    Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>,
>;

impl Service<Request> for Inner {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Each is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self {
            Self::Proxy(proxy) => Either::Right(proxy.call(request)),
            Self::Answer => answer(request),
            Self::Router(router) => Either::Right(Box::pin(router.call(request))),
        }
    }
}

/// The application, which can be replaced while requests are in progress.
#[derive(Clone)]
struct SharedApp(Arc<RwLock<App>>);

impl SharedApp {
    fn new(app: App) -> Self {
        Self(Arc::new(RwLock::new(app)))
    }

    fn replace(&self, app: App) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = app;
    }
}

impl Service<Request> for SharedApp {
    type Response = Response;
    type Error = Infallible;
    type Future = Oneshot<App, Request>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let app = self.0.read().unwrap_or_else(PoisonError::into_inner);
        app.clone().oneshot(request)
    }
}

/// The parts of a gateway that can be replaced while it runs.
struct Reloading {
    config: Config,
    admin: Arc<Admin>,
    app: SharedApp,
    certificate: Arc<ServerCertificate>,
    hooks: Vec<Arc<dyn Fn() + Send + Sync>>,
    background: JoinSet<()>,
}

impl Reloading {
    /// Reads everything again at each SIGHUP: registries first, so that connections of clients that are gone are closed, and then the configuration
    /// with all files that it names. Connections stay open; their clients prove themselves again.
    async fn at_each(mut self, mut hangups: Hangups) {
        loop {
            hangups.next().await;
            if let Ok(now) = NotifyState::monotonic_usec_now() {
                tell_manager(&[NotifyState::Reloading, now]);
            }
            self.hooks.iter().for_each(|hook| hook());
            match self.read().await {
                Ok(()) => tracing::info!("configuration read"),
                Err(error) => {
                    tracing::error!(%error, "the configuration cannot be used: all stays as it was");
                }
            }
            tell_manager(&[NotifyState::Ready]);
        }
    }

    async fn read(&mut self) -> Result<(), Failure> {
        if let Some(config) = self.config.again()? {
            if config.listen != self.config.listen {
                tracing::warn!("the address to listen on has changed: restart the gateway for it");
            }
            self.config = config;
        }
        let mut prepared = self.config.prepare().await?;
        for warning in &prepared.warnings {
            tracing::warn!("{warning}");
        }
        self.app
            .replace(application(&mut prepared, &self.admin, &self.certificate));
        self.certificate.replace(&prepared.listener.certificate);
        // Those of before go on for connections that are open, and end with them.
        for work in prepared.background {
            self.background.spawn(work);
        }
        self.hooks = prepared.reload;
        while self.background.try_join_next().is_some() {}
        Ok(())
    }
}

/// Answers with `ok`, the name of the device, and for a request with content how many bytes came.
fn answer(request: Request) -> Answer {
    let identity = request.extensions().get::<Identity>();
    let subject = identity.map_or("", Identity::subject);
    let space = if subject.is_empty() { "" } else { " " };
    if request.body().is_end_stream() {
        return Either::Left(ready(Ok(plain(["ok", space, subject, "\n"].concat()))));
    }
    let text = ["ok", space, subject].concat();
    let (method, body) = (request.method().clone(), request.into_body());
    Either::Right(Box::pin(async move {
        let Ok(content) = Limited::new(body, MAX_CONTENT).collect().await else {
            return Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response());
        };
        Ok(plain(match content.to_bytes().len() {
            0 => text + "\n",
            len => format!("{text}: {method}, {len} bytes\n"),
        }))
    }))
}

fn plain(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let plain = header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
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
