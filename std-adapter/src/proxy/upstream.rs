//! The server behind the gateway, and connections to it.

use axum::{
    body::Body,
    http::{HeaderValue, Uri, Version, header, request::Parts, uri},
};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{
    fmt,
    future::Future,
    io,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tower::Service;

/// A pool of connections to an upstream.
pub(super) type Client = hyper_util::client::legacy::Client<HttpsConnector<Connector>, Body>;

/// The server behind the gateway.
#[derive(Clone)]
pub struct Upstream {
    /// The scheme and authority of all requests. Over a Unix socket the authority is `localhost`.
    base: Uri,
    socket: Option<PathBuf>,
    tls: Option<Arc<ClientConfig>>,
    is_http2: bool,
    connect_limit: Duration,
}

/// The error of describing an upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// The text is no URL of an upstream.
    #[error(
        "{0:?} is not an upstream: write http://host:port, https://host:port or unix:/path/of/socket, without a path behind the port"
    )]
    Url(String),
    /// The upstream is reached over TLS, and there are no authorities for its certificate.
    #[error("an upstream with https needs the authorities of its certificate")]
    NoTls,
    /// This system has no Unix sockets.
    #[error("this system has no Unix sockets: write http://host:port")]
    NoUnix,
}

impl Upstream {
    /// Reads the address of an upstream: `http://host:port` or `unix:/path/of/socket`, which are spoken to in HTTP/1.1.
    ///
    /// # Errors
    /// [`UpstreamError`]: [`UpstreamError::NoTls`] for `https`, which [`Upstream::parse_with_tls`] takes.
    pub fn parse(url: &str) -> Result<Self, UpstreamError> {
        Self::read(url, None)
    }

    /// Does the same, and takes `https://host:port` too. `tls` says which certificates are trusted; without ALPN, HTTP/1.1 is spoken.
    ///
    /// # Errors
    /// [`UpstreamError`]
    pub fn parse_with_tls(
        url: &str,
        tls: impl Into<Arc<ClientConfig>>,
    ) -> Result<Self, UpstreamError> {
        Self::read(url, Some(tls.into()))
    }

    /// Speaks HTTP/2, on few connections; without TLS the server must know it in advance (RFC 9113 section 3.3). The Host is then that of the
    /// upstream, and X-Forwarded-Host that of the client's request.
    #[must_use]
    pub fn with_http2(mut self) -> Self {
        self.is_http2 = true;
        self
    }

    /// Sets the time within which a connection must be open, before TLS; 5 seconds by default.
    #[must_use]
    pub fn with_connect_limit(mut self, limit: Duration) -> Self {
        self.connect_limit = limit;
        self
    }

    fn read(url: &str, tls: Option<Arc<ClientConfig>>) -> Result<Self, UpstreamError> {
        let invalid = || UpstreamError::Url(url.to_owned());
        let mut upstream = Self {
            base: Uri::from_static("http://localhost/"),
            socket: None,
            tls: None,
            is_http2: false,
            connect_limit: Duration::from_secs(5),
        };
        if let Some(path) = url.strip_prefix("unix:") {
            let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
            if !path.is_absolute() {
                return Err(invalid());
            }
            upstream.socket = Some(path);
            #[cfg(not(unix))]
            return Err(UpstreamError::NoUnix);
            #[cfg(unix)]
            return Ok(upstream);
        }
        let base: Uri = url.parse().map_err(|_| invalid())?;
        let has_user = base
            .authority()
            .is_some_and(|one| one.as_str().contains('@'));
        if has_user || !matches!(base.path(), "" | "/") || base.query().is_some() {
            return Err(invalid());
        }
        match (base.scheme_str(), base.host()) {
            (Some("http"), Some(_)) => {}
            (Some("https"), Some(_)) => upstream.tls = Some(tls.ok_or(UpstreamError::NoTls)?),
            _ => return Err(invalid()),
        }
        upstream.base = base;
        Ok(upstream)
    }

