use crate::{authenticator::MAX_REQUESTS, tls::SharedStream};
use axum::http::{HeaderValue, Request, Response, Uri, header};
use bytes::Bytes;
use chanbind_core::authenticator::{ChannelError, Client, Endpoint};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{
    fmt, io,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// One TLS connection to a gateway, with HTTP/1.1 on it.
pub struct Connection {
    stream: SharedStream<TlsStream<TcpStream>>,
    requests: SendRequest<Empty<Bytes>>,
    driver: JoinHandle<()>,
    endpoint: OnceLock<Mutex<Endpoint<Client, MAX_REQUESTS>>>,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest answer that is read, in bytes.
const MAX_ANSWER_LEN: usize = 16 * 1024 * 1024;

impl Connection {
    /// Connects and finishes the handshake.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn open(host: &str, port: u16, tls: ClientConfig) -> Result<Self, ClientError> {
        let target = || format!("{host}:{port}");
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| ClientError::Host(host.to_owned()))?;
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect((bare, port)))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
            .and_then(|connected| connected)
            .map_err(|error| ClientError::Connect {
                target: target(),
                error,
            })?;
        let _ = stream.set_nodelay(true);
        let stream = timeout(
            CONNECT_TIMEOUT,
            TlsConnector::from(Arc::new(tls)).connect(name, stream),
        )
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
        .and_then(|connected| connected)
        .map_err(|error| ClientError::Tls {
            target: target(),
            error,
        })?;
        let stream = SharedStream::new(stream);
        let (requests, connection) = http1::handshake(TokioIo::new(stream.clone()))
            .await
            .map_err(ClientError::Http)?;
        let driver = tokio::spawn(async move {
            // Whoever waits for an answer is told as well.
            let _ = connection.await;
        });
        Ok(Self {
            stream,
            requests,
            driver,
            endpoint: OnceLock::new(),
        })
    }

    /// What the connection exports.
    #[must_use]
    pub fn channel(&self) -> &SharedStream<TlsStream<TcpStream>> {
        &self.stream
    }

    /// This end of the connection, for authenticators.
    pub(super) fn endpoint(&self) -> Result<&Mutex<Endpoint<Client, MAX_REQUESTS>>, ChannelError> {
        if let Some(there) = self.endpoint.get() {
            return Ok(there);
        }
        let made = Endpoint::with_contexts(&self.stream)?;
        Ok(self.endpoint.get_or_init(|| Mutex::new(made)))
    }

    /// Protocol version, cipher suite and key exchange, for people.
    #[must_use]
    pub fn negotiated(&self) -> String {
        self.stream.negotiated()
    }

    /// A GET request for `uri`, which must be absolute.
    ///
    /// # Errors
    /// [`ClientError::Uri`]
    pub fn get(uri: &Uri) -> Result<Request<()>, ClientError> {
        let wrong = || ClientError::Uri(uri.to_string());
        let authority = uri
            .authority()
            .filter(|_| uri.scheme_str() == Some("https"))
            .ok_or_else(wrong)?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?;
        Request::get(uri.clone())
            .header(header::HOST, host)
            .body(())
            .map_err(|_| wrong())
    }

    /// Sends a request and reads the whole answer, at most 16 MiB. The connection can be used again.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn send(&mut self, request: Request<()>) -> Result<Response<Bytes>, ClientError> {
        // On a connection to the origin itself the request line has the path alone (RFC 9112 section 3.2.1).
        let (mut parts, ()) = request.into_parts();
        parts.uri = parts
            .uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .parse()
            .map_err(|_| ClientError::Uri(parts.uri.to_string()))?;
        let exchange = async {
            self.requests.ready().await.map_err(ClientError::Http)?;
            let response = self
                .requests
                .send_request(Request::from_parts(parts, Empty::new()))
                .await
                .map_err(ClientError::Http)?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_LEN)
                .collect()
                .await
                .map_err(|error| match error.downcast::<hyper::Error>() {
                    Ok(error) => ClientError::Http(*error),
                    Err(error) if error.is::<LengthLimitError>() => ClientError::AnswerTooLong,
                    Err(_) => ClientError::Timeout,
                })?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        timeout(ANSWER_TIMEOUT, exchange)
            .await
            .map_err(|_| ClientError::Timeout)?
    }
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

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The host is neither a name nor an address.
    #[error("{0:?} is no host name and no IP address")]
    Host(String),
    /// The URI is not absolute, or not https.
    #[error("{0:?} is no https address: write it like https://gateway.example:8443/path")]
    Uri(String),
    /// Nobody listens there.
    #[error("no connection to {target} ({error}): is the gateway running, and is the port right?")]
    Connect {
        /// Host and port.
        target: String,
        /// What the system says.
        error: io::Error,
    },
    /// The handshake failed.
    #[error(
        "no TLS 1.3 with {target} ({error}): give the certification authority of the gateway with --ca, and a host name that its certificate has"
    )]
    Tls {
        /// Host and port.
        target: String,
        /// What rustls says.
        error: io::Error,
    },
    /// HTTP failed.
    #[error("the connection broke in the middle of a request: {0}")]
    Http(hyper::Error),
    /// No answer in time.
    #[error("the gateway gave no answer in {} seconds", ANSWER_TIMEOUT.as_secs())]
    Timeout,
    /// The answer is longer than what is read.
    #[error("the gateway's answer is longer than {MAX_ANSWER_LEN} bytes")]
    AnswerTooLong,
}
