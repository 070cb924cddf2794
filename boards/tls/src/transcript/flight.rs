//! Checks of the server's first flight as fed to the transcript hash: whole messages, in the order in which embedded-tls processes
//! them.
//!
//! embedded-tls omits checks that a client must make (RFC 8446 sections 4.1.3, 4.2 and 4.3): it accepts messages out of order,
//! and extensions that nothing in the ClientHello asks for. A fault found here does not stop embedded-tls; it is evaluated at the
//! end of the handshake, before anything is exported or application data is sent.

use chanbind_core::wire::{Reader, Truncated};

/// The state of a flight: the next message, and the first fault so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flight {
    next: Next,
    pub(crate) fault: Option<Fault>,
    /// The extensions that the server has sent.
    pub(crate) answers: Answers,
}

/// The message that must follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    ServerHello,
    EncryptedExtensions,
    /// CertificateRequest or Certificate; Finished with a pre-shared key.
    Authentication,
    Certificate,
    CertificateVerify,
    Finished,
    /// The client's own messages.
    Client,
}

/// A fault of a flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A message is missing, repeated or out of order.
    Order,
    /// The server chose a parameter that was not offered, or sent an extension that was not requested.
    NotOffered,
}

/// The extensions of a server that answer an optional extension of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Answers {
    pub(crate) pre_shared_key: bool,
    pub(crate) server_name: bool,
    pub(crate) max_fragment_length: bool,
}

impl Flight {
    pub(crate) const NEW: Self = Self {
        next: Next::ServerHello,
        fault: None,
        answers: Answers {
            pre_shared_key: false,
            server_name: false,
            max_fragment_length: false,
        },
    };

    /// Processes a part of the transcript that follows the start of the ClientHello. From ServerHello on, parts are whole
    /// messages.
    pub(crate) fn observe(&mut self, message: &[u8], hash_len: usize) {
        let (Some(&message_type), Some(body)) = (message.first(), message.get(HEADER_LEN..)) else {
            return;
        };
        let checked = match (self.next, message_type) {
            // embedded-tls feeds the end of a ClientHello with a pre-shared key separately.
            (Next::ServerHello, SERVER_HELLO) => {
                self.next = Next::EncryptedExtensions;
                self.server_hello(body, hash_len)
            }
            (Next::ServerHello | Next::Client, _) => return,
            (Next::EncryptedExtensions, ENCRYPTED_EXTENSIONS) => {
                self.next = Next::Authentication;
                self.encrypted_extensions(body)
            }
            (Next::Authentication, CERTIFICATE_REQUEST) => {
                self.next = Next::Certificate;
                Ok(())
            }
            (Next::Authentication | Next::Certificate, CERTIFICATE) => {
                self.next = Next::CertificateVerify;
                Ok(())
            }
            (Next::CertificateVerify, CERTIFICATE_VERIFY) => {
                self.next = Next::Finished;
                Ok(())
            }
            (Next::Finished | Next::Authentication, FINISHED) => {
                self.next = Next::Client;
                Ok(())
            }
            _ => {
                self.fault = self.fault.or(Some(Fault::Order));
                return;
            }
        };
        if checked.is_err() {
            self.fault = self.fault.or(Some(Fault::NotOffered));
        }
    }

    /// Checks a ServerHello (section 4.1.3) against the fixed ClientHello of embedded-tls: no session id, the cipher suite with
    /// this hash, and P-256.
    fn server_hello(&mut self, body: &[u8], hash_len: usize) -> Result<(), Truncated> {
        let mut fields = Reader::new(body);
        fields.take(LEGACY_VERSION_AND_RANDOM)?;
        let session_id = fields.sized8()?;
        let suite = fields.u16()?;
        let compression = fields.u8()?;
        let offered = match hash_len {
            32 => TLS_AES_128_GCM_SHA256,
            _ => TLS_AES_256_GCM_SHA384,
        };
        if !session_id.is_empty() || (suite, compression) != (offered, 0) {
            return Err(Truncated);
        }
        let (mut version, mut share) = (false, false);
        let mut extensions = Reader::new(fields.sized16()?);
        while !extensions.is_empty() {
            let (extension, data) = (extensions.u16()?, extensions.sized16()?);
            let seen = match (extension, data) {
                (SUPPORTED_VERSIONS, [3, 4]) => &mut version,
                // embedded-tls checks the point itself.
                (KEY_SHARE, [0, 23, 0, 65, ..]) if data.len() == 69 => &mut share,
                (PRE_SHARED_KEY, [0, 0]) => &mut self.answers.pre_shared_key,
                _ => return Err(Truncated),
            };
            if core::mem::replace(seen, true) {
                return Err(Truncated);
            }
        }
        if version && share && fields.is_empty() {
            Ok(())
        } else {
            Err(Truncated)
        }
    }

    /// Checks EncryptedExtensions (section 4.3.1) for extensions that are repeated or cannot have been requested.
    fn encrypted_extensions(&mut self, body: &[u8]) -> Result<(), Truncated> {
        let mut groups = false;
        let mut extensions = Reader::new(Reader::new(body).sized16()?);
        while !extensions.is_empty() {
            let (extension, _) = (extensions.u16()?, extensions.sized16()?);
            let seen = match extension {
                SERVER_NAME => &mut self.answers.server_name,
                MAX_FRAGMENT_LENGTH => &mut self.answers.max_fragment_length,
                SUPPORTED_GROUPS => &mut groups,
                _ => return Err(Truncated),
            };
            if core::mem::replace(seen, true) {
                return Err(Truncated);
            }
        }
        Ok(())
    }
}

/// The length of a message header, which holds the type and the length of the message.
const HEADER_LEN: usize = 4;
const LEGACY_VERSION_AND_RANDOM: usize = 2 + 32;

const SERVER_HELLO: u8 = 2;
const ENCRYPTED_EXTENSIONS: u8 = 8;
const CERTIFICATE: u8 = 11;
const CERTIFICATE_REQUEST: u8 = 13;
const CERTIFICATE_VERIFY: u8 = 15;
const FINISHED: u8 = 20;

const SERVER_NAME: u16 = 0;
const MAX_FRAGMENT_LENGTH: u16 = 1;
const SUPPORTED_GROUPS: u16 = 10;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;

const TLS_AES_128_GCM_SHA256: u16 = 0x1301;
const TLS_AES_256_GCM_SHA384: u16 = 0x1302;
