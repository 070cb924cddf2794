use super::{
    ClientChannel, ClientError, RequestBody, ResponseBody, TlsFailure,
    body::SentBody,
    proxy::{self, Proxy},
};
use crate::tls::SharedStream;
use axum::http::{HeaderValue, Request, Response, Uri, header};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// One TLS connection to a server, with HTTP/1.1 on it.
pub struct Connection {
    channel: ClientChannel,
    requests: SendRequest<SentBody>,
    driver: JoinHandle<()>,
    response_timeout: Duration,
}

/// Options of a connection.
#[derive(Clone)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The name that the server's certificate must have, if it is not the host.
    pub server_name: Option<String>,
    /// The address to connect to, in place of those that the host resolves to. A proxy opens its tunnel to this address.
    pub address: Option<SocketAddr>,
    /// The HTTP proxy to connect through, as [`ConnectOptions::proxy_from_env`] finds it.
    pub proxy: Option<Uri>,
    /// The limit of TCP and of the TLS handshake, each. 10 seconds by default.
    pub connect_timeout: Duration,
    /// The limit from the start of a request, with its content, to the head of its response, and between two pieces of the response's
    /// content. 30 seconds by default: raise it for long content.
    pub response_timeout: Duration,
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("server_name", &self.server_name)
            .field("address", &self.address)
            // It may have a password.
            .field("proxy", &self.proxy.as_ref().map(|proxy| proxy.host()))
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish()
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            server_name: None,
            address: None,
            proxy: None,
            connect_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(30),
        }
    }
}

impl ConnectOptions {
    /// Takes the proxy for `uri` from the environment: HTTPS_PROXY or ALL_PROXY, except for the hosts in NO_PROXY.
    #[must_use]
    pub fn proxy_from_env(mut self, uri: &Uri) -> Self {
        self.proxy = proxy::from_env(uri);
        self
    }
}

