//! Base64url with the error type of this module. The crate `base64ct` works in constant time and rejects encodings that are not
//! canonical.

use super::{MalformedToken, TokenError};
use base64ct::{Base64UrlUnpadded, Encoding};

/// Encodes `bytes` to the front of `out` in base64url without padding (RFC 4648 section 5).
pub(super) fn encode<'o>(bytes: &[u8], out: &'o mut [u8]) -> Result<&'o str, TokenError> {
    Base64UrlUnpadded::encode(bytes, out).map_err(|_| TokenError::BufferTooSmall)
}

/// Decodes a part of a compact serialization to the front of `out`.
pub(super) fn decode<'o>(text: &str, out: &'o mut [u8]) -> Result<&'o mut [u8], TokenError> {
    if out.len() < decoded_len(text) {
        return Err(TokenError::BufferTooSmall);
    }
    let len = Base64UrlUnpadded::decode(text, out)
        .map_err(|_| TokenError::Malformed(MalformedToken::Base64))?
        .len();
    Ok(out.get_mut(..len).unwrap_or_default())
}

/// Returns the maximum number of bytes that `text` can encode.
pub(super) fn decoded_len(text: &str) -> usize {
    text.len().div_ceil(4).saturating_mul(3)
}
