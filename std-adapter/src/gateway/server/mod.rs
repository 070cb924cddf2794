//! An HTTPS server that attaches to each request the channel of its connection, and limits the resources that clients can use.

mod activity;
mod body;
mod connections;
mod limits;
mod progress;
mod tunnel;

pub use limits::Limits;
pub use tunnel::{Tunnel, TunnelPermit};

use super::Channel;
use crate::tls::SharedStream;
use axum::{
    body::Body,
    http::{Request, Response, StatusCode},
};
use body::{TimedBody, WatchedBody};
use connections::{ConnectionSlot, Connections};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use progress::ProgressStream;
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

/// Serves `app` over TLS until `shutdown` completes, with the default [`Limits`]. Returns when all connections have ended:
/// requests in progress have ten seconds to finish, then they are aborted.
///
/// Every request has its [`Channel`] and its peer's [`SocketAddr`] in its extensions. The server supports HTTP/1.1, and HTTP/2 if
/// `tls` offers it by ALPN.
///
/// `app` is an axum `Router` or a similar service. [`super::ProofLayer`] around the whole router costs half as much time per
/// request as it does as a layer of the router, because the router boxes every route for a layer.
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
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let connections = Connections::new(&limits);
    let limits = Arc::new(limits);
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
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
        let Some(slot) = connections.admit(peer.ip()) else {
            tracing::warn!(%peer, "connection rejected: a connection limit is reached and no connection is idle");
            continue;
        };
        let context = ConnectionContext {
            acceptor: acceptor.clone(),
            limits: Arc::clone(&limits),
            stopped: stopped.clone(),
        };
        let app = app.clone();
        tasks.spawn(async move {
            if let Err(error) = context.serve(stream, peer, &slot, app).await {
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
            "aborted connections that did not end in time"
        );
        tasks.shutdown().await;
    }
}

/// The parts of the server that a connection needs.
struct ConnectionContext {
    acceptor: TlsAcceptor,
    limits: Arc<Limits>,
    stopped: watch::Receiver<bool>,
}

impl ConnectionContext {
    /// Serves one connection until it ends.
    async fn serve<S>(
        mut self,
        stream: TcpStream,
        peer: SocketAddr,
        slot: &ConnectionSlot,
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
            accepted = accepting => {
                let in_time = accepted.map_err(|_| {
                    io::Error::new(io::ErrorKind::TimedOut, "it did not complete in time")
                });
                match in_time.flatten() {
                    Ok(stream) => stream,
                    Err(error) => {
                        tracing::info!(%peer, reason = %error, "TLS handshake failed");
                        return Ok(());
                    }
                }
            }
            reason = slot.activity.wait_until_overdue(&self.limits) => return Err(aborted(reason)),
            () = wait_for_stop(&mut self.stopped) => return Ok(()),
        };
        // Choose the HTTP version by ALPN. Detecting it from the first bytes would need another time limit.
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let stream = SharedStream::new(stream);
        let channel = Channel::new(stream.clone());
        let closing = channel.clone();
        tracing::debug!(%peer, "connection accepted");
        let (activity, limits) = (Arc::clone(&slot.activity), Arc::clone(&self.limits));
        let (permit, mut tunnels) = TunnelPermit::new(&activity);
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let guard = activity.begin_request();
            let (activity, channel) = (Arc::clone(&activity), channel.clone());
            let permit = permit.clone();
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
                    let mut request = TimedBody::wrap(request, limit);
                    request.extensions_mut().insert(channel);
                    request.extensions_mut().insert(permit);
                    request.extensions_mut().insert(peer);
                    app.oneshot(request).await?
                };
                let turn = activity.begin_response();
                Ok::<_, Infallible>(response.map(|body| WatchedBody::wrap(body, turn, guard)))
            }
        });
        let streams = StreamTasks::default();
        let _guard = AbortOnDrop(streams.clone());
        let mut builder = Builder::new(streams.clone());
        builder
            .http1()
            .timer(TokioTimer::new())
            .max_buf_size(MAX_HEAD)
            .header_read_timeout(self.limits.head);
        builder
            .http2()
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .initial_connection_window_size(HTTP2_WINDOW)
            .initial_stream_window_size(HTTP2_WINDOW)
            .timer(TokioTimer::new())
            .keep_alive_interval(self.limits.head)
            .keep_alive_timeout(self.limits.handshake);
        let builder = if http2 {
            builder.http2_only()
        } else {
            builder.http1_only()
        };
        let stream = ProgressStream::new(stream, Arc::clone(&slot.activity));
        // However the connection ends, its tunnels end too.
        let _closing = CloseOnDrop(closing.clone());
        let mut connection =
            Box::pin(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let is_aborted = async || {
            tokio::select! {
                () = closing.closed() => aborted("the gateway closed the connection"),
                reason = slot.activity.wait_until_overdue(&self.limits) => aborted(reason),
            }
        };
        let ended = tokio::select! {
            ended = &mut connection => ended.map_err(io::Error::other),
            reason = is_aborted() => Err(reason),
            () = wait_for_stop(&mut self.stopped) => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = &mut connection => ended.map_err(io::Error::other),
                    reason = is_aborted() => Err(reason),
                }
            }
        };
        streams.end().await;
        // With the connection its permissions go, and the tunnels stay.
        drop(connection);
        if ended.is_ok() {
            tokio::select! {
                () = tunnels.ended() => {}
                reason = is_aborted() => return Err(reason),
                () = wait_for_stop(&mut self.stopped) => {}
            }
        }
        ended
    }
}

/// Waits until the server shuts down.
async fn wait_for_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// The maximum length of the head of a request, in bytes. A longer one gets a response with status 431. Blessings may take a third of it.
const MAX_HEAD: usize = 64 * 1024;

/// The bytes that a client of HTTP/2 may send before the application reads them, on a stream and on a connection.
const HTTP2_WINDOW: u32 = 256 * 1024;

/// The maximum number of concurrent requests on an HTTP/2 connection.
const MAX_STREAMS: u32 = 64;

fn aborted(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, reason)
}

/// The tasks of a connection's HTTP/2 streams. They end with the connection.
#[derive(Clone, Default)]
struct StreamTasks(Arc<Mutex<JoinSet<()>>>);

impl StreamTasks {
    async fn end(&self) {
        let mut tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }
}

/// A guard that closes a channel.
struct CloseOnDrop(Channel);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A guard that aborts the stream tasks of a connection whose own task is aborted.
struct AbortOnDrop(StreamTasks);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        let mut tasks = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.abort_all();
    }
}

impl<F> hyper::rt::Executor<F> for StreamTasks
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
