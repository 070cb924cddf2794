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
    /// A stream that records when its peer has accepted a part of a response, and since when it accepts nothing. The HTTP library may write a large
    /// response at once, and a slow client may take a long time to read it.
    pub(super) struct ProgressStream<S> {
        #[pin]
        inner: S,
        activity: Arc<Activity>,
    }
}

/// The length, in bytes, up to which a write does not count as a part of a response. HTTP/2 acknowledges pings and sends other
/// control frames in such short writes.
const MAX_CONTROL_LEN: usize = 64;

impl<S> ProgressStream<S> {
    pub(super) fn new(inner: S, activity: Arc<Activity>) -> Self {
        Self { inner, activity }
    }
}

impl<S: AsyncRead> AsyncRead for ProgressStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().inner.poll_read(context, buffer)
    }
}

impl<S: AsyncWrite> AsyncWrite for ProgressStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.inner.poll_write(context, bytes);
        record(this.activity, &written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.inner.poll_write_vectored(context, buffers);
        record(this.activity, &written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        let flushed = this.inner.poll_flush(context);
        this.activity.record_blocked(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_shutdown(context)
    }
}

fn record(activity: &Activity, written: &Poll<io::Result<usize>>) {
    activity.record_blocked(written.is_pending());
    if matches!(written, Poll::Ready(Ok(len)) if *len > MAX_CONTROL_LEN) {
        activity.record_write();
    }
}
