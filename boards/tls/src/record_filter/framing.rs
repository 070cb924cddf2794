use super::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, VERSION, VERSION_AFTER_HANDSHAKE,
};
use embedded_io::ErrorKind;

/// The position of one direction of a connection within its current record: the header bytes so far, then the remaining length of
/// the body.
#[derive(Debug, Default)]
struct Position {
    header: [u8; 5],
    header_len: usize,
    body_left: usize,
}

/// A part of a record.
enum Part {
    /// This number of bytes of a body.
    Body(usize),
    /// One byte of a header, at this index. The last one comes with the whole header.
    Header(usize, Option<[u8; 5]>),
}

impl Position {
    /// Consumes bytes of a body, or one byte of a header, from the front of `bytes`. Returns `None` if `bytes` is empty.
    fn take(&mut self, bytes: &[u8]) -> Option<Part> {
        let &byte = bytes.first()?;
        if self.body_left > 0 {
            let len = self.body_left.min(bytes.len());
            self.body_left = self.body_left.saturating_sub(len);
            return Some(Part::Body(len));
        }
        let at = self.header_len;
        *self.header.get_mut(at)? = byte;
        self.header_len = at.saturating_add(1);
        if self.header_len < self.header.len() {
            return Some(Part::Header(at, None));
        }
        self.header_len = 0;
        self.body_left = body_len(&self.header);
        Some(Part::Header(at, Some(self.header)))
    }
}

fn body_len(&[_, _, _, high, low]: &[u8; 5]) -> usize {
    usize::from(u16::from_be_bytes([high, low]))
}

/// The phase of a connection, which determines the records that the server may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    ServerHello,
    /// The protected part of the server's first flight.
    Handshake,
    Application,
}

/// The record framing of both directions of a connection.
#[derive(Debug)]
pub(super) struct Framing {
    phase: Phase,
    received: Position,
    sent: Position,
    /// The longest body that fits the read buffer.
    max_body: usize,
    /// The number of bytes of the ServerHello's message header that are still to come.
    hello_left: usize,
    /// The length that the message header must state.
    hello_len: usize,
    /// The number of further records that the server's first flight may have.
    flight_left: u8,
    change_cipher_spec_left: bool,
}

impl Framing {
    pub(super) fn new(buffer_len: usize) -> Self {
        Self {
            phase: Phase::ServerHello,
            received: Position::default(),
            sent: Position::default(),
            max_body: buffer_len.min(MAX_BODY),
            hello_left: 0,
            hello_len: 0,
            flight_left: MAX_FLIGHT,
            change_cipher_spec_left: true,
        }
    }

    /// Checks bytes from the server before embedded-tls processes them, and marks records after the handshake.
    ///
    /// # Errors
    /// [`REFUSED`] or [`TOO_LARGE`].
    pub(super) fn receive(&mut self, mut bytes: &mut [u8]) -> Result<(), ErrorKind> {
        while let Some(part) = self.received.take(bytes) {
            let len = match part {
                Part::Body(len) => {
                    self.server_hello(bytes.get(..len).unwrap_or_default())?;
                    len
                }
                Part::Header(at, header) => {
                    let (marked, [major, minor]) = (self.phase, VERSION_AFTER_HANDSHAKE);
                    if let Some(header) = header {
                        self.check_header(&header)?;
                    }
                    if let (Phase::Application, Some(byte)) = (marked, bytes.first_mut()) {
                        match at {
                            1 => *byte = major,
                            2 => *byte = minor,
                            _ => {}
                        }
                    }
                    1
                }
            };
            bytes = bytes.get_mut(len..).unwrap_or_default();
        }
        Ok(())
    }

    /// Checks the message header in the only unprotected handshake record: it must be a ServerHello that fills the record, because
    /// a message must not span a change of keys (RFC 8446 section 5.1).
    fn server_hello(&mut self, body: &[u8]) -> Result<(), ErrorKind> {
        let len = u32::try_from(self.hello_len).unwrap_or(u32::MAX);
        let [_, high, middle, low] = len.to_be_bytes();
        let expected = [SERVER_HELLO, high, middle, low];
        for &byte in body.iter().take(self.hello_left) {
            let at = HANDSHAKE_HEADER_LEN.saturating_sub(self.hello_left);
            if expected.get(at) != Some(&byte) {
                return Err(REFUSED);
            }
            self.hello_left = self.hello_left.saturating_sub(1);
        }
        Ok(())
    }

    /// Checks that a record with this header is allowed in the current phase and fits the read buffer.
    fn check_header(&mut self, header: &[u8; 5]) -> Result<(), ErrorKind> {
        let &[content_type, major, minor, ..] = header;
        let len = body_len(header);
        let is_allowed = [major, minor] == VERSION
            && match (self.phase, content_type) {
                (Phase::ServerHello, HANDSHAKE) => {
                    self.phase = Phase::Handshake;
                    self.hello_left = HANDSHAKE_HEADER_LEN;
                    self.hello_len = len.saturating_sub(HANDSHAKE_HEADER_LEN);
                    len > HANDSHAKE_HEADER_LEN
                }
                (Phase::ServerHello, ALERT) => len == 2,
                (Phase::Handshake, CHANGE_CIPHER_SPEC) => {
                    core::mem::take(&mut self.change_cipher_spec_left) && len == 1
                }
                (Phase::Handshake, APPLICATION_DATA) => {
                    self.flight_left = self.flight_left.checked_sub(1).ok_or(REFUSED)?;
                    len > TAG_LEN
                }
                (Phase::Application, APPLICATION_DATA) => len > TAG_LEN,
                // An unauthenticated record.
                _ => false,
            };
        if !is_allowed {
            Err(REFUSED)
        } else if len > self.max_body {
            Err(TOO_LARGE)
        } else {
            Ok(())
        }
    }

    /// Returns true if a record of the client must not be sent. After the handshake, a client sends no unprotected records, but
    /// embedded-tls does so when it closes a connection that the server has closed.
    pub(super) fn must_discard(&self, record: &[u8]) -> bool {
        let begins = self.sent.header_len == 0 && self.sent.body_left == 0;
        self.phase == Phase::Application && begins && record.first() != Some(&APPLICATION_DATA)
    }

    /// Processes bytes that the client has sent. Its first protected record ends the handshake.
    pub(super) fn sent(&mut self, mut bytes: &[u8]) {
        while let Some(part) = self.sent.take(bytes) {
            let len = match part {
                Part::Body(len) => len,
                Part::Header(_, header) => {
                    if let Some([APPLICATION_DATA, ..]) = header {
                        self.phase = Phase::Application;
                    }
                    1
                }
            };
            bytes = bytes.get(len..).unwrap_or_default();
        }
    }
}

/// The error for a record that must not reach embedded-tls.
pub(crate) const REFUSED: ErrorKind = ErrorKind::InvalidData;
/// The error for a record that does not fit the read buffer.
pub(crate) const TOO_LARGE: ErrorKind = ErrorKind::OutOfMemory;

/// The longest body of a protected record (RFC 8446 section 5.2).
const MAX_BODY: usize = 16_384 + 256;
const HANDSHAKE_HEADER_LEN: usize = 4;
const SERVER_HELLO: u8 = 2;
/// The length of an AEAD tag. A protected record that is not longer has no content, not even a content type.
const TAG_LEN: usize = 16;
/// The limit of records in the server's first flight: twice the number of its messages, which are EncryptedExtensions,
/// CertificateRequest, Certificate, CertificateVerify and Finished.
const MAX_FLIGHT: u8 = 10;
