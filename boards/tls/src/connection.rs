use crate::{
    config::{Buffers, Config},
    error::{ConnectError, StreamError},
    handshake::{Handshake, Health, export},
    record_filter::RecordFilter,
    transcript::Suite,
};
use chanbind_core::exporter::{Exporter, ExporterError, ExporterSecret, HashAlgorithm, Protocol};
use core::{fmt, future::Future};
use embedded_io_async::{Read, Write};
use embedded_tls::{MaxFragmentLength, TlsConnection, TlsContext};
use rand_core::{CryptoRng, RngCore};

/// Opens a TLS 1.3 connection over `transport` to the server that `config` describes, with cipher suite `S`.
///
/// There is no timeout: the caller may drop the future at any time. `rng` must be unpredictable: an attacker who can guess its
/// output can read everything.
///
/// `S` also fixes the number of handshakes that may be in progress at the same time (see [`crate::HandshakeSlots`]).
///
/// # Errors
/// [`ConnectError`] if the buffers are too short, all slots are in use, the transport fails, or the server is not authenticated or
/// violates the protocol. The transport is then dropped.
pub async fn connect<'b, S: Suite, T: Read + Write + 'b, R: CryptoRng + RngCore>(
    transport: T,
    config: &Config<'_>,
    rng: R,
    buffers: Buffers<'b>,
) -> Result<Connection<'b, S, T>, ConnectError> {
    let mut slot = None;
    connect_in(&mut slot, transport, config, rng, buffers).await?;
    slot.ok_or(ConnectError::NoExporter)
}

/// Like [`connect`], but creates the connection, about 1.5 KiB, in `slot`, so that it is not copied across the stack. An earlier
/// connection in `slot` is dropped first. After an error, `slot` is empty.
///
/// # Errors
/// [`ConnectError`] if the buffers are too short, all slots are in use, the transport fails, or the server is not authenticated or
/// violates the protocol. The transport is then dropped.
pub fn connect_in<'s, 'b, S: Suite, T: Read + Write + 'b, R: CryptoRng + RngCore>(
    slot: &'s mut Option<Connection<'b, S, T>>,
    transport: T,
    config: &Config<'_>,
    rng: R,
    buffers: Buffers<'b>,
) -> impl Future<Output = Result<&'s mut Connection<'b, S, T>, ConnectError>> {
    // Not an async function that awaits this future, because it would hold the arguments a second time.
    open_in(slot, transport, config, rng, buffers)
}

/// A connection, or a type that contains one.
pub(crate) trait Wrapper<C>: Sized {
    fn wrap(inner: C) -> Self;

    fn inner_mut(&mut self) -> &mut C;
}

impl<'b, S: Suite, T: Read + Write + 'b> Wrapper<Self> for Connection<'b, S, T> {
    fn wrap(inner: Self) -> Self {
        inner
    }

    fn inner_mut(&mut self) -> &mut Self {
        self
    }
}

/// Opens a connection in a slot for a wrapper of it.
pub(crate) async fn open_in<'s, 'b, W, S, T, R>(
    slot: &'s mut Option<W>,
    transport: T,
    config: &Config<'_>,
    rng: R,
    buffers: Buffers<'b>,
) -> Result<&'s mut W, ConnectError>
where
    W: Wrapper<Connection<'b, S, T>>,
    S: Suite,
    T: Read + Write + 'b,
    R: CryptoRng + RngCore,
{
    *slot = None;
    let mut handshake = None;
    let handshake = Handshake::<S, R>::begin(&mut handshake, config, rng, &buffers)?;
    let tls_config = handshake.tls_config();
    prepare(slot, transport, buffers, config.max_fragment_length);
    let opened = match slot {
        Some(connection) => {
            let context = TlsContext::new(&tls_config, &mut *handshake);
            let opened = connection.inner_mut().tls.open(context).await;
            handshake.finish(opened)
        }
        None => Err(ConnectError::NoExporter),
    };
    match (opened, slot) {
        (Ok(exporter), Some(connection)) => {
            let inner = connection.inner_mut();
            inner.exporter = Some(exporter);
            inner.health = Health::GOOD;
            Ok(connection)
        }
        (opened, slot) => {
            *slot = None;
            Err(opened.err().unwrap_or(ConnectError::NoExporter))
        }
    }
}

/// Creates an unopened connection in `slot`. Not inlined, because the connection is built on the stack and then moved.
#[inline(never)]
fn prepare<'b, W: Wrapper<Connection<'b, S, T>>, S: Suite, T: Read + Write + 'b>(
    slot: &mut Option<W>,
    transport: T,
    buffers: Buffers<'b>,
    max_fragment_length: Option<MaxFragmentLength>,
) {
    let (read, write) = buffers.split(max_fragment_length);
    let filter = RecordFilter::new(transport, read.len());
    *slot = Some(W::wrap(Connection {
        tls: TlsConnection::new(filter, read, write),
        exporter: None,
        health: Health::NOT_OPEN,
    }));
}

/// An open connection to a server that has been authenticated as configured.
///
/// Reads, writes, and exports keying material. A read that returns 0 means that the server has closed the connection with a
/// close_notify.
pub struct Connection<'b, S: Suite, T: Read + Write + 'b> {
    tls: TlsConnection<'b, RecordFilter<T>, S>,
    /// `None` until the handshake has succeeded.
    exporter: Option<ExporterSecret>,
    health: Health,
}

impl<'b, S: Suite, T: Read + Write + 'b> Connection<'b, S, T> {
    /// Sends the remaining data and a close_notify, and returns the transport.
    ///
    /// # Errors
    /// [`StreamError`] if the connection is broken or the transport fails. The transport is then dropped.
    pub async fn close(mut self) -> Result<T, StreamError> {
        self.health.begin()?;
        match self.tls.close().await {
            Ok(filter) => Ok(filter.into_inner()),
            Err((_, error)) => Err(StreamError::from_tls(error)),
        }
    }
}

impl<'b, S: Suite, T: Read + Write + 'b> Exporter for Connection<'b, S, T> {
    fn protocol(&self) -> Protocol {
        Protocol::Tls13
    }

    fn hash(&self) -> Option<HashAlgorithm> {
        self.exporter.as_ref().and_then(Exporter::hash)
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        export(self.exporter.as_ref(), label, context, out)
    }
}

impl<'b, S: Suite, T: Read + Write + 'b> embedded_io_async::ErrorType for Connection<'b, S, T> {
    type Error = StreamError;
}

impl<'b, S: Suite, T: Read + Write + 'b> Read for Connection<'b, S, T> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, StreamError> {
        if buf.is_empty() || !self.health.begin()? {
            return Ok(0);
        }
        let read = self.tls.read(buf).await;
        self.health.end(read)
    }
}

impl<'b, S: Suite, T: Read + Write + 'b> Write for Connection<'b, S, T> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, StreamError> {
        if !self.health.begin()? {
            return Err(StreamError::Broken);
        }
        let written = self.tls.write(buf).await;
        self.health.end(written)
    }

    async fn flush(&mut self) -> Result<(), StreamError> {
        if !self.health.begin()? {
            return Err(StreamError::Broken);
        }
        let flushed = self.tls.flush().await;
        self.health.end(flushed)
    }
}

impl<'b, S: Suite, T: Read + Write + 'b> fmt::Debug for Connection<'b, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}
