//! The messages that are sent (RFC 8120 section 4), in the canonical representation of every value.

use super::{
    Algorithm, MAX_ELEMENT_LEN, MAX_ORIGIN_LEN, MAX_REALM_LEN, MAX_SID_LEN, MAX_USER_LEN,
    NumberFormat, Realm, Reason, Validation, numbers::decimal,
};
use crate::wire::{Full, Writer};
#[cfg(feature = "mutual-dl")]
use base64ct::{Base64, Encoding};

/// The longest message, in bytes.
pub const MAX_MESSAGE_LEN: usize = 192
    + MAX_ORIGIN_LEN
    + 2 * MAX_REALM_LEN
    + 3 * MAX_USER_LEN
    + 2 * MAX_SID_LEN
    + 2 * MAX_ELEMENT_LEN;

/// Writes a message into a buffer. That the buffer is too short is noticed at the end.
pub(super) struct MessageWriter<'a> {
    out: Writer<'a>,
    is_full: bool,
    is_first: bool,
}

impl<'a> MessageWriter<'a> {
    /// Begins a challenge or credentials.
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        let mut message = Self::info(out);
        message.put(super::SCHEME);
        message.put(" ");
        message
    }

    /// Begins a value of Authentication-Info, which names no scheme (RFC 7615 section 3).
    pub(super) fn info(out: &'a mut [u8]) -> Self {
        Self {
            out: Writer::new(out),
            is_full: false,
            is_first: true,
        }
    }

    pub(super) fn finish(self) -> Result<&'a str, Full> {
        let text = str::from_utf8(self.out.finish()).map_err(|_| Full)?;
        (!self.is_full).then_some(text).ok_or(Full)
    }

    // Not inlined: it has many callers, and a firmware has little flash.
    #[inline(never)]
    fn put(&mut self, text: &str) {
        self.is_full |= self.out.put(text.as_bytes()).is_err();
    }

    #[inline(never)]
    fn byte(&mut self, byte: u8) {
        self.is_full |= self.out.u8(byte).is_err();
    }

    fn name(&mut self, name: &str) {
        if !self.is_first {
            self.put(", ");
        }
        self.is_first = false;
        self.put(name);
    }

    #[inline(never)]
    pub(super) fn token(&mut self, name: &str, value: &str) {
        self.name(name);
        self.put("=");
        self.put(value);
    }

    pub(super) fn version(&mut self) {
        self.token("version", "1");
    }

    pub(super) fn integer(&mut self, name: &str, value: u32) {
        self.token(name, str::from_utf8(&decimal(value)).unwrap_or_default());
    }

    /// Writes text as a quoted string, or if it is not ASCII in the form of RFC 5987.
    #[inline(never)]
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        let is_ascii = value.is_ascii();
        self.put(if is_ascii { "=\"" } else { "*=UTF-8''" });
        for byte in value.bytes() {
            match byte {
                b'"' | b'\\' if is_ascii => self.put("\\"),
                _ if is_ascii || is_attribute_character(byte) => {}
                _ => {
                    self.put("%");
                    self.hex_digits(byte, b"0123456789ABCDEF");
                    continue;
                }
            }
            self.byte(byte);
        }
        if is_ascii {
            self.put("\"");
        }
    }

    fn hex_digits(&mut self, byte: u8, digits: &[u8; 16]) {
        for nibble in [byte >> 4, byte & 0xf] {
            self.byte(digits.get(usize::from(nibble)).copied().unwrap_or_default());
        }
    }

    pub(super) fn hex(&mut self, name: &str, octets: &[u8]) {
        self.token(name, "");
        for &byte in octets {
            self.hex_digits(byte, b"0123456789abcdef");
        }
    }

    /// Writes a number in the representation of the algorithm.
    pub(super) fn number(&mut self, name: &str, algorithm: Algorithm, octets: &[u8]) {
        match algorithm.number_format() {
            NumberFormat::Hex => self.hex(name, octets),
            #[cfg(feature = "mutual-dl")]
            NumberFormat::Base64 => {
                let mut text = [0; MAX_ELEMENT_LEN.div_ceil(3) * 4];
                let text = Base64::encode(octets, &mut text);
                self.is_full |= text.is_err();
                self.text(name, text.unwrap_or_default());
            }
        }
    }

    /// Writes the parameters that all messages but 200-VFY-S begin with.
    pub(super) fn terms(&mut self, realm: &Realm, validation: Validation) {
        self.version();
        self.token("algorithm", realm.algorithm().token());
        self.token("validation", validation.token());
        self.text("auth-scope", realm.auth_scope());
        self.text("realm", realm.name());
    }
}

/// Returns true for an attr-char of RFC 5987 section 3.2.1.
fn is_attribute_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'&' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// Writes a 401-INIT message, or with [`Reason::StaleSession`] a 401-STALE, to the front of `out` and returns it: a challenge.
///
/// # Errors
/// [`Full`] if `out` is too short; [`MAX_MESSAGE_LEN`] bytes are enough.
pub fn write_init<'o>(
    realm: &Realm,
    validation: Validation,
    reason: Reason,
    out: &'o mut [u8],
) -> Result<&'o str, Full> {
    let mut message = MessageWriter::new(out);
    message.terms(realm, validation);
    message.token("reason", reason.token());
    message.finish()
}
