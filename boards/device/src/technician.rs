//! A small HTTP server for a technician, who logs in with a password or PIN: both sides prove themselves, by HTTP Mutual authentication (RFC 8120).
//!
//! It speaks plain HTTP, because embedded-tls has no server: for a local link, such as a cable between board and laptop. Others on that link learn
//! nothing by which a password could be tried. But the proofs of RFC 8120 cover neither requests nor responses: those who can change the traffic read
//! everything, replace a technician's request by one of their own (method, path and content) while it is logged in, one for one, and replace responses
//! (`docs/THREAT-MODEL.md`).
//!
//! ```
//! use chanbind_core::mutual::{HostValidation, MutualError, MutualServer, Origin, Realm, ServerLimits, StoredCredential};
//! use chanbind_device::technician::{self, Memory, Page, Visit};
//! use embedded_io_async::{Read, Write};
//! use rand_core::RngCore;
//!
//! struct Status;
//!
//! impl Page for Status {
//!     async fn respond(&mut self, visit: &Visit<'_>, out: &mut [u8]) -> (u16, usize) {
//!         let text = match visit.path {
//!             "/status" => "running\n",
//!             _ => return (404, 0),
//!         };
//!         let len = text.len().min(out.len());
//!         out[..len].copy_from_slice(&text.as_bytes()[..len]);
//!         (200, len)
//!     }
//! }
//!
//! async fn visit(
//!     stream: &mut (impl Read + Write),
//!     server: &mut MutualServer<2>,
//!     stored: &StoredCredential,
//!     rng: &mut impl RngCore,
//!     now: impl Fn() -> u64,
//! ) -> Result<(), technician::VisitError> {
//!     let find = |user: &str| (user == "technician").then(|| stored.clone());
//!     technician::serve(stream, server, &find, &now, rng, &mut Status, &mut Memory::new()).await
//! }
//! ```

use crate::http::HttpError;
use chanbind_core::{
    crypto::SecretBytes,
    error_messages,
    mutual::{MAX_MESSAGE_LEN, MutualError, MutualServer, ServerAnswer, StoredCredential},
};
use core::fmt;
use embedded_io_async::{Error as _, Read, Write};
use rand_core::RngCore;

/// The longest head of a request together with its content, in bytes.
pub const REQUEST_LEN: usize = 2_048;

/// The longest content of a response, in bytes.
pub const RESPONSE_LEN: usize = 1_024;

/// The number of header fields of a request.
const MAX_REQUEST_FIELDS: usize = 24;

/// The memory of a connection.
pub struct Memory {
    request: [u8; REQUEST_LEN],
    message: [u8; MAX_MESSAGE_LEN],
    response: [u8; RESPONSE_LEN],
}

impl Memory {
    /// Creates empty memory.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        Self {
            request: [0; REQUEST_LEN],
            message: [0; MAX_MESSAGE_LEN],
            response: [0; RESPONSE_LEN],
        }
    }
}

/// A request of a technician who has logged in.
#[derive(Clone, Copy)]
pub struct Visit<'v> {
    /// The user.
    pub user: &'v str,
    /// The method.
    pub method: &'v str,
    /// The path with the query.
    pub path: &'v str,
    /// The content.
    pub content: &'v [u8],
}

/// The pages of the board.
#[allow(async_fn_in_trait, reason = "it runs on one core")]
pub trait Page {
    /// Responds to a request: writes the content of the response to the front of `out`, and returns its status and length.
    async fn respond(&mut self, visit: &Visit<'_>, out: &mut [u8]) -> (u16, usize);
}

/// The error of serving a connection. The board closes it, and waits for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VisitError {
    /// The connection broke, or the request is malformed.
    Http(HttpError),
    /// The authentication cannot be carried out.
    Mutual(MutualError),
}

error_messages! { VisitError {
    Self::Http(error) => "{}", error;
    Self::Mutual(error) => "{}", error;
}}

