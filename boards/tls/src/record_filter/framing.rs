use super::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, VERSION, VERSION_AFTER_HANDSHAKE,
};
use embedded_io::ErrorKind;

/// Where one direction of a connection stands within its records: so many bytes of a header, then so many of a body to come.
#[derive(Debug, Default)]
struct Position {
    header: [u8; 5],
    header_len: usize,
    body_left: usize,
}

/// What the next bytes are.
enum Part {
    /// So many of a body.
    Body(usize),
    /// One of a header, at this place; with the last one, the whole.
    Header(usize, Option<[u8; 5]>),
}

impl Position {
    /// Takes the first bytes, or the first byte, of `bytes`.
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

/// Which records may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    ServerHello,
    /// Of the server's first flight, which is protected.
    Handshake,
    Application,
}

/// Both directions of a connection.
#[derive(Debug)]
pub(super) struct Framing {
    phase: Phase,
    received: Position,
    sent: Position,
    /// The longest body that fits the reader's buffer.
    max_body: usize,
    /// How many bytes of the ServerHello's header are to come, and the length that it must have.
    hello_left: usize,
    hello_len: usize,
    /// How many more records the server's first flight may have.
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

    /// Looks at what the server sent, before embedded-tls does.
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

    /// Looks at the header of the message in the one handshake record without protection: a ServerHello that fills the record, for
    /// records must not span a change of keys (RFC 8446 section 5.1).
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

    /// Whether a record with this header may come now.
    fn check_header(&mut self, header: &[u8; 5]) -> Result<(), ErrorKind> {
        let &[content_type, major, minor, ..] = header;
        let len = body_len(header);
        let may_come = [major, minor] == VERSION
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
                // Nobody has authenticated it.
                _ => false,
            };
        if !may_come {
            Err(REFUSED)
        } else if len > self.max_body {
            Err(TOO_LARGE)
        } else {
            Ok(())
        }
    }

    /// Whether a record of the client's must not go out: after the handshake none is sent without protection, though embedded-tls does
    /// when it closes a connection that the server has closed.
    pub(super) fn holds_back(&self, record: &[u8]) -> bool {
        let begins = self.sent.header_len == 0 && self.sent.body_left == 0;
        self.phase == Phase::Application && begins && record.first() != Some(&APPLICATION_DATA)
    }

    /// Looks at what the client has sent: with its first protected record the handshake is over.
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

/// A record that must not reach embedded-tls.
pub(crate) const REFUSED: ErrorKind = ErrorKind::InvalidData;
/// A record that does not fit the buffer.
pub(crate) const TOO_LARGE: ErrorKind = ErrorKind::OutOfMemory;

/// The longest body of a protected record (RFC 8446 section 5.2).
const MAX_BODY: usize = 16_384 + 256;
const HANDSHAKE_HEADER_LEN: usize = 4;
const SERVER_HELLO: u8 = 2;
/// A protected record of no more than this has nothing in it, not even its type.
const TAG_LEN: usize = 16;
/// EncryptedExtensions, CertificateRequest, Certificate, CertificateVerify and Finished, each in a record, and as many to spare.
const MAX_FLIGHT: u8 = 10;
