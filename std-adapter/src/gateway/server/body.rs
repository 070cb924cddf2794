//! Bodies with time limits: request bodies, which the client must send in time, and response bodies, which it must read in time.

use super::activity::{RequestGuard, Turn};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use pin_project_lite::pin_project;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// A request body that fails if the next piece does not arrive within `limit`.
pub(super) struct TimedBody {
    inner: Incoming,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl TimedBody {
    pub(super) fn wrap(inner: Incoming, limit: Duration) -> axum::body::Body {
        if inner.is_end_stream() {
            return axum::body::Body::empty();
        }
        axum::body::Body::new(Self {
            inner,
            limit,
            timer: None,
        })
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            self.timer = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        timer.as_mut().poll(context).map(|()| {
            Some(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client did not send the next part of the body in time",
            )))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
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
        turn: Arc<Turn>,
        guard: RequestGuard,
    }
}

impl WatchedBody {
    pub(super) fn wrap(
        inner: axum::body::Body,
        turn: Arc<Turn>,
        guard: RequestGuard,
    ) -> axum::body::Body {
        axum::body::Body::new(
            Self {
                inner,
                rest: Bytes::new(),
                turn,
                guard,
            }
            .map_err(axum::Error::new),
        )
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