    /// Creates a pool of connections.
    pub(super) fn client(&self) -> Client {
        let connector = Connector {
            socket: self.socket.clone(),
            http: {
                let mut http = HttpConnector::new();
                http.enforce_http(false);
                http.set_nodelay(true);
                http.set_connect_timeout(Some(self.connect_limit));
                http
            },
            limit: self.connect_limit,
        };
        // Without TLS the configuration is never used.
        let tls = self.tls.as_deref().cloned().unwrap_or_else(|| {
            let roots = rustls::RootCertStore::empty();
            ClientConfig::builder_with_provider(crate::tls::crypto_provider())
                .with_protocol_versions(rustls::DEFAULT_VERSIONS)
                .unwrap_or_else(|_| ClientConfig::builder())
                .with_root_certificates(roots)
                .with_no_client_auth()
        });
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http();
        let name = self
            .base
            .host()
            .unwrap_or_default()
            .trim_matches(['[', ']']);
        let builder = match ServerName::try_from(name.to_owned()) {
            Ok(name) => builder.with_server_name_resolver(FixedServerNameResolver::new(name)),
            // The connector then fails with a reason, when it reads the name from the URI.
            Err(_) => builder,
        };
        let connector = if self.is_http2 {
            builder.enable_http2().wrap_connector(connector)
        } else {
            builder.enable_http1().wrap_connector(connector)
        };
        hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .http2_only(self.is_http2)
            .build(connector)
    }

    /// Sets URI, version and Host of a request for the upstream.
    pub(super) fn set_target(&self, parts: &mut Parts, host: Option<HeaderValue>) {
        let mut target = uri::Parts::default();
        target.scheme = self.base.scheme().cloned();
        target.authority = self.base.authority().cloned();
        let path = parts.uri.path_and_query().cloned();
        target.path_and_query = path.or_else(|| Some(uri::PathAndQuery::from_static("/")));
        parts.uri = Uri::from_parts(target).unwrap_or_else(|_| self.base.clone());
        parts.headers.remove(header::HOST);
        parts.version = if self.is_http2 {
            Version::HTTP_2
        } else {
            Version::HTTP_11
        };
        // Over HTTP/2 it would contradict the authority.
        if let (Some(host), false) = (host, self.is_http2) {
            parts.headers.insert(header::HOST, host);
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(path) => write!(f, "unix:{}", path.display()),
            None => write!(f, "{}", self.base),
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({self})")
    }
}

/// Opens connections to the upstream, whatever the URI says.
#[derive(Clone)]
pub(super) struct Connector {
    socket: Option<PathBuf>,
    http: HttpConnector,
    limit: Duration,
}

/// A connection without TLS.
pub(super) enum Stream {
    Tcp(TokioIo<TcpStream>),
    #[cfg(unix)]
    Unix(TokioIo<UnixStream>),
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, io::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        self.http.poll_ready(context).map_err(io::Error::other)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        #[cfg(unix)]
        if let Some(path) = self.socket.clone() {
            let limit = self.limit;
            return Box::pin(async move {
                let connected = tokio::time::timeout(limit, UnixStream::connect(&path)).await;
                let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
                Ok(Stream::Unix(TokioIo::new(stream)))
            });
        }
        let connecting = self.http.call(uri);
        Box::pin(async move {
            let connected = connecting.await;
            connected.map(Stream::Tcp).map_err(io::Error::other)
        })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Self::Tcp(stream) => stream.connected(),
            #[cfg(unix)]
            Self::Unix(_) => Connected::new(),
        }
    }
}

/// Calls a method of the stream's own.
macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream.get_mut() {
            Stream::Tcp($inner) => {
                let $inner = Pin::new($inner);
                $call
            }
            #[cfg(unix)]
            Stream::Unix($inner) => {
                let $inner = Pin::new($inner);
                $call
            }
        }
    };
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, inner => inner.poll_read(context, buffer))
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, inner => inner.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, inner => inner.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, inner => inner.poll_shutdown(context))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, inner => inner.poll_write_vectored(context, slices))
    }
}
