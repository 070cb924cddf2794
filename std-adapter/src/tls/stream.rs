use super::RustlsExporter;
use chanbind_core::{
    binding::ChannelBinding,
    exporter::{Exporter, ExporterError, HashAlgorithm, Protocol},
};
use rustls::HandshakeKind;
use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{client, server};

/// A tokio-rustls stream with two owners: an HTTP library that reads and writes it, and an owner that exports keying material
/// from it.
///
/// The stream is locked for the duration of one poll or one export, never across an await point.
pub struct SharedStream<S>(Arc<Mutex<S>>);

impl<S> SharedStream<S> {
    /// Wraps a stream. Clone the result for the other owner.
    #[must_use]
    pub fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }

    fn lock(&self) -> MutexGuard<'_, S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<IO> Exporter for SharedStream<client::TlsStream<IO>> {
    fn protocol(&self) -> Protocol {
        RustlsExporter::new(self.lock().get_ref().1).protocol()
    }

    fn hash(&self) -> Option<HashAlgorithm> {
        RustlsExporter::new(self.lock().get_ref().1).hash()
    }

    fn with_server_end_point(&self, use_it: &mut dyn FnMut(&[u8])) {
        let binding = {
            let stream = self.lock();
            let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
            chain
                .first()
                .map(|one| ChannelBinding::tls_server_end_point(one))
        };
        if let Some(Ok(binding)) = binding {
            use_it(binding.as_bytes());
        }
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        RustlsExporter::new(self.lock().get_ref().1).export_keying_material(label, context, out)
    }
}

impl<IO> SharedStream<client::TlsStream<IO>> {
    /// Returns the negotiated protocol version, cipher suite and key exchange group, separated by commas.
    pub(crate) fn negotiated(&self) -> String {
        let stream = self.lock();
        let connection = stream.get_ref().1;
        let parts = [
            connection
                .protocol_version()
                .map(|version| format!("{version:?}")),
            connection
                .negotiated_cipher_suite()
                .map(|suite| format!("{:?}", suite.suite())),
            connection
                .negotiated_key_exchange_group()
                .map(|group| format!("{:?}", group.name())),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Returns whether the session was resumed, once the handshake has been done.
    pub(crate) fn is_resumed(&self) -> bool {
        let stream = self.lock();
        stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

impl<IO> Exporter for SharedStream<server::TlsStream<IO>> {
    fn protocol(&self) -> Protocol {
        RustlsExporter::new(self.lock().get_ref().1).protocol()
    }

    fn hash(&self) -> Option<HashAlgorithm> {
        RustlsExporter::new(self.lock().get_ref().1).hash()
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        RustlsExporter::new(self.lock().get_ref().1).export_keying_material(label, context, out)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SharedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SharedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(cx)
    }
}

impl<S> Clone for SharedStream<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for SharedStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedStream")
    }
}
