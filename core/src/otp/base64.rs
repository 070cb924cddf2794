//! base64ct does the work in constant time and refuses what is not canonical; here are its errors in this module's words.

use super::{MalformedToken, TokenError};
use base64ct::{Base64UrlUnpadded, Encoding};

/// Encodes `bytes` into the front of `out` by RFC 4648 section 5 without padding.
pub(super) fn encode<'o>(bytes: &[u8], out: &'o mut [u8]) -> Result<&'o str, TokenError> {
    Base64UrlUnpadded::encode(bytes, out).map_err(|_| TokenError::BufferTooSmall)
}

/// Decodes a part of a compact serialization into the front of `out`.
pub(super) fn decode<'o>(text: &str, out: &'o mut [u8]) -> Result<&'o mut [u8], TokenError> {
    if out.len() < decoded_len(text) {
        return Err(TokenError::BufferTooSmall);
    }
    let len = Base64UrlUnpadded::decode(text, out)
        .map_err(|_| TokenError::Malformed(MalformedToken::Base64))?
        .len();
    Ok(out.get_mut(..len).unwrap_or_default())
}

/// The most bytes that `text` can stand for.
pub(super) fn decoded_len(text: &str) -> usize {
    text.len().div_ceil(4).saturating_mul(3)
}
