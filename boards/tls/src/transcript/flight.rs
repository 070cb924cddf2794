//! The server's first flight, as the transcript hash sees it: each message whole, in the order in which embedded-tls takes them.
//!
//! embedded-tls does not check all of what a client must (RFC 8446 sections 4.1.3, 4.2 and 4.3): an order of messages, and answers that
//! nothing in the ClientHello asks for. It has gone on when they are noticed here, so a fault is looked up when the handshake has ended, before
//! anything is exported or sent.

use chanbind_core::wire::{Reader, Truncated};

/// The messages of a flight that have come, and the first fault among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flight {
    next: Next,
    pub(crate) fault: Option<Fault>,
    /// The extensions by which the server has answered.
    pub(crate) has: Answers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    ServerHello,
    EncryptedExtensions,
    /// CertificateRequest, Certificate, or with a pre-shared key Finished.
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
    /// A message is missing, or comes twice or in another place.
    Order,
    /// The server chose what was not offered, or answers what was not asked.
    NotOffered,
}

/// Extensions of the server's that answer one of the client's which it need not have sent.
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
        has: Answers {
            pre_shared_key: false,
            server_name: false,
            max_fragment_length: false,
        },
    };

    /// A part of the transcript behind the ClientHello; from ServerHello on they are whole messages.
    pub(crate) fn take(&mut self, message: &[u8], hash_len: usize) {
        let (Some(&message_type), Some(body)) = (message.first(), message.get(HEADER_LEN..)) else {
            return;
        };
        let judged = match (self.next, message_type) {
            // The end of a ClientHello with a pre-shared key is fed separately.
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
        if judged.is_err() {
            self.fault = self.fault.or(Some(Fault::NotOffered));
        }
    }

    /// ServerHello (section 4.1.3), held against the one ClientHello that embedded-tls writes: no session id, the suite of this hash, P-256.
    fn server_hello(&mut self, body: &[u8], hash_len: usize) -> Result<(), Truncated> {
        let mut fields = Reader::new(body);
        fields.take(LEGACY_VERSION_AND_RANDOM)?;
        let session_id_len = fields.u8()?;
        let suite = fields.u16()?;
        let compression = fields.u8()?;
        let offered = match hash_len {
            32 => TLS_AES_128_GCM_SHA256,
            _ => TLS_AES_256_GCM_SHA384,
        };
        if (session_id_len, suite, compression) != (0, offered, 0) {
            return Err(Truncated);
        }
        let (mut version, mut share) = (false, false);
        let mut extensions = Reader::new(fields.sized16()?);
        while !extensions.is_empty() {
            let (extension, data) = (extensions.u16()?, extensions.sized16()?);
            let first = match (extension, data) {
                (SUPPORTED_VERSIONS, [3, 4]) => &mut version,
                // The point itself is embedded-tls' to check.
                (KEY_SHARE, [0, 23, 0, 65, ..]) if data.len() == 69 => &mut share,
                (PRE_SHARED_KEY, [0, 0]) => &mut self.has.pre_shared_key,
                _ => return Err(Truncated),
            };
            if core::mem::replace(first, true) {
                return Err(Truncated);
            }
        }
        if version && share && fields.is_empty() {
            Ok(())
        } else {
            Err(Truncated)
        }
    }

    /// EncryptedExtensions (section 4.3.1).
    fn encrypted_extensions(&mut self, body: &[u8]) -> Result<(), Truncated> {
        let mut groups = false;
        let mut extensions = Reader::new(Reader::new(body).sized16()?);
        while !extensions.is_empty() {
            let (extension, _) = (extensions.u16()?, extensions.sized16()?);
            let first = match extension {
                SERVER_NAME => &mut self.has.server_name,
                MAX_FRAGMENT_LENGTH => &mut self.has.max_fragment_length,
                SUPPORTED_GROUPS => &mut groups,
                _ => return Err(Truncated),
            };
            if core::mem::replace(first, true) {
                return Err(Truncated);
            }
        }
        Ok(())
    }
}

/// A message's type and length.
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