impl core::error::Error for VisitError {}

impl From<HttpError> for VisitError {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

impl From<MutualError> for VisitError {
    fn from(error: MutualError) -> Self {
        Self::Mutual(error)
    }
}

/// Serves one connection until the client closes it. The caller limits the time: a client may be slow or silent.
///
/// `find` looks a user up, `now` returns seconds that do not go backwards.
///
/// # Errors
/// [`VisitError`]
pub async fn serve<S, const SESSIONS: usize>(
    stream: &mut S,
    server: &mut MutualServer<SESSIONS>,
    find: &dyn Fn(&str) -> Option<StoredCredential>,
    now: &dyn Fn() -> u64,
    rng: &mut impl RngCore,
    page: &mut impl Page,
    memory: &mut Memory,
) -> Result<(), VisitError>
where
    S: Read + Write,
{
    let mut held = 0;
    loop {
        let Some(head_len) = read_head(stream, &mut memory.request, &mut held).await? else {
            return Ok(());
        };
        let (head, rest) = memory
            .request
            .split_at_mut_checked(head_len)
            .ok_or(HttpError::Malformed)?;
        let request = match Parsed::of(head) {
            Ok(request) => request,
            Err(status) => {
                respond(stream, status, "", "", &Content::NONE, true).await?;
                return Ok(());
            }
        };
        if request.content_len > rest.len() {
            respond(stream, 413, "", "", &Content::NONE, true).await?;
            return Ok(());
        }
        let mut have = held.saturating_sub(head_len);
        while have < request.content_len {
            let place = rest.get_mut(have..).unwrap_or_default();
            have = have.saturating_add(read(stream, place).await?);
        }
        let content = rest.get(..request.content_len).unwrap_or_default();
        let mut random = SecretBytes::<64>::default();
        rng.fill_bytes(&mut *random);
        let answer = server.answer(
            request.authorization,
            find,
            now(),
            &random,
            &mut memory.message,
        )?;
        let is_last = request.is_last;
        match answer {
            ServerAnswer::Challenge(text) | ServerAnswer::Refused(text) => {
                respond(
                    stream,
                    401,
                    "www-authenticate",
                    text,
                    &Content::NONE,
                    is_last,
                )
                .await?;
            }
            ServerAnswer::Proved { user, info } => {
                let visit = Visit {
                    user: &user,
                    method: request.method,
                    path: request.path,
                    content,
                };
                let (status, len) = page.respond(&visit, &mut memory.response).await;
                let content = Content {
                    octets: memory.response.get(..len).unwrap_or_default(),
                    // The response to HEAD has a length and no content.
                    is_sent: request.method != "HEAD",
                };
                let name = "authentication-info";
                respond(stream, status, name, info, &content, is_last).await?;
            }
        }
        if is_last {
            return Ok(());
        }
        // The bytes after this request are the beginning of the next one.
        let used = head_len.saturating_add(request.content_len);
        let end = head_len.saturating_add(have);
        memory.request.copy_within(used..end, 0);
        held = end.saturating_sub(used);
    }
}

/// A request's head.
struct Parsed<'h> {
    method: &'h str,
    path: &'h str,
    authorization: Option<&'h str>,
    content_len: usize,
    is_last: bool,
}

