use super::activity::Activity;
use pin_project_lite::pin_project;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pin_project! {
    /// A stream that notes when its peer has taken some of a response: a large one may leave in one piece, and take a slow client long.
    pub(super) struct Progress<S> {
        #[pin]
        inner: S,
        activity: Arc<Activity>,
    }
}

/// Writes of no more than this are not of responses: HTTP/2's answers to pings and other frames of a connection.
const MAX_CONTROL_LEN: usize = 64;

impl<S> Progress<S> {
    pub(super) fn new(inner: S, activity: Arc<Activity>) -> Self {
        Self { inner, activity }
    }
}

impl<S: AsyncRead> AsyncRead for Progress<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().inner.poll_read(context, buffer)
    }
}

impl<S: AsyncWrite> AsyncWrite for Progress<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.inner.poll_write(context, bytes);
        note(this.activity, &written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.inner.poll_write_vectored(context, buffers);
        note(this.activity, &written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_shutdown(context)
    }
}

fn note(activity: &Activity, written: &Poll<io::Result<usize>>) {
    if matches!(written, Poll::Ready(Ok(len)) if *len > MAX_CONTROL_LEN) {
        activity.wrote();
    }
}
