//! The octet strings of RFC 8120 section 12.1.

use super::MAX_ELEMENT_LEN;
use crate::crypto::{equal, wipe};
use core::fmt;
use heapless::Vec;

/// The longest output of VI, in bytes: that of a 64-bit number.
pub(super) const MAX_VI_LEN: usize = 10;

/// Returns VI(n): big-endian digits of seven bits, of which all but the last have the top bit.
pub(super) fn vi(n: u64) -> Vec<u8, MAX_VI_LEN> {
    let mut digits = Vec::new();
    let mut rest = n;
    let mut top = 0;
    loop {
        let [.., low] = rest.to_be_bytes();
        // Cannot fail: 64 bits have ten digits.
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

/// Returns the length part of VS(s); the rest is `s` itself.
pub(super) fn vs_len(s: &[u8]) -> Vec<u8, MAX_VI_LEN> {
    vi(u64::try_from(s.len()).unwrap_or(u64::MAX))
}

/// A number in the octets of its natural length (RFC 8120 section 3.2.3), at most [`MAX_ELEMENT_LEN`] bytes. A hash or an element of
/// the group that is sent.
#[derive(Clone, PartialEq, Eq)]
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
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({} bytes)", self.0.len())
    }
}

/// A secret number: pi, S_c1, S_s1, z, or a value of verification that was not sent yet. Wiped when dropped, compared in constant time.
#[derive(Clone)]
pub struct SecretNumber(Vec<u8, MAX_ELEMENT_LEN>);

impl SecretNumber {
    /// Takes the octets, big-endian; `None` if there are more than [`MAX_ELEMENT_LEN`]. The caller must wipe any other copy of them.
    #[must_use]
    pub fn new(octets: &[u8]) -> Option<Self> {
        Vec::from_slice(octets).ok().map(Self)
    }

    /// Returns `len` bytes that `write` fills; `None` if that is more than [`MAX_ELEMENT_LEN`].
    pub(super) fn with(len: usize, write: impl FnOnce(&mut [u8])) -> Option<Self> {
        let mut octets = Vec::new();
        octets.resize(len, 0).ok()?;
        write(&mut octets);
        Some(Self(octets))
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
        let longest = vi(u64::MAX);
        assert_eq!(longest.len(), MAX_VI_LEN);
        assert_eq!(longest[0], 0x81);
        assert_eq!(vs_len(b"Tea"), b"\x03");
    }
}
