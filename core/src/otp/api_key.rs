//! API keys: the one-time key itself as the password, in base64 with padding (RFC 4648 section 4).
//!
//! A party that reads an API key can use it as long as the connection lasts, but only on this connection.

use super::{MalformedToken, OneTimeKey, TokenError};
use crate::crypto::{SecretBytes, equal};
use base64ct::{Base64, Encoding};
use core::fmt;

/// The length of an encoded key, in characters.
pub const ENCODED_LEN: usize = 44;

/// Encodes the key for a header field.
pub fn encode<'o>(key: &OneTimeKey, out: &'o mut [u8; ENCODED_LEN]) -> &'o str {
    // Cannot fail: 32 bytes are encoded as 44 characters.
    Base64::encode(key.as_bytes(), out).unwrap_or_default()
}

/// Verifies that `presented` is the encoding of `expected`, in constant time.
///
/// # Errors
/// [`TokenError::Malformed`] if `presented` is not an encoded key, [`TokenError::Rejected`] if it encodes another key.
pub fn verify(expected: &OneTimeKey, presented: &str) -> Result<(), TokenError> {
    Expected::new(expected).verify(presented)
}

/// An expected API key that is encoded once and can be compared several times. Wiped when dropped.
pub struct Expected(SecretBytes<ENCODED_LEN>);

impl Expected {
    /// Encodes the key.
    #[must_use]
    pub fn new(key: &OneTimeKey) -> Self {
        let mut encoded = SecretBytes::default();
        encode(key, &mut encoded);
        Self(encoded)
    }

    /// Verifies that `presented` is the encoding of this key, in constant time.
    ///
    /// # Errors
    /// Fails under the same conditions as [`verify`].
    pub fn verify(&self, presented: &str) -> Result<(), TokenError> {
        // A key has exactly one encoding, so the texts can be compared. Slices of different lengths are never equal.
        if equal(self.0.as_slice(), presented.as_bytes()) {
            return Ok(());
        }
        // base64ct decodes whole blocks, so the padded block needs one byte more than the key.
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