impl<'h> Parsed<'h> {
    /// Parses a head. The error is the status of the answer.
    fn of(head: &'h [u8]) -> Result<Self, u16> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_REQUEST_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(head) {
            // A bare LF could end it earlier: another reader of the connection would see another request.
            Ok(httparse::Status::Complete(len)) if len == head.len() => {}
            _ => return Err(400),
        }
        if head
            .windows(2)
            .any(|two| matches!(two, [before, b'\n'] if *before != b'\r'))
        {
            return Err(400);
        }
        let mut parsed = Self {
            method: request.method.ok_or(400_u16)?,
            path: request.path.ok_or(400_u16)?,
            authorization: None,
            content_len: 0,
            is_last: request.version != Some(1),
        };
        if !parsed.path.starts_with('/') {
            return Err(400);
        }
        let (mut has_len, mut hosts) = (false, 0_u8);
        for field in request.headers.iter() {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            if is("authorization") {
                let value = str::from_utf8(field.value).map_err(|_| 400_u16)?;
                if parsed.authorization.replace(value).is_some() {
                    return Err(400);
                }
            } else if is("content-length") {
                let value = str::from_utf8(field.value).map_err(|_| 400_u16)?;
                let is_number =
                    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                if has_len || !is_number {
                    return Err(400);
                }
                has_len = true;
                parsed.content_len = value.parse().map_err(|_| 413_u16)?;
            } else if is("transfer-encoding") {
                return Err(501);
            } else if is("connection") {
                let mut options = field.value.split(|byte| *byte == b',');
                parsed.is_last |=
                    options.any(|one| one.trim_ascii().eq_ignore_ascii_case(b"close"));
            } else if is("host") {
                hosts = hosts.saturating_add(1);
            }
        }
        // HTTP/1.0 has no Host.
        if hosts != 1 && !(hosts == 0 && request.version == Some(0)) {
            return Err(400);
        }
        Ok(parsed)
    }
}

/// Reads up to the end of a head, and returns its length; `None` if the client closes the connection before the first byte.
async fn read_head(
    stream: &mut impl Read,
    buffer: &mut [u8; REQUEST_LEN],
    held: &mut usize,
) -> Result<Option<usize>, HttpError> {
    loop {
        let read_up_to = buffer.get(..*held).unwrap_or_default();
        if let Some(end) = read_up_to.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(end.saturating_add(4)));
        }
        let place = buffer.get_mut(*held..).unwrap_or_default();
        if place.is_empty() {
            return Err(HttpError::Malformed);
        }
        match read(stream, place).await {
            Err(HttpError::Closed) if *held == 0 => return Ok(None),
            read => *held = held.saturating_add(read?),
        }
    }
}

/// Reads at least one byte.
async fn read(stream: &mut impl Read, place: &mut [u8]) -> Result<usize, HttpError> {
    match stream.read(place).await {
        Ok(0) => Err(HttpError::Closed),
        Ok(len) => Ok(len),
        Err(error) => Err(HttpError::Connection(error.kind())),
    }
}

/// The content of a response.
struct Content<'c> {
    octets: &'c [u8],
    is_sent: bool,
}

impl Content<'_> {
    const NONE: Self = Self {
        octets: &[],
        is_sent: true,
    };
}

/// Writes a response.
async fn respond(
    stream: &mut impl Write,
    status: u16,
    name: &str,
    value: &str,
    content: &Content<'_>,
    is_last: bool,
) -> Result<(), HttpError> {
    use crate::http::{number, write};
    let (mut status_digits, mut len_digits) = ([0; 10], [0; 10]);
    write(stream, b"HTTP/1.1 ").await?;
    write(stream, number(usize::from(status), 10, &mut status_digits)).await?;
    write(stream, b" ").await?;
    // With these there is never content (RFC 9110 section 8.6).
    let has_content = !matches!(status, 204 | 304);
    if has_content {
        write(stream, b"\r\ncontent-length: ").await?;
        write(stream, number(content.octets.len(), 10, &mut len_digits)).await?;
    }
    if !name.is_empty() {
        for part in ["\r\n", name, ": ", value] {
            write(stream, part.as_bytes()).await?;
        }
    }
    if is_last {
        write(stream, b"\r\nconnection: close").await?;
    }
    write(stream, b"\r\n\r\n").await?;
    if has_content && content.is_sent {
        write(stream, content.octets).await?;
    }
    let flushed = stream.flush().await;
    flushed.map_err(|error| HttpError::Connection(error.kind()))
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl fmt::Debug for Visit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Visit({:?}, {} {})", self.user, self.method, self.path)
    }
}
