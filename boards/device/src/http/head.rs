//! The heads of requests and responses.

use super::{
    HttpError, MAX_FIELDS, Method, Request,
    content::{number, write},
};
use chanbind_core::proof::{self, ResponseHead};
use embedded_io_async::{Error as _, Read, Write};

/// The number of header fields of a response that are parsed; a response with more is malformed.
const MAX_RESPONSE_FIELDS: usize = 32;

impl Request<'_> {
    /// Writes the head of the request.
    pub(crate) async fn write_head(
        &self,
        host: &str,
        proof: &proof::Fields<'_>,
        len: Option<usize>,
        out: &mut impl Write,
    ) -> Result<(), HttpError> {
        for part in [
            self.method.as_str(),
            " ",
            self.path,
            " HTTP/1.1\r\nhost: ",
            host,
            "\r\n",
        ] {
            write(out, part.as_bytes()).await?;
        }
        let own = self.fields.iter().take(MAX_FIELDS).copied();
        // The proof's fields replace those of the application.
        let own = own.filter(|(name, _)| {
            !proof
                .iter()
                .any(|(other, _)| other.eq_ignore_ascii_case(name))
        });
        for (name, value) in own.chain(proof.iter()) {
            for part in [name, ": ", value, "\r\n"] {
                write(out, part.as_bytes()).await?;
            }
        }
        let mut digits = [0; 10];
        match len {
            None => write(out, b"transfer-encoding: chunked\r\n").await?,
            Some(0) if matches!(self.method, Method::GET | Method::HEAD) => {}
            Some(len) => {
                write(out, b"content-length: ").await?;
                write(out, number(len, 10, &mut digits)).await?;
                write(out, b"\r\n").await?;
            }
        }
        write(out, b"\r\n").await
    }
}

/// The parts of a response's head in its buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadParts {
    pub(crate) status: u16,
    /// The length of the head.
    pub(crate) len: usize,
    /// The end of what was read: content follows the head.
    pub(crate) end: usize,
    pub(crate) framing: Framing,
    /// True if the server closes the connection after the response.
    pub(crate) is_last: bool,
}

/// The way in which the end of the content is found (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// A head in its buffer.
pub(crate) struct Head<'h> {
    pub(crate) status: u16,
    pub(crate) bytes: &'h [u8],
}

impl ResponseHead for Head<'_> {
    fn status(&self) -> u16 {
        self.status
    }

    fn field(&self, name: &str, nth: usize) -> Option<&[u8]> {
        field(self.bytes, name, nth)
    }
}

/// Returns the value of the `nth` field with this name in a complete head.
pub(super) fn field<'h>(head: &'h [u8], name: &str, nth: usize) -> Option<&'h [u8]> {
    let lines = head.split(|&byte| byte == b'\n').skip(1);
    let mut named = lines.filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (own, value) = line.split_at_checked(colon)?;
        own.eq_ignore_ascii_case(name.as_bytes())
            .then(|| value.get(1..).unwrap_or_default().trim_ascii())
    });
    named.nth(nth)
}

/// Reads the head of a response into `buffer`. Heads of 1xx are skipped.
pub(crate) async fn read_head(
    from: &mut impl Read,
    method: Method,
    buffer: &mut [u8],
) -> Result<HeadParts, HttpError> {
    let mut end = 0usize;
    loop {
        let room = buffer.get_mut(end..).unwrap_or_default();
        if room.is_empty() {
            return Err(HttpError::Malformed);
        }
        let len = from.read(room).await;
        let len = len.map_err(|error| HttpError::Connection(error.kind()))?;
        if len == 0 {
            return Err(if end == 0 {
                HttpError::Closed
            } else {
                HttpError::Connection(embedded_io_async::ErrorKind::ConnectionAborted)
            });
        }
        end = end.saturating_add(len);
        while let Some(parts) = parse(buffer.get(..end).unwrap_or_default(), method)? {
            if !(100..200).contains(&parts.status) {
                return Ok(parts);
            }
            buffer.copy_within(parts.len..end, 0);
            end = end.saturating_sub(parts.len);
        }
    }
}

/// Parses a head; `None` if it is not complete.
fn parse(bytes: &[u8], method: Method) -> Result<Option<HeadParts>, HttpError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_RESPONSE_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(HttpError::Malformed),
    };
    let status = response.code.ok_or(HttpError::Malformed)?;
    let mut framing = Framing::UntilClose;
    let mut is_last = response.version != Some(1);
    for field in response.headers.iter() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        let value = str::from_utf8(field.value).map(str::trim);
        if is("transfer-encoding") {
            // Anything but chunked is not supported.
            match value {
                Ok(value) if value.eq_ignore_ascii_case("chunked") => framing = Framing::Chunked,
                _ => return Err(HttpError::Malformed),
            }
        } else if is("content-length") && framing != Framing::Chunked {
            // `parse` alone would accept a sign.
            let digits = value
                .ok()
                .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
            let length = digits.and_then(|digits| digits.parse().ok());
            let length = length.ok_or(HttpError::Malformed)?;
            if matches!(framing, Framing::Length(other) if other != length) {
                return Err(HttpError::Malformed);
            }
            framing = Framing::Length(length);
        } else if is("connection") {
            let mut options = value.unwrap_or_default().split(',').map(str::trim);
            is_last |= options.any(|option| option.eq_ignore_ascii_case("close"));
        }
    }
    if method == Method::HEAD || matches!(status, 100..200 | 204 | 304) {
        framing = Framing::Length(0);
    }
    Ok(Some(HeadParts {
        status,
        len,
        end: bytes.len(),
        is_last: is_last || framing == Framing::UntilClose,
        framing,
    }))
}
