//! A server over TLS that tells requests which connection they came by, and bounds what clients may take of it.

mod activity;
mod body;
mod connections;
mod limits;
mod progress;

pub use limits::Limits;

use super::Channel;
use crate::tls::SharedStream;
use axum::{
    body::Body,
    http::{Request, Response, StatusCode},
};
use body::{TimedBody, WatchedBody};
use connections::{Connections, Place};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use progress::Progress;
use rustls::ServerConfig;
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt};

/// Serves `app` over TLS until `shutdown` is done, with the default [`Limits`]. Returns when no connection is served any more: requests under
/// way have ten seconds to finish, then they are cut off.
///
/// Every request has its [`Channel`] and its peer's [`SocketAddr`] in its extensions. HTTP/1.1, and HTTP/2 where `tls` offers
/// it by ALPN.
///
/// `app` is an axum `Router` or any such service. [`super::ProofLayer`] around the whole of it costs a request half of what it
/// costs as a layer of the router, which boxes every route for it.
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
    serve_with(listener, tls, app, Limits::default(), shutdown).await;
}

/// As [`serve`], with limits of the caller's.
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
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let connections = Connections::new(&limits);
    let limits = Arc::new(limits);
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Those that have ended are let go of.
            Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            () = &mut shutdown => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection accepted");
                // A peer that is gone already is nothing to wait for; file descriptors that are used up are.
                if error.kind() != io::ErrorKind::ConnectionAborted {
                    connections.evict_one();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                continue;
            }
        };
        let Some(place) = connections.admit(peer.ip()) else {
            tracing::warn!(%peer, "connection refused: all others have requests under way");
            continue;
        };
        let serving = Serving {
            acceptor: acceptor.clone(),
            limits: Arc::clone(&limits),
            stopped: stopped.clone(),
        };
        let app = app.clone();
        tasks.spawn(async move {
            if let Err(error) = serving.connection(stream, peer, &place, app).await {
                tracing::debug!(%peer, %error, "connection ended");
            }
        });
    }
    drop(listener);
    stop.send_replace(true);
    let drained = async { while tasks.join_next().await.is_some() {} };
    if timeout(limits.shutdown, drained).await.is_err() {
        tracing::warn!(
            connections = tasks.len(),
            "connections were cut that did not end in time"
        );
        tasks.shutdown().await;
    }
}

/// The context in which a connection is served.
struct Serving {
    acceptor: TlsAcceptor,
    limits: Arc<Limits>,
    stopped: watch::Receiver<bool>,
}

impl Serving {
    async fn connection<S>(
        mut self,
        stream: TcpStream,
        peer: SocketAddr,
        place: &Place,
        app: S,
    ) -> io::Result<()>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        stream.set_nodelay(true)?;
        let accepting = timeout(self.limits.handshake, self.acceptor.accept(stream));
        let stream = tokio::select! {
            accepted = accepting => accepted
                .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no handshake in time"))??,
            reason = place.activity.overdue(&self.limits) => return Err(closed(reason)),
            () = until(&mut self.stopped) => return Ok(()),
        };
        // By ALPN and not by a look at the first bytes, which would need a time limit of its own.
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let stream = SharedStream::new(stream);
        let channel = Channel::new(stream.clone());
        let closing = channel.clone();
        tracing::debug!(%peer, "connection accepted");
        let (activity, limits) = (Arc::clone(&place.activity), Arc::clone(&self.limits));
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let under_way = activity.request();
            let (activity, channel) = (Arc::clone(&activity), channel.clone());
            let limit = limits.body;
            let is_too_long = request
                .uri()
                .path_and_query()
                .is_some_and(|path| path.as_str().len() > limits.uri_len);
            let app = app.clone();
            async move {
                let response = if is_too_long {
                    let mut response = Response::new(Body::empty());
                    *response.status_mut() = StatusCode::URI_TOO_LONG;
                    response
                } else {
                    let mut request = request.map(|body| TimedBody::wrap(body, limit));
                    request.extensions_mut().insert(channel);
                    request.extensions_mut().insert(peer);
                    app.oneshot(request).await?
                };
                let turn = activity.response();
                Ok::<_, Infallible>(response.map(|body| WatchedBody::wrap(body, turn, under_way)))
            }
        });
        let streams = Streams::default();
        let _end = EndOnDrop(streams.clone());
        let mut builder = Builder::new(streams.clone());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head);
        builder
            .http2()
            .max_concurrent_streams(MAX_STREAMS)
            .timer(TokioTimer::new())
            .keep_alive_interval(self.limits.head)
            .keep_alive_timeout(self.limits.handshake);
        let builder = if http2 {
            builder.http2_only()
        } else {
            builder.http1_only()
        };
        let stream = Progress::new(stream, Arc::clone(&place.activity));
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended.map_err(io::Error::other),
            () = closing.closed() => Err(closed("the gateway closed it")),
            reason = place.activity.overdue(&self.limits) => Err(closed(reason)),
            () = until(&mut self.stopped) => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended.map_err(io::Error::other),
                    () = closing.closed() => Err(closed("the gateway closed it")),
                    reason = place.activity.overdue(&self.limits) => Err(closed(reason)),
                }
            }
        };
        streams.end().await;
        ended
    }
}

async fn until(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Requests that are under way together on a connection of HTTP/2.
const MAX_STREAMS: u32 = 64;

fn closed(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, reason)
}

/// The tasks of a connection's HTTP/2 streams; they end with it.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl Streams {
    async fn end(&self) {
        let mut tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }
}

/// Ends the streams of a connection whose own task is cut off.
struct EndOnDrop(Streams);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let mut tasks = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.abort_all();
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            stream.await;
        });
    }
}
