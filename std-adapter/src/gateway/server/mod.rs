//! An HTTPS server that attaches to each request the channel of its connection, and limits the resources that clients can use.

mod activity;
mod body;
mod connection;
mod connections;
mod limits;
mod pace;
mod progress;
mod proxy_protocol;
mod tunnel;

pub use limits::Limits;
pub use tunnel::{Tunnel, TunnelPermit};

use super::{Event, Observer};
use axum::{
    body::Body,
    http::{Request, Response},
};
use connection::ConnectionContext;
use connections::Connections;
use ipnet::IpNet;
use pace::Pace;
use rustls::ServerConfig;
use std::{convert::Infallible, fmt, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::Service;

/// Serves `app` over TLS until `shutdown` completes, with the default [`Limits`], as [`Server`] does.
pub async fn serve<S>(
    listener: TcpListener,
    tls: ServerConfig,
    app: S,
    shutdown: impl Future<Output = ()>,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    Server::new(tls).serve(listener, app, shutdown).await;
}

/// Does the same as [`serve`], with the caller's limits.
pub async fn serve_with<S>(
    listener: TcpListener,
    tls: ServerConfig,
    app: S,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let server = Server::new(tls).with_limits(limits);
    server.serve(listener, app, shutdown).await;
}

/// An HTTPS server.
///
/// Every request has its [`Channel`](super::Channel) and its peer's [`SocketAddr`] in its extensions. The server supports HTTP/1.1, and HTTP/2 if
/// the TLS configuration offers it by ALPN.
#[derive(Clone)]
pub struct Server {
    tls: Arc<ServerConfig>,
    limits: Arc<Limits>,
    observer: Option<Arc<dyn Observer>>,
    proxies: Arc<[IpNet]>,
}

impl Server {
    /// Creates a server with the default [`Limits`].
    #[must_use]
    pub fn new(tls: impl Into<Arc<ServerConfig>>) -> Self {
        Self {
            tls: tls.into(),
            limits: Arc::default(),
            observer: None,
            proxies: Arc::default(),
        }
    }

    /// Sets the limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Arc::new(limits);
        self
    }

    /// Tells `observer` of connections.
    #[must_use]
    pub fn observed(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Takes the address of a client from the PROXY protocol, version 2, on connections from load balancers with these addresses. They must send it
    /// on every connection; from other addresses it is not accepted.
    #[must_use]
    pub fn behind(mut self, proxies: impl IntoIterator<Item = IpNet>) -> Self {
        self.proxies = proxies.into_iter().collect();
        self
    }

    /// Serves `app` until `shutdown` completes. Returns when all connections have ended: requests in progress have the time of
    /// [`Limits::shutdown`] to finish, then they are aborted.
    ///
    /// `app` is an axum `Router` or a similar service. [`super::ProofLayer`] around the whole router costs half as much time per
    /// request as it does as a layer of the router, because the router boxes every route for a layer.
    pub async fn serve<S>(&self, listener: TcpListener, app: S, shutdown: impl Future<Output = ()>)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls));
        let connections = Connections::new(&self.limits);
        let pace = Arc::new(Pace::new(&self.limits));
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut is_due = false;
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                accepted = accept(&listener, &pace, &mut is_due) => accepted,
                // Remove the tasks that have ended.
                Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
                () = &mut shutdown => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // If the peer has closed the connection already, accept the next one at once. Other errors, such as a lack of file
                    // descriptors, need a pause and a free slot.
                    if error.kind() != io::ErrorKind::ConnectionAborted {
                        connections.evict_one();
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    continue;
                }
            };
            let context = ConnectionContext {
                acceptor: acceptor.clone(),
                server: self.clone(),
                connections: Arc::clone(&connections),
                pace: Arc::clone(&pace),
                stopped: stopped.clone(),
            };
            let Some(arrival) = context.arrival(peer) else {
                continue;
            };
            let app = app.clone();
            tasks.spawn(async move {
                if let Err(error) = context.serve(stream, arrival, app).await {
                    tracing::debug!(%peer, %error, "connection ended");
                }
            });
        }
        drop(listener);
        stop.send_replace(true);
        let drained = async { while tasks.join_next().await.is_some() {} };
        if timeout(self.limits.shutdown, drained).await.is_err() {
            tracing::warn!(
                connections = tasks.len(),
                "aborted connections that did not end in time"
            );
            tasks.shutdown().await;
        }
    }

    fn observe(&self, event: &Event<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(event);
        }
    }
}

/// Accepts a connection, when the pace of all of them allows it: until then the system holds them.
/// `is_due` keeps this for a call after one that was dropped.
async fn accept(
    listener: &TcpListener,
    pace: &Pace,
    is_due: &mut bool,
) -> io::Result<(TcpStream, SocketAddr)> {
    if !*is_due {
        pace.all().await;
        *is_due = true;
    }
    let accepted = listener.accept().await;
    *is_due = false;
    accepted
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