impl Connection {
    /// Connects, and completes the handshake.
    ///
    /// # Errors
    /// [`ClientError::Host`], [`ClientError::Connect`], [`ClientError::Proxy`], [`ClientError::Tls`], [`ClientError::Http`].
    pub async fn open(
        host: &str,
        port: u16,
        tls: impl Into<Arc<ClientConfig>>,
        options: &ConnectOptions,
    ) -> Result<Self, ClientError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = options.server_name.as_deref().unwrap_or(bare);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| ClientError::Host(name.to_owned()))?;
        let target = format!("{host}:{port}");
        let limit = options.connect_timeout;
        let stream = match (&options.proxy, options.address) {
            (Some(proxy), address) => {
                let end = address.map_or(target.clone(), |address| address.to_string());
                Proxy::new(proxy).tunnel(&end, limit).await?
            }
            (None, Some(address)) => tcp(TcpStream::connect(address), &target, limit).await?,
            (None, None) => tcp(TcpStream::connect((bare, port)), &target, limit).await?,
        };
        let _ = stream.set_nodelay(true);
        let handshake = TlsConnector::from(tls.into()).connect(name, stream);
        let stream = timeout(limit, handshake)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
            .and_then(|connected| connected)
            .map_err(|error| ClientError::Tls {
                target,
                failure: TlsFailure::of(error),
            })?;
        let stream = SharedStream::new(stream);
        let channel = ClientChannel(Some(stream.clone()));
        Self::start(stream, channel, options).await
    }

    /// Connects without TLS, for a server on a local link that has none: every party on the link can read and change everything. Only a
    /// proof that needs no TLS works here, and it protects neither requests nor responses. A proxy in the options is not used.
    ///
    /// # Errors
    /// [`ClientError::Connect`], [`ClientError::Http`].
    pub async fn open_without_tls(
        host: &str,
        port: u16,
        options: &ConnectOptions,
    ) -> Result<Self, ClientError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let target = format!("{host}:{port}");
        let limit = options.connect_timeout;
        let stream = match options.address {
            Some(address) => tcp(TcpStream::connect(address), &target, limit).await?,
            None => tcp(TcpStream::connect((bare, port)), &target, limit).await?,
        };
        let _ = stream.set_nodelay(true);
        Self::start(stream, ClientChannel(None), options).await
    }

    /// Speaks HTTP on a stream.
    async fn start(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        channel: ClientChannel,
        options: &ConnectOptions,
    ) -> Result<Self, ClientError> {
        let (requests, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(ClientError::Http)?;
        let driver = tokio::spawn(async move {
            // The request that waits for a response gets the error as well.
            let _ = connection.await;
        });
        Ok(Self {
            channel,
            requests,
            driver,
            response_timeout: options.response_timeout,
        })
    }

    /// Returns the channel: it exports keying material.
    #[must_use]
    pub fn channel(&self) -> &ClientChannel {
        &self.channel
    }

    /// Returns protocol version, cipher suite and key exchange, for people.
    #[must_use]
    pub fn negotiated(&self) -> String {
        self.channel.negotiated()
    }

    /// Returns true if the server has closed the connection.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Creates a GET request for `uri`, which must be absolute.
    ///
    /// # Errors
    /// [`ClientError::Uri`]
    pub fn get(uri: &Uri) -> Result<Request<RequestBody>, ClientError> {
        let request = Request::get(uri.clone()).body(RequestBody::empty());
        let request = request.map_err(|_| ClientError::Uri(uri.to_string()))?;
        authority(&request, None)?;
        Ok(request)
    }

    /// Returns the value of a request's Host field.
    ///
    /// # Errors
    /// [`ClientError::Uri`] if the URI is not absolute, or has another scheme than this connection.
    pub(super) fn authority<B>(&self, request: &Request<B>) -> Result<HeaderValue, ClientError> {
        let scheme = if self.channel.0.is_some() {
            "https"
        } else {
            "http"
        };
        authority(request, Some(scheme))
    }

    /// Sends a request as it is, without a proof, and reads the head of the response. The next request can be sent when the body has been read.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<ResponseBody>, ClientError> {
        let (parts, mut body) = request.into_parts();
        let body = body.make().ok_or(ClientError::BodyConsumed)?;
        self.send_raw(Request::from_parts(parts, body)).await
    }

    pub(super) async fn send_raw(
        &mut self,
        mut request: Request<SentBody>,
    ) -> Result<Response<ResponseBody>, ClientError> {
        if !request.headers().contains_key(header::HOST) {
            let host = self.authority(&request)?;
            request.headers_mut().insert(header::HOST, host);
        }
        // On a connection to the origin itself the request line has the path alone (RFC 9112 section 3.2.1).
        let uri = request.uri();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path
            .parse()
            .map_err(|_| ClientError::Uri(uri.to_string()))?;
        let exchange = async {
            self.requests.ready().await.map_err(ClientError::Http)?;
            let sent = self.requests.send_request(request).await;
            sent.map_err(ClientError::Http)
        };
        let response = timeout(self.response_timeout, exchange)
            .await
            .map_err(|_| ClientError::Timeout)??;
        let pause = self.response_timeout;
        Ok(response.map(|body| ResponseBody::new(body, pause)))
    }
}

/// Returns the authority of a request's URI, for its Host field. The scheme is `scheme`, or without one https or http.
fn authority<B>(request: &Request<B>, scheme: Option<&str>) -> Result<HeaderValue, ClientError> {
    let uri = request.uri();
    let is_scheme = match (uri.scheme_str(), scheme) {
        (Some(one), Some(expected)) => one == expected,
        (one, _) => matches!(one, Some("https" | "http")),
    };
    // A user and a password are not part of the Host field, and not quoted.
    uri.authority()
        .filter(|authority| is_scheme && !authority.as_str().contains('@'))
        .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok())
        .ok_or_else(|| ClientError::Uri(uri.path().to_owned()))
}

/// Opens a TCP connection.
pub(super) async fn tcp(
    connecting: impl Future<Output = io::Result<TcpStream>>,
    target: &str,
    limit: Duration,
) -> Result<TcpStream, ClientError> {
    timeout(limit, connecting)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
        .and_then(|connected| connected)
        .map_err(|error| ClientError::Connect {
            target: target.to_owned(),
            error,
        })
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}
