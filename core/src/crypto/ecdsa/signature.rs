use crate::{
    der::{Reader, Tag},
    wire::{Full, Truncated, Writer},
};

/// The maximum length of a DER-encoded P-256 signature, in bytes.
pub const MAX_DER_LEN: usize = 72;

/// An ECDSA signature on P-256: two big-endian scalars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// The scalar r.
    pub r: [u8; 32],
    /// The scalar s.
    pub s: [u8; 32],
}

impl Signature {
    /// Parses a DER-encoded `ECDSA-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }` (RFC 3279 section 2.2.3).
    ///
    /// The range of the scalars is not checked; [`P256::verify`](super::P256::verify) checks it.
    ///
    /// # Errors
    /// [`Truncated`] if the encoding is invalid, not DER or followed by other bytes, or if a scalar has more than 32 bytes.
    pub fn from_der(der: &[u8]) -> Result<Self, Truncated> {
        let mut outer = Reader::new(der);
        let mut fields = outer.sequence()?;
        let signature = Self {
            r: fields.unsigned()?,
            s: fields.unsigned()?,
        };
        if fields.is_empty() && outer.is_empty() {
            Ok(signature)
        } else {
            Err(Truncated)
        }
    }

    /// Writes the encoding that [`Signature::from_der`] parses to the front of `out` and returns it: 8 to [`MAX_DER_LEN`] bytes.
    ///
    /// # Errors
    /// [`Full`] if `out` is too short.
    pub fn to_der<'o>(&self, out: &'o mut [u8]) -> Result<&'o mut [u8], Full> {
        let ((r, r_len), (s, s_len)) = (integer(&self.r), integer(&self.s));
        let mut writer = Writer::new(out);
        writer.put(&[
            Tag::SEQUENCE.0,
            r_len.saturating_add(s_len).saturating_add(4),
        ])?;
        for (sign, magnitude, len) in [(r.0, r.1, r_len), (s.0, s.1, s_len)] {
            writer.put(&[Tag::INTEGER.0, len])?;
            if sign {
                writer.u8(0)?;
            }
            writer.put(magnitude)?;
        }
        Ok(writer.finish())
    }
}

/// Returns whether the INTEGER needs a leading sign byte, its magnitude, and the length of both together.
fn integer(scalar: &[u8; 32]) -> ((bool, &[u8]), u8) {
    let zeroes = scalar
        .iter()
        .take(31)
        .take_while(|&&byte| byte == 0)
        .count();
    let magnitude = scalar.get(zeroes..).unwrap_or_default();
    let sign = magnitude.first().is_some_and(|first| first & 0x80 != 0);
    let len = magnitude.len().saturating_add(usize::from(sign));
    ((sign, magnitude), u8::try_from(len).unwrap_or(u8::MAX))
}
