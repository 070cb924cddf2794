//! Blocking variants of [`crate::connect`] and [`crate::Connection`].
//!
//! A blocking transport is used as an async one whose futures complete on the first poll, so that no executor is needed.

use crate::{
    config::{Buffers, Config},
    connection::{self, Wrapper},
    error::{ConnectError, StreamError},
    transcript::Suite,
};
use chanbind_core::exporter::{Exporter, ExporterError, HashAlgorithm, Protocol};
use core::{
    fmt,
    future::Future,
    hint::spin_loop,
    pin::pin,
    task::{Context, Poll, Waker},
};
use embedded_io::{ErrorType, Read, Write};
use rand_core::{CryptoRng, RngCore};

/// Opens a TLS 1.3 connection over `transport` to the server that `config` describes, with cipher suite `S`.
///
/// There is no timeout: the transport should have one for the whole connection, because a server that sends a byte now and then
/// never exceeds a timeout for each read. `rng` must be unpredictable: an attacker who can guess its output can read everything.
///
/// # Errors
/// [`ConnectError`] if the buffers are too short, all slots are in use, the transport fails, or the server is not authenticated or
/// violates the protocol. The transport is then dropped.
pub fn connect<'b, S: Suite, T: Read + Write + 'b, R: CryptoRng + RngCore>(
    transport: T,
    config: &Config<'_>,
    rng: R,
    buffers: Buffers<'b>,
) -> Result<Connection<'b, S, T>, ConnectError> {
    let mut slot = None;
    connect_in(&mut slot, transport, config, rng, buffers)?;
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
) -> Result<&'s mut Connection<'b, S, T>, ConnectError> {
    let transport = BlockingTransport(transport);
    block_on(connection::open_in(slot, transport, config, rng, buffers))
}

/// An open connection to a server that has been authenticated as configured.
///
/// Reads, writes, and exports keying material. A read that returns 0 means that the server has closed the connection with a
/// close_notify.
pub struct Connection<'b, S: Suite, T: Read + Write + 'b>(
    crate::Connection<'b, S, BlockingTransport<T>>,
);

impl<'b, S: Suite, T: Read + Write + 'b> Connection<'b, S, T> {
    /// Sends the remaining data and a close_notify, and returns the transport.
    ///
    /// # Errors
    /// [`StreamError`] if the connection is broken or the transport fails. The transport is then dropped.
    pub fn close(self) -> Result<T, StreamError> {
        block_on(self.0.close()).map(|transport| transport.0)
    }
}

impl<'b, S: Suite, T: Read + Write + 'b> Wrapper<crate::Connection<'b, S, BlockingTransport<T>>>
    for Connection<'b, S, T>
{
    fn wrap(inner: crate::Connection<'b, S, BlockingTransport<T>>) -> Self {
        Self(inner)
    }

    fn inner_mut(&mut self) -> &mut crate::Connection<'b, S, BlockingTransport<T>> {
        &mut self.0
    }
}

impl<'b, S: Suite, T: Read + Write + 'b> Exporter for Connection<'b, S, T> {
    fn protocol(&self) -> Protocol {
        self.0.protocol()
    }

    fn hash(&self) -> Option<HashAlgorithm> {
        self.0.hash()
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        self.0.export_keying_material(label, context, out)
    }
}

impl<'b, S: Suite, T: Read + Write + 'b> ErrorType for Connection<'b, S, T> {
    type Error = StreamError;
}

impl<'b, S: Suite, T: Read + Write + 'b> Read for Connection<'b, S, T> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, StreamError> {
        block_on(embedded_io_async::Read::read(&mut self.0, buf))
    }
}

impl<'b, S: Suite, T: Read + Write + 'b> Write for Connection<'b, S, T> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, StreamError> {
        block_on(embedded_io_async::Write::write(&mut self.0, buf))
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        block_on(embedded_io_async::Write::flush(&mut self.0))
    }
}

impl<'b, S: Suite, T: Read + Write + 'b> fmt::Debug for Connection<'b, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A blocking transport as an async one.
struct BlockingTransport<T>(T);

impl<T: ErrorType> ErrorType for BlockingTransport<T> {
    type Error = T::Error;
}

impl<T: Read> embedded_io_async::Read for BlockingTransport<T> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, T::Error> {
        self.0.read(buf)
    }
}

impl<T: Write> embedded_io_async::Write for BlockingTransport<T> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, T::Error> {
        self.0.write(buf)
    }

    async fn flush(&mut self) -> Result<(), T::Error> {
        self.0.flush()
    }
}

/// Polls a future to completion. Futures on a [`BlockingTransport`] complete on the first poll.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        spin_loop();
    }
}
