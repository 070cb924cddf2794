//! The messages that are sent (RFC 8120 section 4), in the canonical representation of every value.

use super::{
    Algorithm, MAX_ELEMENT_LEN, MAX_ORIGIN_LEN, MAX_REALM_LEN, MAX_SID_LEN, MAX_USER_LEN,
    NumberFormat, Realm, Reason, Validation,
};
use crate::wire::{Full, Writer};
use base64ct::{Base64, Encoding};

/// The longest message, in bytes.
pub const MAX_MESSAGE_LEN: usize = 192
    + MAX_ORIGIN_LEN
    + 2 * MAX_REALM_LEN
    + 3 * MAX_USER_LEN
    + 2 * MAX_SID_LEN
    + 2 * MAX_ELEMENT_LEN;

/// Writes a message into a buffer.
pub(super) struct MessageWriter<'a> {
    out: Writer<'a>,
    is_first: bool,
}

impl<'a> MessageWriter<'a> {
    /// Begins a challenge or credentials.
    pub(super) fn new(out: &'a mut [u8]) -> Result<Self, Full> {
        let mut out = Writer::new(out);
        out.put(super::SCHEME.as_bytes())?;
        out.put(b" ")?;
        Ok(Self {
            out,
            is_first: true,
        })
    }

    /// Begins a value of Authentication-Info, which names no scheme (RFC 7615 section 3).
    pub(super) fn info(out: &'a mut [u8]) -> Self {
        Self {
            out: Writer::new(out),
            is_first: true,
        }
    }

    pub(super) fn finish(self) -> &'a str {
        str::from_utf8(self.out.finish()).unwrap_or_default()
    }

    fn name(&mut self, name: &str) -> Result<(), Full> {
        if !self.is_first {
            self.out.put(b", ")?;
        }
        self.is_first = false;
        self.out.put(name.as_bytes())?;
        self.out.put(b"=")
    }

    pub(super) fn token(&mut self, name: &str, value: &str) -> Result<(), Full> {
        self.name(name)?;
        self.out.put(value.as_bytes())
    }

    pub(super) fn version(&mut self) -> Result<(), Full> {
        self.token("version", "1")
    }

    pub(super) fn integer(&mut self, name: &str, value: u64) -> Result<(), Full> {
        self.name(name)?;
        let mut digits: heapless::Vec<u8, 20> = heapless::Vec::new();
        let mut rest = value;
        loop {
            let [.., digit] = rest.wrapping_rem(10).to_be_bytes();
            // Cannot fail: 64 bits have 20 digits at most.
            let _ = digits.push(digit | b'0');
            rest = rest.wrapping_div(10);
            if rest == 0 {
                break;
            }
        }
        digits.reverse();
        self.out.put(&digits)
    }

    /// Writes text as a quoted string, or if it is not ASCII in the form of RFC 5987.
    pub(super) fn text(&mut self, name: &str, value: &str) -> Result<(), Full> {
        if value.is_ascii() {
            self.name(name)?;
            self.out.put(b"\"")?;
            for byte in value.bytes() {
                if matches!(byte, b'"' | b'\\') {
                    self.out.put(b"\\")?;
                }
                self.out.u8(byte)?;
            }
            return self.out.put(b"\"");
        }
        if !self.is_first {
            self.out.put(b", ")?;
        }
        self.is_first = false;
        self.out.put(name.as_bytes())?;
        self.out.put(b"*=UTF-8''")?;
        for byte in value.bytes() {
            // attr-char of RFC 5987 section 3.2.1.
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                self.out.u8(byte)?;
            } else {
                self.out.put(b"%")?;
                self.hex_digits(byte, b"0123456789ABCDEF")?;
            }
        }
        Ok(())
    }

    fn hex_digits(&mut self, byte: u8, digits: &[u8; 16]) -> Result<(), Full> {
        for nibble in [byte >> 4, byte & 0xf] {
            let digit = digits.get(usize::from(nibble)).copied().ok_or(Full)?;
            self.out.u8(digit)?;
        }
        Ok(())
    }

    pub(super) fn hex(&mut self, name: &str, octets: &[u8]) -> Result<(), Full> {
        self.name(name)?;
        octets
            .iter()
            .try_for_each(|&byte| self.hex_digits(byte, b"0123456789abcdef"))
    }

    /// Writes a number in the representation of the algorithm.
    pub(super) fn number(
        &mut self,
        name: &str,
        algorithm: Algorithm,
        octets: &[u8],
    ) -> Result<(), Full> {
        match algorithm.number_format() {
            NumberFormat::Hex => self.hex(name, octets),
            NumberFormat::Base64 => {
                self.name(name)?;
                let mut text = [0; MAX_ELEMENT_LEN.div_ceil(3) * 4];
                let text = Base64::encode(octets, &mut text).map_err(|_| Full)?;
                self.out.put(b"\"")?;
                self.out.put(text.as_bytes())?;
                self.out.put(b"\"")
            }
        }
    }

    /// Writes the parameters that all messages but 200-VFY-S begin with.
    pub(super) fn terms(&mut self, realm: &Realm, validation: Validation) -> Result<(), Full> {
        self.version()?;
        self.token("algorithm", realm.algorithm().token())?;
        self.token("validation", validation.token())?;
        self.text("auth-scope", realm.auth_scope())?;
        self.text("realm", realm.name())
    }
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
    let mut message = MessageWriter::new(out)?;
    message.terms(realm, validation)?;
    message.token("reason", reason.token())?;
    Ok(message.finish())
}
