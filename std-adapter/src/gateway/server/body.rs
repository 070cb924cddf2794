//! Bodies with time limits: request bodies, which the client must send in time, and response bodies, which it must read in time.

use super::activity::{Activity, RequestGuard, Turn};
use axum::http::{Request, Version, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use pin_project_lite::pin_project;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep, timeout};

/// A request body that fails if the next piece does not arrive within `limit`.
///
/// The rest of a body that the application drops is read and discarded, up to [`MAX_DISCARDED`] bytes. Over HTTP/1.1 the connection can
/// be used again only then: a client that sends content with its first request and is asked for a proof needs the connection, because
/// the proof is bound to it. Until then it counts as in use.
pub(super) struct TimedBody {
    /// `None` once the rest is being discarded.
    inner: Option<Incoming>,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    is_rest_discarded: bool,
    activity: Arc<Activity>,
}

/// The bytes of a dropped request body that are read and discarded.
const MAX_DISCARDED: usize = 256 * 1024;

impl TimedBody {
    pub(super) fn wrap(
        request: Request<Incoming>,
        limit: Duration,
        activity: &Arc<Activity>,
    ) -> Request<axum::body::Body> {
        // A client that waits for 100 (Continue) sends its content after it, or not at all (RFC 9110 section 10.1.1). HTTP/2 ends one
        // stream without the connection.
        let is_rest_discarded =
            request.version() < Version::HTTP_2 && !request.headers().contains_key(header::EXPECT);
        request.map(|inner| {
            if inner.is_end_stream() {
                return axum::body::Body::empty();
            }
            axum::body::Body::new(Self {
                inner: Some(inner),
                limit,
                timer: None,
                is_rest_discarded,
                activity: Arc::clone(activity),
            })
        })
    }
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else {
            return;
        };
        if !self.is_rest_discarded || inner.is_end_stream() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let rest = Limited::new(inner, MAX_DISCARDED);
        let guard = self.activity.begin_request();
        runtime.spawn(timeout(self.limit, discard(rest, guard)));
    }
}

async fn discard(mut rest: Limited<Incoming>, _guard: RequestGuard) {
    while let Some(Ok(_)) = rest.frame().await {}
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(inner).poll_frame(context) {
            self.timer = None;
            if !matches!(frame, Some(Ok(_))) {
                self.inner = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        timer.as_mut().poll(context).map(|()| {
            self.inner = None;
            Some(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client did not send the next part of the body in time",
            )))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or_else(SizeHint::new, Incoming::size_hint)
    }
}

/// The maximum length of a piece of a response that is passed to the HTTP library, in bytes. The library accepts a whole piece at
/// once, even if the client reads slowly.
const MAX_PIECE: usize = 64 * 1024;

pin_project! {
    /// A response body that records whether the client or the server must act next, and keeps its request counted as in progress.
    pub(super) struct WatchedBody {
        #[pin]
        inner: axum::body::Body,
        rest: Bytes,
        turn: Turn,
        guard: RequestGuard,
    }
}

impl WatchedBody {
    pub(super) fn wrap(
        inner: axum::body::Body,
        turn: Turn,
        guard: RequestGuard,
    ) -> axum::body::Body {
        axum::body::Body::new(Self {
            inner,
            rest: Bytes::new(),
            turn,
            guard,
        })
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.project();
        this.turn.start_server_turn();
        if this.rest.is_empty() {
            let polled = this.inner.poll_frame(context);
            if polled.is_ready() {
                this.turn.start_client_turn();
            }
            match polled {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => *this.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return other,
            }
        } else {
            this.turn.start_client_turn();
        }
        let piece = this.rest.split_to(this.rest.len().min(MAX_PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, inner) = (self.rest.len() as u64, self.inner.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(inner.lower().saturating_add(rest));
        hint
    }
}
