//! HTTP proxies: a tunnel by CONNECT, found in the environment.

use super::{ClientError, connection::tcp};
use axum::http::{HeaderValue, Uri};
use base64::{Engine, prelude::BASE64_STANDARD};
use hyper_util::{
    client::{
        legacy::connect::{Connected, Connection, proxy::Tunnel},
        proxy::matcher::Matcher,
    },
    rt::TokioIo,
};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};
use tower::{Service, service_fn};

/// Returns the proxy that the environment names for `uri`, with its credentials.
pub(super) fn from_env(uri: &Uri) -> Option<Uri> {
    let found = Matcher::from_env().intercept(uri)?;
    let proxy = found.uri();
    // The matcher decodes credentials: as they are for a SOCKS proxy, as a header field for an HTTP proxy.
    let credentials = match (found.raw_auth(), found.basic_auth()) {
        (Some((user, password)), _) => (user.to_owned(), password.to_owned()),
        (None, Some(basic)) => credentials(basic)?,
        (None, None) => return Some(proxy.clone()),
    };
    let (user, password) = (encode(&credentials.0), encode(&credentials.1));
    let with_credentials = format!(
        "{}://{user}:{password}@{}",
        proxy.scheme_str().unwrap_or("http"),
        proxy.authority()?.as_str()
    );
    with_credentials.parse().ok()
}

/// Returns the user and the password in a field of the scheme Basic (RFC 7617 section 2).
fn credentials(basic: &HeaderValue) -> Option<(String, String)> {
    let encoded = basic.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Encodes a text for the user information of a URI (RFC 3986 section 3.2.1).
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    encoded
}

/// A proxy that opens tunnels.
pub(super) struct Proxy<'p>(&'p Uri);

impl<'p> Proxy<'p> {
    pub(super) fn new(uri: &'p Uri) -> Self {
        Self(uri)
    }

    /// Opens a tunnel to `target`, a host and port.
    pub(super) async fn tunnel(
        &self,
        target: &str,
        limit: Duration,
    ) -> Result<TcpStream, ClientError> {
        let failed = |reason: String| ClientError::Proxy {
            target: target.to_owned(),
            reason,
        };
        if self.0.scheme_str().is_some_and(|scheme| scheme != "http") {
            return Err(failed("only http:// proxies are supported".to_owned()));
        }
        let host = self.0.host().unwrap_or_default();
        let port = self.0.port_u16().unwrap_or(80);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let proxy = format!("{host}:{port}");
        let stream = tcp(TcpStream::connect((bare, port)), &proxy, limit)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let mut stream = Some(Tunnelled(TokioIo::new(stream)));
        let connector = service_fn(move |_: Uri| {
            let stream = stream.take();
            async move { stream.ok_or(io::Error::from(io::ErrorKind::AlreadyExists)) }
        });
        let mut tunnel = Tunnel::new(self.0.clone(), connector);
        let matched = Matcher::builder()
            .https(self.0.to_string())
            .build()
            .intercept(&Uri::from_static("https://proxied.invalid"));
        if let Some(credentials) = matched.as_ref().and_then(|found| found.basic_auth()) {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        let destination = format!("https://{target}/")
            .parse()
            .map_err(|_| ClientError::Host(target.to_owned()))?;
        let opened = timeout(limit, tunnel.call(destination)).await;
        match opened {
            Ok(Ok(stream)) => Ok(stream.0.into_inner()),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed("it did not answer in time".to_owned())),
        }
    }
}

/// A TCP connection as hyper-util's connectors take it.
struct Tunnelled(TokioIo<TcpStream>);

impl Connection for Tunnelled {
    fn connected(&self) -> Connected {
        Connected::new().proxy(true)
    }
}

impl hyper::rt::Read for Tunnelled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for Tunnelled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
