//! Bodies that are watched: a request's that its client must send in time, and a response's that it must take in time.

use super::activity::{Turn, UnderWay};
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

/// A request's body. Its pieces may not come further apart than a time.
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
                "the client sent no more of the body in time",
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

/// The most that the HTTP library gets of a response at a time. It takes a piece whole, whatever its client takes of it.
const MAX_PIECE: usize = 64 * 1024;

pin_project! {
    /// A response's body. Says whose turn it is, and that the request is under way.
    pub(super) struct WatchedBody {
        #[pin]
        inner: axum::body::Body,
        rest: Bytes,
        turn: Arc<Turn>,
        under_way: UnderWay,
    }
}

impl WatchedBody {
    pub(super) fn wrap(
        inner: axum::body::Body,
        turn: Arc<Turn>,
        under_way: UnderWay,
    ) -> axum::body::Body {
        axum::body::Body::new(
            Self {
                inner,
                rest: Bytes::new(),
                turn,
                under_way,
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
        this.turn.is_servers();
        if this.rest.is_empty() {
            let polled = this.inner.poll_frame(context);
            if polled.is_ready() {
                this.turn.is_clients();
            }
            match polled {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => *this.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return other,
            }
        } else {
            this.turn.is_clients();
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
