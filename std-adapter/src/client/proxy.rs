//! HTTP proxies: a tunnel by CONNECT, found in the environment.

use super::{ClientError, connection::tcp};
use axum::http::Uri;
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
    let Some((user, password)) = found.raw_auth() else {
        return Some(proxy.clone());
    };
    let with_credentials = format!(
        "{}://{user}:{password}@{}",
        proxy.scheme_str().unwrap_or("http"),
        proxy.authority()?.as_str()
    );
    with_credentials.parse().ok()
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
        let host = self.0.host().unwrap_or_default().to_owned();
        let port = self.0.port_u16().unwrap_or(80);
        let proxy = format!("{host}:{port}");
        let stream = tcp(TcpStream::connect((host.as_str(), port)), &proxy, limit).await?;
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
