//! The chunked coding of responses (RFC 9112 section 7.1).

use super::HttpError;
use embedded_io_async::{Error as _, ErrorKind, Read};

/// A decoder of chunked content. Chunk extensions and trailer fields are dropped.
#[derive(Debug)]
pub(super) struct Decoder(State);

#[derive(Debug, Clone, Copy)]
enum State {
    /// In the size of a chunk; `None` before its first digit.
    Size(Option<usize>),
    /// Behind the size of a chunk, up to the end of the line.
    Extension(usize),
    /// In the data of a chunk, with this number of bytes left.
    Data(usize),
    /// Behind the data of a chunk.
    EndOfData,
    /// At the beginning of a line behind the last chunk.
    Trailer,
    /// In a trailer field.
    TrailerField,
    /// Behind CR.
    LineFeed(Line),
    /// Behind the content.
    End,
    /// Behind a byte that is not allowed where it stands.
    Malformed,
}

/// A line that ends.
#[derive(Debug, Clone, Copy)]
enum Line {
    /// That of a chunk's size.
    Size(usize),
    /// The empty one behind the data of a chunk.
    Data,
    /// That of a trailer field.
    TrailerField,
    /// The empty one behind all.
    Last,
}

impl Decoder {
    pub(super) const fn new() -> Self {
        Self(State::Size(None))
    }

    /// Reads content, at least one byte unless `buf` is empty. 0 is the end.
    pub(super) async fn read(
        &mut self,
        from: &mut impl Read,
        buf: &mut [u8],
    ) -> Result<usize, HttpError> {
        loop {
            match self.0 {
                State::End => return Ok(0),
                State::Malformed => return Err(HttpError::Malformed),
                State::Data(left) => {
                    let room = buf.len().min(left);
                    let room = buf.get_mut(..room).unwrap_or_default();
                    if room.is_empty() {
                        return Ok(0);
                    }
                    let len = read(from, room).await?;
                    self.0 = match left.saturating_sub(len) {
                        0 => State::EndOfData,
                        left => State::Data(left),
                    };
                    return Ok(len);
                }
                state => {
                    let mut byte = [0];
                    read(from, &mut byte).await?;
                    let [byte] = byte;
                    self.0 = next(state, byte).unwrap_or(State::Malformed);
                }
            }
        }
    }
}

/// Reads at least one byte.
async fn read(from: &mut impl Read, buf: &mut [u8]) -> Result<usize, HttpError> {
    match from.read(buf).await {
        Ok(0) => Err(HttpError::Connection(ErrorKind::ConnectionAborted)),
        Ok(len) => Ok(len),
        Err(error) => Err(HttpError::Connection(error.kind())),
    }
}

/// Returns the state behind a byte that is not data; `None` if the byte is not allowed there.
fn next(state: State, byte: u8) -> Option<State> {
    Some(match (state, byte) {
        (State::Size(size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
            let digit = char::from(byte).to_digit(16)?;
            let size = size.unwrap_or(0).checked_mul(16)?;
            State::Size(Some(size.checked_add(usize::try_from(digit).ok()?)?))
        }
        (State::Size(Some(size)) | State::Extension(size), b'\r') => {
            State::LineFeed(Line::Size(size))
        }
        (State::Size(Some(size)), b';' | b' ' | b'\t') => State::Extension(size),
        (State::EndOfData, b'\r') => State::LineFeed(Line::Data),
        (State::Trailer, b'\r') => State::LineFeed(Line::Last),
        (State::TrailerField, b'\r') => State::LineFeed(Line::TrailerField),
        (State::LineFeed(line), b'\n') => match line {
            Line::Size(0) | Line::TrailerField => State::Trailer,
            Line::Size(size) => State::Data(size),
            Line::Data => State::Size(None),
            Line::Last => State::End,
        },
        (_, b'\r' | b'\n') => return None,
        (State::Extension(_), _) => state,
        (State::Trailer | State::TrailerField, _) => State::TrailerField,
        _ => return None,
    })
}
