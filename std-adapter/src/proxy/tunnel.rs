//! Connections that change from HTTP to another protocol: WebSocket (RFC 6455 section 4) over HTTP/1.1.

use super::{ProxyError, fields};
use crate::gateway::{Channel, TunnelPermit};
use axum::{
    body::Body,
    http::{HeaderValue, Request, Response, Version, header},
};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    time::timeout,
};

/// The bytes that are read at a time, in each direction.
const CHUNK: usize = 8 * 1024;

/// Returns the protocol that a client wants to change to, if it is one that is passed on. Others are ignored, as RFC 9110 section 7.8 allows:
/// an upstream that took `h2c` would read requests that no policy has seen.
pub(super) fn wanted<B>(request: &mut Request<B>) -> Option<HeaderValue> {
    if request.version() != Version::HTTP_11 {
        return None;
    }
    let headers = request.headers();
    let mut connection = headers.get_all(header::CONNECTION).iter();
    let names_upgrade = connection.any(|value| {
        let mut options = value.to_str().unwrap_or_default().split(',');
        options.any(|option| option.trim().eq_ignore_ascii_case("upgrade"))
    });
    let mut upgrades = headers.get_all(header::UPGRADE).iter();
    match (upgrades.next(), upgrades.next()) {
        (Some(one), None) if names_upgrade => one
            .as_bytes()
            .eq_ignore_ascii_case(b"websocket")
            .then(|| one.clone()),
        _ => None,
    }
}

/// Connects both ends once they have changed protocols. Returns the response for the client.
pub(super) fn open(
    mut response: Response<Incoming>,
    client: OnUpgrade,
    (permit, channel): (TunnelPermit, Channel),
    idle: Duration,
) -> Result<Response<Body>, ProxyError> {
    let upstream = hyper::upgrade::on(&mut response);
    let (mut parts, _) = response.into_parts();
    let protocol = parts.headers.get(header::UPGRADE).cloned();
    let protocol = protocol.ok_or(ProxyError::Switched)?;
    fields::remove_hop_by_hop(&mut parts.headers);
    let connection = HeaderValue::from_static("upgrade");
    parts.headers.insert(header::CONNECTION, connection);
    parts.headers.insert(header::UPGRADE, protocol);
    parts.extensions.clear();
    let tunnel = permit.open();
    tokio::spawn(async move {
        let upgraded = timeout(idle, async { tokio::try_join!(client, upstream) }).await;
        if let Ok(Ok((client, upstream))) = upgraded {
            let (client, upstream) = (TokioIo::new(client), TokioIo::new(upstream));
            tokio::select! {
                ended = copy_both(client, upstream, idle) => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "tunnel ended");
                    }
                }
                () = channel.closed() => {}
            }
        }
        drop(tunnel);
    });
    Ok(Response::from_parts(parts, Body::empty()))
}

/// Copies in both directions until one end closes, an error occurs, or nothing has moved for `idle`. After one end has closed, the other has
/// [`CLOSING`] to say its last.
async fn copy_both(
    client: impl AsyncRead + AsyncWrite,
    upstream: impl AsyncRead + AsyncWrite,
    idle: Duration,
) -> io::Result<()> {
    let ((from_client, to_client), (from_upstream, to_upstream)) = (split(client), split(upstream));
    let moved = AtomicU64::new(0);
    let up = copy(from_client, to_upstream, &moved, idle);
    let down = copy(from_upstream, to_client, &moved, idle);
    tokio::pin!(up, down);
    tokio::select! {
        ended = &mut up => {
            ended?;
            timeout(CLOSING, down).await?
        }
        ended = &mut down => {
            ended?;
            timeout(CLOSING, up).await?
        }
        () = idle_for(&moved, idle) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// The time that the other end has once one has closed.
const CLOSING: Duration = Duration::from_secs(5);

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    moved: &AtomicU64,
    idle: Duration,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let len = from.read(&mut chunk).await?;
        let data = chunk.get(..len).unwrap_or_default();
        if data.is_empty() {
            return to.shutdown().await;
        }
        timeout(idle, async {
            to.write_all(data).await?;
            to.flush().await
        })
        .await??;
        moved.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until nothing has moved for `idle`.
async fn idle_for(moved: &AtomicU64, idle: Duration) {
    let mut before = moved.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(idle).await;
        let now = moved.load(Ordering::Relaxed);
        if now == before {
            return;
        }
        before = now;
    }
}
