use super::HttpError;
use embedded_io_async::{Error as _, Read, Write};

/// The content of a request.
#[allow(async_fn_in_trait, reason = "devices run their futures on one core")]
pub trait Content {
    /// Returns the length in bytes; `None` if it is not known, and then the content is sent in chunks.
    fn len(&self) -> Option<usize>;

    /// Returns true if there is no content.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Returns false if the content can be written only once.
    fn is_repeatable(&self) -> bool;

    /// Writes the content, in chunks if its length is not known.
    ///
    /// # Errors
    /// [`HttpError::Connection`] if the connection breaks, [`HttpError::Content`] if the source fails or has another length.
    async fn write(&mut self, out: &mut impl Write) -> Result<(), HttpError>;
}

/// No content.
impl Content for () {
    fn len(&self) -> Option<usize> {
        Some(0)
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    async fn write(&mut self, _: &mut impl Write) -> Result<(), HttpError> {
        Ok(())
    }
}

impl Content for &[u8] {
    fn len(&self) -> Option<usize> {
        Some(<[u8]>::len(self))
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    async fn write(&mut self, out: &mut impl Write) -> Result<(), HttpError> {
        write(out, self).await
    }
}

/// The content of a reader, with a length that is known beforehand.
#[derive(Debug)]
pub struct WithLength<R> {
    reader: R,
    len: usize,
    is_used: bool,
}

impl<R: Read> WithLength<R> {
    /// Takes the next `len` bytes of a reader.
    pub const fn new(reader: R, len: usize) -> Self {
        Self {
            reader,
            len,
            is_used: false,
        }
    }
}

impl<R: Read> Content for WithLength<R> {
    fn len(&self) -> Option<usize> {
        Some(self.len)
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    async fn write(&mut self, out: &mut impl Write) -> Result<(), HttpError> {
        if core::mem::replace(&mut self.is_used, true) {
            return Err(HttpError::ContentConsumed);
        }
        let mut buffer = [0; BLOCK_LEN];
        let mut left = self.len;
        while left > 0 {
            let room = buffer.get_mut(..left.min(BLOCK_LEN)).unwrap_or_default();
            let len = self.reader.read(room).await;
            let len = len.map_err(|_| HttpError::Content)?;
            if len == 0 {
                return Err(HttpError::Content);
            }
            write(out, room.get(..len).unwrap_or_default()).await?;
            left = left.saturating_sub(len);
        }
        Ok(())
    }
}

/// The content of a reader up to its end, whose length is not known beforehand (RFC 9112 section 7.1).
#[derive(Debug)]
pub struct Chunked<R> {
    reader: R,
    is_used: bool,
}

impl<R: Read> Chunked<R> {
    /// Takes all bytes of a reader.
    pub const fn new(reader: R) -> Self {
        Self {
            reader,
            is_used: false,
        }
    }
}

impl<R: Read> Content for Chunked<R> {
    fn len(&self) -> Option<usize> {
        None
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    async fn write(&mut self, out: &mut impl Write) -> Result<(), HttpError> {
        if core::mem::replace(&mut self.is_used, true) {
            return Err(HttpError::ContentConsumed);
        }
        let mut buffer = [0; BLOCK_LEN];
        loop {
            let len = self.reader.read(&mut buffer).await;
            let len = len.map_err(|_| HttpError::Content)?;
            let mut digits = [0; 10];
            write(out, number(len, 16, &mut digits)).await?;
            write(out, b"\r\n").await?;
            write(out, buffer.get(..len).unwrap_or_default()).await?;
            write(out, b"\r\n").await?;
            if len == 0 {
                return Ok(());
            }
        }
    }
}

/// The bytes that are read from a source at a time.
const BLOCK_LEN: usize = 128;

pub(crate) async fn write(out: &mut impl Write, bytes: &[u8]) -> Result<(), HttpError> {
    let written = out.write_all(bytes).await;
    written.map_err(|error| HttpError::Connection(error.kind()))
}

/// Writes a number in this base to the end of `out`.
pub(crate) fn number(mut value: usize, base: usize, out: &mut [u8; 10]) -> &[u8] {
    let mut start = out.len();
    loop {
        let digit = value.checked_rem(base).unwrap_or_default();
        value = value.checked_div(base).unwrap_or_default();
        start = start.saturating_sub(1);
        if let (Some(place), Some(digit)) = (out.get_mut(start), b"0123456789abcdef".get(digit)) {
            *place = *digit;
        }
        if value == 0 || start == 0 {
            return out.get(start..).unwrap_or_default();
        }
    }
}
