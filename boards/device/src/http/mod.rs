//! HTTP/1.1 without an allocator: one request and its response, each with a body that is streamed.

mod chunked;
mod content;
mod head;
mod response;
#[cfg(test)]
mod tests;

pub use content::{Chunked, Content, WithLength};
pub use response::Response;

#[cfg(feature = "mutual")]
pub(crate) use content::{number, write};
pub(crate) use head::{Head, HeadParts, read_head};

use chanbind_core::error_messages;
use embedded_io_async::ErrorKind;

/// A request without its content.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// The method.
    pub method: Method,
    /// The path with the query, beginning with `/`; percent-encoded.
    pub path: &'r str,
    /// Further header fields, at most [`MAX_FIELDS`]. Host, Content-Length and Transfer-Encoding are added and must not be among them;
    /// the fields of the proof are added too, and replace those of the same name.
    pub fields: &'r [(&'r str, &'r str)],
}

impl<'r> Request<'r> {
    /// Creates a GET request.
    #[must_use]
    pub const fn get(path: &'r str) -> Self {
        Self {
            method: Method::GET,
            path,
            fields: &[],
        }
    }

    /// Creates a POST request.
    #[must_use]
    pub const fn post(path: &'r str) -> Self {
        Self {
            method: Method::POST,
            path,
            fields: &[],
        }
    }

    /// Adds header fields.
    #[must_use]
    pub const fn with_fields(self, fields: &'r [(&'r str, &'r str)]) -> Self {
        Self { fields, ..self }
    }

    /// Returns true if the request can be written as it is: nothing in it ends a line, or says where the content ends.
    pub(crate) fn is_valid(&self) -> bool {
        self.path.starts_with('/')
            && self.path.bytes().all(|byte| byte.is_ascii_graphic())
            && self.fields.len() <= MAX_FIELDS
            && self
                .fields
                .iter()
                .all(|(name, value)| is_field(name, value))
    }
}

fn is_field(name: &str, value: &str) -> bool {
    // A token of RFC 9110 section 5.6.2.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_text = |byte: u8| byte.is_ascii_graphic() || byte == b' ' || byte >= 0x80;
    !name.is_empty()
        && name.bytes().all(is_token)
        && !ADDED_FIELDS
            .iter()
            .any(|added| name.eq_ignore_ascii_case(added))
        && value.bytes().all(is_text)
}

/// The fields that every request gets.
const ADDED_FIELDS: [&str; 3] = ["host", "content-length", "transfer-encoding"];

/// The number of header fields that a [`Request`] can have.
pub const MAX_FIELDS: usize = 8;

/// The method of a request (RFC 9110 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method(&'static str);

impl Method {
    /// GET
    pub const GET: Self = Self("GET");
    /// HEAD
    pub const HEAD: Self = Self("HEAD");
    /// POST
    pub const POST: Self = Self("POST");
    /// PUT
    pub const PUT: Self = Self("PUT");
    /// DELETE
    pub const DELETE: Self = Self("DELETE");
    /// PATCH
    pub const PATCH: Self = Self("PATCH");
    /// OPTIONS
    pub const OPTIONS: Self = Self("OPTIONS");

    /// Returns the name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// The error of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpError {
    /// The connection broke, or ended in the middle of a response.
    Connection(ErrorKind),
    /// The server closed the connection before the response.
    Closed,
    /// The response is not HTTP/1.1, or its head is too long for the buffer.
    Malformed,
    /// The request has a field or path that cannot be sent, or a field that the library adds.
    InvalidRequest,
    /// The content has another length than was announced, or its reader failed.
    Content,
    /// The content was read from its source already, and the server asks for a proof: authenticate the session first.
    ContentConsumed,
    /// The content of the response is longer than the buffer for it.
    TooLong,
    /// The response before was not read to its end, or the request before failed.
    Unread,
    /// The server did not answer in time.
    TimedOut,
    /// The response has this status code, which the application does not expect. The library returns it for no response that it was
    /// given; applications do, so that the device connects anew after a while.
    Status(u16),
}

error_messages! { HttpError {
    Self::Status(status) => "the gateway answered with status {}", status;
    Self::Connection(kind) => "the connection broke: {}", kind;
    Self::Closed => "the server closed the connection before the response";
    Self::Malformed => "the response is not HTTP/1.1, or its head is too long for the buffer";
    Self::InvalidRequest => "the request cannot be sent: its path must begin with / and be visible ASCII, its fields must have no line breaks and not be Host, Content-Length or Transfer-Encoding, and there is room for 8";
    Self::Content => "the content of the request has another length than was announced, or its reader failed";
    Self::ContentConsumed => "the server asks for a proof, and the content cannot be sent twice: authenticate the session first";
    Self::TooLong => "the content of the response is longer than the buffer for it";
    Self::Unread => "the response before was not read to its end, or the request before failed: read it, or open another session";
    Self::TimedOut => "the server did not answer in time";
}}

impl core::error::Error for HttpError {}

impl embedded_io_async::Error for HttpError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Connection(kind) => *kind,
            Self::TimedOut => ErrorKind::TimedOut,
            _ => ErrorKind::Other,
        }
    }
}
