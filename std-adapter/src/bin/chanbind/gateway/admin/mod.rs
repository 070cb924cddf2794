//! The listener for operators: health, metrics, and pages that show what happens. It is for this host alone, and changes nothing.

mod fleet;
mod metrics;
mod monitor;
mod page;

pub(super) use fleet::{Fleet, NamedFleet};
pub(super) use metrics::Metrics;
pub(super) use monitor::Monitor;

use crate::failure::Failure;
use axum::{
    Router,
    extract::{Query, Request, State},
    http::{HeaderValue, StatusCode, header, uri::Authority},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use chanbind::{
    gateway::{Event, Observer},
    protocol::otp::ClientId,
};
use serde::Deserialize;
use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};
use tokio::net::TcpListener;

/// The section `[admin]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    listen: SocketAddr,
}

impl Section {
    /// Returns the address, which must be of this host alone.
    pub(super) fn address(&self) -> Result<SocketAddr, Failure> {
        if self.listen.ip().is_loopback() {
            return Ok(self.listen);
        }
        Err(format!(
            "admin.listen = \"{}\": write an address of this host alone, like 127.0.0.1:9443, and reach it over SSH: there is no password",
            self.listen
        )
        .into())
    }
}

/// The state of the gateway, as orchestrators ask for it.
#[derive(Debug, Default)]
pub(super) struct Readiness(AtomicU8);

const READY: u8 = 1;
const DRAINING: u8 = 2;

impl Readiness {
    pub(super) fn set_ready(&self) {
        self.0.store(READY, Ordering::Release);
    }

    pub(super) fn set_draining(&self) {
        self.0.store(DRAINING, Ordering::Release);
    }

    fn text(&self) -> (StatusCode, &'static str) {
        match self.0.load(Ordering::Acquire) {
            READY => (StatusCode::OK, "ready\n"),
            DRAINING => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        }
    }
}

/// The state that operators can look at.
#[derive(Default)]
pub(super) struct Admin {
    /// False without a listener for operators. Then nothing is counted.
    is_shown: bool,
    pub(super) readiness: Readiness,
    pub(super) metrics: Metrics,
    pub(super) monitor: Monitor,
    /// The public keys of the tokens for the upstream, JSON.
    jwk_set: Mutex<Option<String>>,
    fleets: Mutex<Vec<NamedFleet>>,
    /// Held while a registry is being listed: devices that are being verified need the database too.
    listing: tokio::sync::Mutex<()>,
}

impl Admin {
    /// Creates the state; `is_shown` says whether there is a listener for it.
    pub(super) fn new(is_shown: bool) -> Self {
        Self {
            is_shown,
            ..Self::default()
        }
    }

    pub(super) fn set_jwk_set(&self, keys: Option<String>) {
        *self.jwk_set.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    pub(super) fn set_fleets(&self, fleets: Vec<NamedFleet>) {
        *self.fleets.lock().unwrap_or_else(PoisonError::into_inner) = fleets;
    }

    fn fleets(&self) -> Vec<NamedFleet> {
        let fleets = self.fleets.lock().unwrap_or_else(PoisonError::into_inner);
        fleets.clone()
    }
}

impl Observer for Admin {
    fn observe(&self, event: &Event<'_>) {
        if self.is_shown {
            self.metrics.observe(event);
            self.monitor.observe(event);
        }
    }
}

/// Binds the listener, and returns its address and the server.
pub(super) async fn serve(
    address: SocketAddr,
    admin: Arc<Admin>,
) -> Result<(SocketAddr, impl Future<Output = ()> + Send), Failure> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("admin.listen: cannot listen on {address} ({error})"))?;
    let address = listener.local_addr()?;
    let app = Router::new()
        .route("/", get(overview))
        .route("/device", get(device))
        .route("/fleet", get(fleet))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/jwks.json", get(jwk_set))
        .layer(from_fn(guard))
        .with_state(admin);
    let serving = async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the listener for operators has failed");
        }
    };
    Ok((address, serving))
}

/// Answers only where the host is this one, so that a page of another site, whose name leads here, reads nothing.
async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let is_own = host.is_some_and(|host| {
        let name = host.host().trim_matches(['[', ']']);
        name == "localhost"
            || name
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback())
    });
    if !is_own {
        return (StatusCode::MISDIRECTED_REQUEST, "ask for localhost\n").into_response();
    }
    // Browsers say so of the requests that other sites make.
    let site = request.headers().get("sec-fetch-site");
    if site.is_some_and(|site| site == "cross-site") {
        return (StatusCode::FORBIDDEN, "open the page itself\n").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn ready(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    admin.readiness.text()
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    admin.metrics.count_admitted(admin.monitor.take_admitted());
    match admin.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn jwk_set(State(admin): State<Arc<Admin>>) -> Response {
    let keys = admin.jwk_set.lock().unwrap_or_else(PoisonError::into_inner);
    match keys.clone() {
        Some(keys) => {
            let kind = "application/jwk-set+json";
            ([(header::CONTENT_TYPE, kind)], keys).into_response()
        }
        None => (StatusCode::NOT_FOUND, "there are no tokens\n").into_response(),
    }
}

async fn overview(State(admin): State<Arc<Admin>>) -> Response {
    let kinds: Vec<_> = admin.fleets().iter().map(|(kind, _)| *kind).collect();
    html(page::overview(
        &admin.monitor,
        admin.readiness.text().1,
        &kinds,
    ))
}

#[derive(Deserialize)]
struct DeviceQuery {
    name: String,
}

async fn device(State(admin): State<Arc<Admin>>, Query(device): Query<DeviceQuery>) -> Response {
    match page::device(&admin.monitor, &device.name) {
        Some(page) => html(page),
        None => (StatusCode::NOT_FOUND, html(page::unseen(&device.name))).into_response(),
    }
}

#[derive(Deserialize)]
struct FleetQuery {
    kind: String,
    /// The last name of the page before.
    #[serde(default)]
    after: String,
}

async fn fleet(State(admin): State<Arc<Admin>>, Query(query): Query<FleetQuery>) -> Response {
    let fleets = admin.fleets();
    let Some((kind, fleet)) = fleets.iter().find(|(kind, _)| *kind == query.kind) else {
        return (StatusCode::NOT_FOUND, "there is no such registry\n").into_response();
    };
    if !query.after.is_empty() && ClientId::new(&query.after).is_err() {
        return (StatusCode::BAD_REQUEST, "this is no name of a device\n").into_response();
    }
    let _listing = admin.listing.lock().await;
    let rows = u32::try_from(page::MAX_ROWS).unwrap_or(u32::MAX);
    match fleet.list(&query.after, rows).await {
        Ok(devices) => html(page::fleet(kind, &devices)),
        Err(error) => {
            tracing::error!(%error, "the devices of the registry cannot be shown");
            let text = "the registry cannot be read: the log says why\n";
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

fn html(markup: maud::Markup) -> Response {
    let kind = "text/html; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], markup.into_string()).into_response()
}
