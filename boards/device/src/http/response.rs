use super::{
    HttpError,
    chunked::Decoder,
    head::{Framing, HeadParts, field},
};
use chanbind_core::proof::Outcome;
use core::fmt;
use embassy_time::{Duration, Instant, with_timeout};
use embedded_io_async::{Error as _, ErrorKind, ErrorType, Read};

/// A response. Its content is read as a stream.
///
/// Before the next request the content must be read to its end, or dropped by [`Response::discard`].
pub struct Response<'r, S> {
    pub(crate) status: u16,
    pub(crate) outcome: Outcome,
    head: &'r [u8],
    body: Body<'r, S>,
    limit: Duration,
    /// Set when the content has been read.
    is_read: &'r mut bool,
}

enum Body<'r, S> {
    Length(Incoming<'r, S>, usize),
    Chunked(Incoming<'r, S>, Decoder),
    UntilClose(Incoming<'r, S>),
}

/// The bytes of content that [`Response::discard`] reads at most.
const MAX_DISCARDED: usize = 64 * 1024;

/// The bytes that were read behind the head, and then those of the stream.
pub(crate) struct Incoming<'r, S> {
    buffered: &'r [u8],
    stream: &'r mut S,
}

impl<S: Read> ErrorType for Incoming<'_, S> {
    type Error = S::Error;
}

impl<S: Read> Read for Incoming<'_, S> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, S::Error> {
        if self.buffered.is_empty() {
            return self.stream.read(buf).await;
        }
        let len = self.buffered.len().min(buf.len());
        let (now, later) = self.buffered.split_at_checked(len).unwrap_or_default();
        for (to, from) in buf.iter_mut().zip(now) {
            *to = *from;
        }
        self.buffered = later;
        Ok(len)
    }
}

impl<'r, S: Read> Response<'r, S> {
    pub(crate) fn new(
        parts: HeadParts,
        outcome: Outcome,
        buffer: &'r [u8],
        stream: &'r mut S,
        limit: Duration,
        is_read: &'r mut bool,
    ) -> Self {
        let incoming = Incoming {
            buffered: buffer.get(parts.len..parts.end).unwrap_or_default(),
            stream,
        };
        *is_read = parts.framing == Framing::Length(0) && parts.len == parts.end;
        Self {
            status: parts.status,
            outcome,
            head: buffer.get(..parts.len).unwrap_or_default(),
            body: match parts.framing {
                Framing::Length(len) => Body::Length(incoming, len),
                Framing::Chunked => Body::Chunked(incoming, Decoder::new()),
                Framing::UntilClose => Body::UntilClose(incoming),
            },
            limit,
            is_read,
        }
    }

    /// Returns the status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns true for the status codes from 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns what the response says about the proof of its request.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Returns the value of the first header field with this name, compared without regard to case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        field(self.head, name, 0)
    }

    /// Reads the content into `buffer`, and returns it.
    ///
    /// # Errors
    /// [`HttpError::TooLong`] if the content is longer than `buffer`; [`HttpError::Connection`], [`HttpError::TimedOut`],
    /// [`HttpError::Malformed`].
    pub async fn read_to_end<'b>(&mut self, buffer: &'b mut [u8]) -> Result<&'b [u8], HttpError> {
        let mut len = 0usize;
        loop {
            let mut beyond = [0];
            let room = match buffer.get_mut(len..) {
                Some(room) if !room.is_empty() => room,
                _ => &mut beyond,
            };
            match self.read(room).await? {
                0 => return Ok(buffer.get(..len).unwrap_or_default()),
                _ if len >= buffer.len() => return Err(HttpError::TooLong),
                read => len = len.saturating_add(read),
            }
        }
    }

    /// Reads the content and drops it. Returns its length in bytes.
    ///
    /// # Errors
    /// [`HttpError::TooLong`] after 64 KiB, [`HttpError::TimedOut`] if it has not ended within the limit of a step;
    /// [`HttpError::Connection`], [`HttpError::Malformed`].
    pub async fn discard(&mut self) -> Result<usize, HttpError> {
        let end = Instant::now().saturating_add(self.limit);
        let (mut len, mut dropped) = (0usize, [0; 64]);
        loop {
            match self.read(&mut dropped).await? {
                0 => return Ok(len),
                read => len = len.saturating_add(read),
            }
            if len > MAX_DISCARDED {
                return Err(HttpError::TooLong);
            }
            if Instant::now() > end {
                return Err(HttpError::TimedOut);
            }
        }
    }

    /// Returns the bytes that were read with the head and not yet taken.
    fn buffered(&self) -> &[u8] {
        match &self.body {
            Body::Length(incoming, _) | Body::Chunked(incoming, _) | Body::UntilClose(incoming) => {
                incoming.buffered
            }
        }
    }

    async fn read_within(&mut self, buf: &mut [u8]) -> Result<usize, HttpError> {
        let broken = |error: S::Error| HttpError::Connection(error.kind());
        let cut = HttpError::Connection(ErrorKind::ConnectionAborted);
        match &mut self.body {
            Body::Length(_, 0) => Ok(0),
            Body::Length(incoming, left) => {
                let room = buf.len().min(*left);
                let room = buf.get_mut(..room).unwrap_or_default();
                let len = incoming.read(room).await.map_err(broken)?;
                *left = left.saturating_sub(len);
                if len == 0 { Err(cut) } else { Ok(len) }
            }
            Body::Chunked(incoming, decoder) => decoder.read(incoming, buf).await,
            Body::UntilClose(incoming) => incoming.read(buf).await.map_err(broken),
        }
    }
}

impl<S: Read> ErrorType for Response<'_, S> {
    type Error = HttpError;
}

impl<S: Read> Read for Response<'_, S> {
    /// Reads content, within the configured limit of a step. 0 is the end.
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, HttpError> {
        if buf.is_empty() || *self.is_read {
            return Ok(0);
        }
        let limit = self.limit;
        let read = with_timeout(limit, self.read_within(buf)).await;
        let len = read.map_err(|_| HttpError::TimedOut)??;
        let ends = len == 0 || matches!(self.body, Body::Length(_, 0));
        // Bytes behind the response are of another one, which belongs to no request. The session is then used no more.
        *self.is_read = ends && self.buffered().is_empty();
        Ok(len)
    }
}

impl<S> fmt::Debug for Response<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({}, {:?})", self.status, self.outcome)
    }
}
