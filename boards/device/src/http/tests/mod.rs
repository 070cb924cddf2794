//! Tests of HTTP over scripted connections.

#![allow(clippy::string_slice, reason = "a panic fails the test")]

extern crate std;

mod contents;
mod heads;
mod requests;
mod responses;

use super::{HttpError, Response, head::HeadParts, read_head};
use crate::http::Method;
use chanbind_core::proof::Outcome;
use core::{
    pin::pin,
    task::{Context, Poll, Waker},
};
use embassy_time::Duration;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use std::{collections::VecDeque, vec::Vec};

/// Runs a future that waits for nothing but time.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// A connection that gives one piece at each read, and records what is written.
struct Connection {
    pieces: VecDeque<Vec<u8>>,
    end: End,
    written: Vec<u8>,
}

/// The way in which a connection goes on behind its pieces.
#[derive(Clone, Copy)]
enum End {
    Closed,
    Reset,
    Silent,
}

impl Connection {
    fn new(pieces: impl IntoIterator<Item: AsRef<[u8]>>) -> Self {
        Self {
            pieces: pieces
                .into_iter()
                .map(|piece| piece.as_ref().to_vec())
                .collect(),
            end: End::Closed,
            written: Vec::new(),
        }
    }

    /// Creates a connection that gives `text` in pieces of this length.
    fn split(text: &str, len: usize) -> Self {
        Self::new(text.as_bytes().chunks(len))
    }

    fn ending(self, end: End) -> Self {
        Self { end, ..self }
    }
}

impl ErrorType for Connection {
    type Error = ErrorKind;
}

impl Read for Connection {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        let Some(piece) = self.pieces.front_mut() else {
            return match self.end {
                End::Closed => Ok(0),
                End::Reset => Err(ErrorKind::ConnectionReset),
                End::Silent => core::future::pending().await,
            };
        };
        let len = piece.len().min(buf.len());
        buf[..len].copy_from_slice(&piece[..len]);
        piece.drain(..len);
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        Ok(len)
    }
}

impl Write for Connection {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        if matches!(self.end, End::Reset) {
            return Err(ErrorKind::ConnectionReset);
        }
        // A few at a time, as a full connection takes them.
        let len = buf.len().min(7);
        self.written.extend(&buf[..len]);
        Ok(len)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

const CUT: HttpError = HttpError::Connection(ErrorKind::ConnectionAborted);

/// The length of the buffers for heads.
const HEAD_LEN: usize = 128;

/// A response on a connection, with the memory that a session has for it.
struct Exchange {
    connection: Connection,
    head: [u8; HEAD_LEN],
    is_read: bool,
}

impl Exchange {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            head: [0; HEAD_LEN],
            is_read: true,
        }
    }

    fn parts(&mut self, method: Method) -> Result<HeadParts, HttpError> {
        block_on(read_head(&mut self.connection, method, &mut self.head))
    }

    /// Reads the head of a response to GET.
    fn response(&mut self) -> Response<'_, Connection> {
        let parts = self.parts(Method::GET).unwrap();
        Response::new(
            parts,
            Outcome::Proved,
            &self.head,
            &mut self.connection,
            Duration::from_millis(20),
            &mut self.is_read,
        )
    }
}
