use super::framing::Framing;
pub(crate) use super::framing::{REFUSED, TOO_LARGE};
use core::fmt;
use embedded_io::{ErrorKind, ErrorType};

/// A transport behind which embedded-tls is safe from records that it cannot stand; see the module.
#[derive(Debug)]
pub(crate) struct Guard<T> {
    transport: T,
    framing: Framing,
}

impl<T> Guard<T> {
    /// For a reader with a buffer of so many bytes.
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

/// What the transport said, or why the guard refused a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GuardError(ErrorKind);

impl GuardError {
    fn of(error: &impl embedded_io::Error) -> Self {
        // The guard's own words must not come from elsewhere.
        Self(match error.kind() {
            REFUSED | TOO_LARGE => ErrorKind::Other,
            kind => kind,
        })
    }
}

impl embedded_io::Error for GuardError {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

impl fmt::Display for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl core::error::Error for GuardError {}

impl<T> ErrorType for Guard<T> {
    type Error = GuardError;
}

impl<T: embedded_io_async::Read> embedded_io_async::Read for Guard<T> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, GuardError> {
        let read = self.transport.read(buf).await;
        self.received(buf, read)
    }
}

impl<T: embedded_io_async::Write> embedded_io_async::Write for Guard<T> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, GuardError> {
        if self.framing.holds_back(buf) {
            return Ok(buf.len());
        }
        let written = self.transport.write(buf).await;
        self.sent(buf, written)
    }

    async fn flush(&mut self) -> Result<(), GuardError> {
        (self.transport.flush().await).map_err(|error| GuardError::of(&error))
    }
}

impl<T: embedded_io::Read> embedded_io::Read for Guard<T> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, GuardError> {
        let read = self.transport.read(buf);
        self.received(buf, read)
    }
}

impl<T: embedded_io::Write> embedded_io::Write for Guard<T> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, GuardError> {
        if self.framing.holds_back(buf) {
            return Ok(buf.len());
        }
        let written = self.transport.write(buf);
        self.sent(buf, written)
    }

    fn flush(&mut self) -> Result<(), GuardError> {
        (self.transport.flush()).map_err(|error| GuardError::of(&error))
    }
}

impl<T> Guard<T> {
    fn received<E: embedded_io::Error>(
        &mut self,
        buf: &mut [u8],
        read: Result<usize, E>,
    ) -> Result<usize, GuardError> {
        let len = read.map_err(|error| GuardError::of(&error))?;
        let bytes = buf.get_mut(..len).ok_or(GuardError(ErrorKind::Other))?;
        self.framing.receive(bytes).map_err(GuardError)?;
        Ok(len)
    }

    fn sent<E: embedded_io::Error>(
        &mut self,
        buf: &[u8],
        written: Result<usize, E>,
    ) -> Result<usize, GuardError> {
        let len = written.map_err(|error| GuardError::of(&error))?;
        let bytes = buf.get(..len).ok_or(GuardError(ErrorKind::Other))?;
        self.framing.sent(bytes);
        Ok(len)
    }
}
