//! The key itself as password, in the base64 of RFC 4648 section 4 with padding.
//!
//! Whoever reads it can use it on this connection for as long as it lasts, and nowhere else.

use super::{Malformed, OneTimeKey, TokenError};
use base64ct::{Base64, Encoding};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The length of an encoded key.
pub const ENCODED_LEN: usize = 44;

/// Encodes the key for a header.
pub fn encode<'o>(key: &OneTimeKey, out: &'o mut [u8; ENCODED_LEN]) -> &'o str {
    // 32 bytes are 44 characters: the buffer always suffices.
    Base64::encode(key.as_bytes(), out).unwrap_or_default()
}

/// Accepts `presented` if it is the encoding of `expected`; constant-time in both.
///
/// # Errors
/// [`TokenError::Malformed`] for what cannot be an encoded key, [`TokenError::Rejected`] for another key.
pub fn verify(expected: &OneTimeKey, presented: &str) -> Result<(), TokenError> {
    if presented.len() != ENCODED_LEN {
        return Err(TokenError::Malformed(Malformed::Structure));
    }
    // base64ct decodes whole blocks: one byte more than the key for the padded one.
    let mut buffer = Zeroizing::new([0; OneTimeKey::LEN + 1]);
    let presented = Base64::decode(presented, buffer.as_mut_slice())
        .map_err(|_| TokenError::Malformed(Malformed::Base64))?;
    if presented.len() != OneTimeKey::LEN {
        return Err(TokenError::Malformed(Malformed::Structure));
    }
    if expected.as_bytes().as_slice().ct_eq(presented).into() {
        Ok(())
    } else {
        Err(TokenError::Rejected)
    }
}
