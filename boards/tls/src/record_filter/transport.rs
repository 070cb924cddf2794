use super::framing::Framing;
pub(crate) use super::framing::{REFUSED, TOO_LARGE};
use core::fmt;
use embedded_io::{ErrorKind, ErrorType};

/// A transport that protects embedded-tls from records that it cannot handle; see the module documentation.
#[derive(Debug)]
pub(crate) struct RecordFilter<T> {
    transport: T,
    framing: Framing,
}

impl<T> RecordFilter<T> {
    /// Creates a filter for a connection whose read buffer has `buffer_len` bytes.
    pub(crate) fn new(transport: T, buffer_len: usize) -> Self {
        Self {
            transport,
            framing: Framing::new(buffer_len),
        }
    }

    pub(crate) fn into_inner(self) -> T {
        self.transport
    }
}

/// An error of the transport, or the reason why the filter rejected a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordFilterError(ErrorKind);

impl RecordFilterError {
    fn from_transport(error: &impl embedded_io::Error) -> Self {
        // The kinds that mean a rejected record must not come from the transport.
        Self(match error.kind() {
            REFUSED | TOO_LARGE => ErrorKind::Other,
            kind => kind,
        })
    }
}

impl embedded_io::Error for RecordFilterError {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

impl fmt::Display for RecordFilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl core::error::Error for RecordFilterError {}

impl<T> ErrorType for RecordFilter<T> {
    type Error = RecordFilterError;
}

impl<T: embedded_io_async::Read> embedded_io_async::Read for RecordFilter<T> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, RecordFilterError> {
        let read = self.transport.read(buf).await;
        self.received(buf, read)
    }
}

impl<T: embedded_io_async::Write> embedded_io_async::Write for RecordFilter<T> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, RecordFilterError> {
        if self.framing.must_discard(buf) {
            return Ok(buf.len());
        }
        let written = self.transport.write(buf).await;
        self.sent(buf, written)
    }

    async fn flush(&mut self) -> Result<(), RecordFilterError> {
        (self.transport.flush().await).map_err(|error| RecordFilterError::from_transport(&error))
    }
}

impl<T> RecordFilter<T> {
    fn received<E: embedded_io::Error>(
        &mut self,
        buf: &mut [u8],
        read: Result<usize, E>,
    ) -> Result<usize, RecordFilterError> {
        let len = read.map_err(|error| RecordFilterError::from_transport(&error))?;
        let bytes = buf
            .get_mut(..len)
            .ok_or(RecordFilterError(ErrorKind::Other))?;
        self.framing.receive(bytes).map_err(RecordFilterError)?;
        Ok(len)
    }

    fn sent<E: embedded_io::Error>(
        &mut self,
        buf: &[u8],
        written: Result<usize, E>,
    ) -> Result<usize, RecordFilterError> {
        let len = written.map_err(|error| RecordFilterError::from_transport(&error))?;
        let bytes = buf.get(..len).ok_or(RecordFilterError(ErrorKind::Other))?;
        self.framing.sent(bytes);
        Ok(len)
    }
}
