//! The key itself as password, in the base64 of RFC 4648 section 4 with padding.
//!
//! Whoever reads it can use it on this connection for as long as it lasts, and nowhere else.

use super::{MalformedToken, OneTimeKey, TokenError};
use crate::crypto::{SecretBytes, equal};
use base64ct::{Base64, Encoding};
use core::fmt;

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
    Expected::new(expected).verify(presented)
}

/// An API key that is expected more than once, encoded in advance. SecretBytes when dropped.
pub struct Expected(SecretBytes<ENCODED_LEN>);

impl Expected {
    /// Encodes the key.
    #[must_use]
    pub fn new(key: &OneTimeKey) -> Self {
        let mut encoded = SecretBytes::default();
        encode(key, &mut encoded);
        Self(encoded)
    }

    /// As [`verify`].
    ///
    /// # Errors
    /// As [`verify`].
    pub fn verify(&self, presented: &str) -> Result<(), TokenError> {
        // There is one encoding of a key, so text can be compared; slices of two lengths are never equal.
        if equal(self.0.as_slice(), presented.as_bytes()) {
            return Ok(());
        }
        // base64ct decodes whole blocks: one byte more than the key for the padded one.
        let mut buffer = [0; OneTimeKey::LEN + 1];
        match Base64::decode(presented, &mut buffer) {
            Ok(key) if key.len() == OneTimeKey::LEN => Err(TokenError::Rejected),
            Ok(_) | Err(base64ct::Error::InvalidLength) => {
                Err(TokenError::Malformed(MalformedToken::Structure))
            }
            Err(base64ct::Error::InvalidEncoding) => {
                Err(TokenError::Malformed(MalformedToken::Base64))
            }
        }
    }
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expected(hidden)")
    }
}
