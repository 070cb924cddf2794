//! The octet strings of RFC 8120 section 12.1.

use super::MAX_ELEMENT_LEN;
use crate::crypto::{equal, wipe};
use core::fmt;
use heapless::Vec;

/// The longest output of VI, in bytes: that of a 32-bit number.
pub(super) const MAX_VI_LEN: usize = 5;

/// Returns VI(n): big-endian digits of seven bits, of which all but the last have the top bit.
pub(super) fn vi(n: u32) -> Vec<u8, MAX_VI_LEN> {
    let mut digits = Vec::new();
    let mut rest = n;
    let mut top = 0;
    loop {
        let [.., low] = rest.to_be_bytes();
        // Cannot fail: 32 bits have five digits.
        let _ = digits.push((low & 0x7f) | top);
        rest >>= 7;
        top = 0x80;
        if rest == 0 {
            break;
        }
    }
    digits.reverse();
    digits
}

/// Returns the decimal digits of a number.
pub(super) fn decimal(n: u32) -> Vec<u8, 10> {
    let mut digits = Vec::new();
    let mut rest = n;
    loop {
        let [.., digit] = rest.wrapping_rem(10).to_be_bytes();
        // Cannot fail: 32 bits have ten digits.
        let _ = digits.push(digit | b'0');
        rest = rest.wrapping_div(10);
        if rest == 0 {
            break;
        }
    }
    digits.reverse();
    digits
}

/// Returns the length part of VS(s); the rest is `s` itself.
pub(super) fn vs_len(s: &[u8]) -> Vec<u8, MAX_VI_LEN> {
    vi(u32::try_from(s.len()).unwrap_or(u32::MAX))
}

/// A number in the octets of its natural length (RFC 8120 section 3.2.3), at most [`MAX_ELEMENT_LEN`] bytes. A hash or an element of
/// the group that is sent or stored. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Number(Vec<u8, MAX_ELEMENT_LEN>);

impl Number {
    /// Takes the octets; `None` if there are more than [`MAX_ELEMENT_LEN`].
    #[must_use]
    pub fn new(octets: &[u8]) -> Option<Self> {
        Vec::from_slice(octets).ok().map(Self)
    }

    /// Returns the octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the place for a number of `len` bytes; see [`SecretNumber::resized`].
    pub(super) fn resized(&mut self, len: usize) -> &mut [u8] {
        self.0.clear();
        // Cannot fail: see there.
        let _ = self.0.resize_default(len);
        &mut self.0
    }
}

// J is a number: those who have it can try passwords.
impl Drop for Number {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl From<Vec<u8, MAX_ELEMENT_LEN>> for Number {
    fn from(octets: Vec<u8, MAX_ELEMENT_LEN>) -> Self {
        Self(octets)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({} bytes)", self.0.len())
    }
}

/// A secret number: pi, S_c1, S_s1, z, or a value of verification that was not sent yet. Wiped when dropped, compared in constant time.
#[derive(Clone, Default)]
pub struct SecretNumber(Vec<u8, MAX_ELEMENT_LEN>);

impl SecretNumber {
    /// Takes the octets, big-endian; `None` if there are more than [`MAX_ELEMENT_LEN`]. The caller must wipe any other copy of them.
    #[must_use]
    pub fn new(octets: &[u8]) -> Option<Self> {
        Vec::from_slice(octets).ok().map(Self)
    }

    /// Returns true if no number was written here.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Wipes the number.
    pub(super) fn clear(&mut self) {
        self.resized(0);
    }

    /// Wipes the number, and returns its place for one of `len` bytes. No function of this crate asks for more than [`MAX_ELEMENT_LEN`].
    #[inline(never)]
    pub(super) fn resized(&mut self, len: usize) -> &mut [u8] {
        wipe(&mut self.0);
        self.0.clear();
        // Cannot fail: see above.
        let _ = self.0.resize_default(len);
        &mut self.0
    }

    /// Returns the octets. They must not be logged or stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns true if the number is the one that was received, in a time that depends on the lengths alone.
    pub(super) fn is(&self, received: &[u8]) -> bool {
        equal(&self.0, received)
    }
}

impl Drop for SecretNumber {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl fmt::Debug for SecretNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretNumber(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 8120 section 12.1.
    #[test]
    fn numbers_are_encoded_as_the_rfc_shows() {
        for (n, expected) in [
            (0, "\0".as_bytes()),
            (100, b"d"),
            (10_000, &[0o316, 0o020]),
            (1_000_000, &[0o275, 0o204, b'@']),
            (127, &[0x7f]),
            (128, &[0x81, 0]),
            (16_383, &[0xff, 0x7f]),
        ] {
            assert_eq!(vi(n), expected, "{n}");
        }
        let longest = vi(u32::MAX);
        assert_eq!(longest.len(), MAX_VI_LEN);
        assert_eq!(longest[0], 0x8f);
        assert_eq!(vs_len(b"Tea"), b"\x03");
    }
}
