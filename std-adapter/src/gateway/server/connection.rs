//! One connection.

use super::{
    Server, TunnelPermit,
    body::{TimedBody, WatchedBody},
    connections::{ConnectionSlot, Connections},
    pace::Pace,
    progress::ProgressStream,
    proxy_protocol,
};
use crate::{
    gateway::{Channel, Event},
    tls::SharedStream,
};
use axum::{
    body::Body,
    http::{Method, Request, Response, StatusCode, header},
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{net::TcpStream, sync::watch, task::JoinSet, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::{Service, ServiceExt};

/// The parts of the server that a connection needs.
pub(super) struct ConnectionContext {
    pub(super) acceptor: TlsAcceptor,
    pub(super) server: Server,
    pub(super) connections: Arc<Connections>,
    pub(super) pace: Arc<Pace>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// The arrival of a connection.
pub(super) enum Arrival {
    /// It comes from a client, and has a slot.
    Admitted(SocketAddr, ConnectionSlot),
    /// It comes from a load balancer, which has to name the client first.
    Behind(SocketAddr),
}

/// A connection after the TLS handshake. The stream is not in the futures that use it: they would be larger by its size.
struct Secured {
    stream: SharedStream<TlsStream<TcpStream>>,
    is_http2: bool,
}

impl Secured {
    fn new(stream: TlsStream<TcpStream>) -> Self {
        // Choose the HTTP version by ALPN. Detecting it from the first bytes would need another time limit.
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Self {
            stream: SharedStream::new(stream),
            is_http2,
        }
    }
}

impl ConnectionContext {
    /// Serves one connection until it ends.
    pub(super) async fn serve<S>(
        mut self,
        mut stream: TcpStream,
        arrival: Arrival,
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
        let (peer, slot) = match arrival {
            Arrival::Admitted(peer, slot) => (peer, slot),
            Arrival::Behind(proxy) => {
                let Some(peer) = self.client(&mut stream, proxy).await else {
                    return Ok(());
                };
                let Some(slot) = self.admit(peer) else {
                    return Ok(());
                };
                (peer, slot)
            }
        };
        let Some(secured) = self.accept(stream, peer, &slot).await? else {
            return Ok(());
        };
        self.serve_http(secured, peer, &slot, app).await
    }

    /// Returns how a connection arrives; `None` if it is rejected.
    pub(super) fn arrival(&self, from: SocketAddr) -> Option<Arrival> {
        let address = from.ip().to_canonical();
        let mut proxies = self.server.proxies.iter();
        if proxies.any(|network| network.contains(&address)) {
            return Some(Arrival::Behind(from));
        }
        self.admit(from).map(|slot| Arrival::Admitted(from, slot))
    }

    /// Returns the slot of a connection; `None` if it is rejected.
    fn admit(&self, peer: SocketAddr) -> Option<ConnectionSlot> {
        let reason = if self.pace.allows(peer.ip()) {
            match self.connections.admit(peer.ip()) {
                Some(slot) => return Some(slot),
                None => "a connection limit is reached and no connection is idle",
            }
        } else {
            "too many connections in a second from this address"
        };
        tracing::warn!(%peer, reason, "connection rejected");
        self.server
            .observe(&Event::ConnectionRejected { peer, reason });
        None
    }

    /// Returns the address of the client that a load balancer names. `None` if it names none as it must, or if the server stops.
    async fn client(&mut self, stream: &mut TcpStream, proxy: SocketAddr) -> Option<SocketAddr> {
        let reading = timeout(self.server.limits.handshake, proxy_protocol::read(stream));
        let read = tokio::select! {
            read = reading => read,
            () = wait_for_stop(&mut self.stopped) => return None,
        };
        let in_time = read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut));
        match in_time.flatten() {
            // Without an address it is the balancer's own connection, such as a check of health.
            Ok(client) => Some(client.unwrap_or(proxy)),
            Err(error) => {
                tracing::warn!(%proxy, reason = %error, "no PROXY protocol from a load balancer");
                None
            }
        }
    }

    /// Does the TLS handshake. Returns `None` if it fails or the server stops.
    async fn accept(
        &mut self,
        stream: TcpStream,
        peer: SocketAddr,
        slot: &ConnectionSlot,
    ) -> io::Result<Option<Secured>> {
        let limits = &self.server.limits;
        let accepting = timeout(limits.handshake, self.acceptor.accept(stream));
        let accepted = tokio::select! {
            accepted = accepting => accepted,
            reason = slot.activity.wait_until_overdue(limits.idle, limits.response) => return Err(aborted(reason)),
            () = wait_for_stop(&mut self.stopped) => return Ok(None),
        };
        let in_time = accepted
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it did not complete in time"));
        match in_time.flatten() {
            Ok(stream) => Ok(Some(Secured::new(stream))),
            Err(error) => {
                let reason = error.to_string();
                tracing::info!(%peer, reason, "TLS handshake failed");
                self.server.observe(&Event::HandshakeFailed {
                    peer,
                    reason: &reason,
                });
                Ok(None)
            }
        }
    }

    /// Serves requests.
    async fn serve_http<S>(
        mut self,
        secured: Secured,
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
        slot.activity.start_idle();
        let Secured { stream, is_http2 } = secured;
        let channel = Channel::new(stream.clone());
        // However the connection ends, its tunnels end too.
        let closing = Closing {
            channel: channel.clone(),
            server: self.server.clone(),
            peer,
        };
        tracing::debug!(%peer, "connection accepted");
        self.server.observe(&Event::ConnectionOpened {
            peer,
            channel: &channel,
        });
        let (activity, limits) = (Arc::clone(&slot.activity), Arc::clone(&self.server.limits));
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
                    let mut request = TimedBody::wrap(request, limit, &activity);
                    request.extensions_mut().insert(channel);
                    // Few requests ask for another protocol.
                    if request.method() == Method::CONNECT
                        || request.headers().contains_key(header::UPGRADE)
                    {
                        request.extensions_mut().insert(permit);
                    }
                    request.extensions_mut().insert(peer);
                    app.oneshot(request).await?
                };
                let turn = activity.begin_response();
                Ok::<_, Infallible>(response.map(|body| WatchedBody::wrap(body, turn, guard)))
            }
        });
        let limits = &self.server.limits;
        let streams = StreamTasks::default();
        let _guard = AbortOnDrop(streams.clone());
        let mut builder = Builder::new(streams.clone());
        // The limit on the time for a head is one on idleness here: a timer of the library's would be set anew for each request.
        builder
            .http1()
            .max_buf_size(limits.head_len.max(MIN_HEAD))
            .header_read_timeout(None);
        builder
            .http2()
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(u32::try_from(limits.head_len).unwrap_or(u32::MAX))
            .initial_connection_window_size(HTTP2_WINDOW)
            .initial_stream_window_size(HTTP2_WINDOW)
            .timer(TokioTimer::new())
            .keep_alive_interval(limits.head)
            .keep_alive_timeout(limits.handshake);
        let builder = if is_http2 {
            builder.http2_only()
        } else {
            builder.http1_only()
        };
        let stream = ProgressStream::new(stream, Arc::clone(&slot.activity));
        let mut connection =
            Box::pin(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let idle = if is_http2 {
            limits.idle
        } else {
            limits.idle.min(limits.head)
        };
        let interrupted = async |stopped: Option<&mut watch::Receiver<bool>>| {
            let stopped = async {
                match stopped {
                    Some(stopped) => wait_for_stop(stopped).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = closing.channel.closed() => Some("the gateway closed the connection"),
                reason = slot.activity.wait_until_overdue(idle, limits.response) => Some(reason),
                () = stopped => None,
            }
        };
        // It waits on locks that connections share. The set polls it when it is woken itself, and not with each request.
        let mut interruptions = FuturesUnordered::new();
        interruptions.push(interrupted(Some(&mut self.stopped)));
        let mut is_stopping = false;
        let ended = loop {
            tokio::select! {
                // A busy connection may use up what one turn of a task may do, and interruptions need some of it.
                biased;
                Some(reason) = interruptions.next() => match reason {
                    Some(reason) => break Err(aborted(reason)),
                    None => {
                        is_stopping = true;
                        connection.as_mut().graceful_shutdown();
                        interruptions.push(interrupted(None));
                    }
                },
                ended = &mut connection => break ended.map_err(io::Error::other),
            }
        };
        streams.end().await;
        // With the connection its permissions go, and the tunnels stay.
        drop(connection);
        if ended.is_ok() && !is_stopping {
            slot.activity.start_tunnels();
            tokio::select! {
                () = tunnels.ended() => {}
                interruption = interruptions.next() => if let Some(Some(reason)) = interruption {
                    return Err(aborted(reason));
                },
            }
        }
        ended
    }
}

/// Waits until the server shuts down.
async fn wait_for_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// The least buffer of the HTTP library for a head, in bytes.
const MIN_HEAD: usize = 8 * 1024;

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
struct Closing {
    channel: Channel,
    server: Server,
    peer: SocketAddr,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.channel.close();
        self.server.observe(&Event::ConnectionClosed {
            peer: self.peer,
            channel: &self.channel,
        });
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
