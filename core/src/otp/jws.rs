//! Claims with an HS256 signature, in the compact serialization (RFC 7515 section 7.1): `header.payload.signature`.

use super::{
    Claims, Header, MalformedToken, OneTimeKey, Policy, TokenError,
    base64::{decode, decoded_len, encode},
    header::{self, Form},
    json::Arena,
};
use crate::crypto::{HmacSha256State, equal};

/// The content of a verified token. It borrows from the caller's scratch buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'a> {
    /// The header of the token.
    pub header: Header<'a>,
    /// The claims of the token, which satisfy the policy.
    pub claims: Claims<'a>,
    /// The complete payload as JSON.
    pub payload: &'a [u8],
}

/// Signs `payload`, a JSON object such as [`Claims::encode`] writes, and writes the token to the front of `out`.
///
/// The length of the token is 45 bytes for the signature and two dots, plus four thirds of the lengths of header and payload, each
/// rounded up.
///
/// # Errors
/// [`TokenError::BufferTooSmall`] if `out` is shorter than the token.
pub fn sign<'o>(
    key: &OneTimeKey,
    header: &Header<'_>,
    payload: &[u8],
    out: &'o mut [u8],
) -> Result<&'o str, TokenError> {
    let mut len = header::encode(Form::Jws, header, out)?;
    len = append(out, len, b".")?;
    len = append_encoded(out, len, payload)?;
    let signature = mac(key, out.get(..len).unwrap_or_default());
    len = append(out, len, b".")?;
    len = append_encoded(out, len, &signature)?;
    text(out, len)
}

/// Verifies the signature of `token` and checks its claims against `policy`. [`super::scratch_len`] bytes of `scratch` are
/// sufficient.
///
/// # Errors
/// [`TokenError::Malformed`] if `token` is not a JWS, [`TokenError::Rejected`] if the signature was not made with this key,
/// [`TokenError::Content`] if the signature is valid but the payload is not a claims object, [`TokenError::Refused`] if the header
/// or the claims are not acceptable, [`TokenError::BufferTooSmall`] if `scratch` is too short.
pub fn verify<'a>(
    key: &OneTimeKey,
    token: &str,
    policy: &Policy<'_>,
    scratch: &'a mut [u8],
) -> Result<Verified<'a>, TokenError> {
    verify_in(key, token, policy, &mut Arena::new(scratch))
}

/// Parses the header of a JWS without verifying its signature. Use the unauthenticated `kid` only to select the key.
///
/// # Errors
/// Fails under the same conditions as [`verify`], as far as they concern the header and the number of parts.
pub fn peek_header<'a>(token: &str, scratch: &'a mut [u8]) -> Result<Header<'a>, TokenError> {
    let [part, _, _] = parts(token)?;
    header::parse(Form::Jws, part, &mut Arena::new(scratch))
}

pub(super) fn verify_in<'a>(
    key: &OneTimeKey,
    token: &str,
    policy: &Policy<'_>,
    arena: &mut Arena<'a>,
) -> Result<Verified<'a>, TokenError> {
    let [header, payload, signature] = parts(token)?;
    let signed = token
        .len()
        .checked_sub(signature.len().saturating_add(1))
        .and_then(|len| token.get(..len))
        .ok_or(TokenError::Malformed(MalformedToken::Structure))?;
    let header = header::parse(Form::Jws, header, arena)?;
    let signature = decode(signature, arena.take(decoded_len(signature))?)?;
    if signature.len() != 32 {
        return Err(TokenError::Malformed(MalformedToken::Structure));
    }
    if !equal(&mac(key, signed.as_bytes()), signature) {
        return Err(TokenError::Rejected);
    }
    let place = arena.take(decoded_len(payload))?;
    let payload = decode(payload, place).map_err(TokenError::into_content_error)?;
    let claims =
        Claims::parse(payload, policy.audience, arena).map_err(TokenError::into_content_error)?;
    policy.check(&claims)?;
    Ok(Verified {
        header,
        claims,
        payload,
    })
}

fn mac(key: &OneTimeKey, signed: &[u8]) -> [u8; 32] {
    HmacSha256State::new(key.as_bytes()).mac([signed])
}

/// Returns the parts between the dots, if there are exactly `N`.
pub(super) fn parts<const N: usize>(token: &str) -> Result<[&str; N], TokenError> {
    const MALFORMED: TokenError = TokenError::Malformed(MalformedToken::Structure);
    let mut parts = [""; N];
    let mut remaining = token.split('.');
    for part in &mut parts {
        *part = remaining.next().ok_or(MALFORMED)?;
    }
    if remaining.next().is_some() {
        return Err(MALFORMED);
    }
    Ok(parts)
}

/// Writes `bytes` after the first `len` bytes of `out` and returns the new length.
pub(super) fn append(out: &mut [u8], len: usize, bytes: &[u8]) -> Result<usize, TokenError> {
    let end = len.saturating_add(bytes.len());
    out.get_mut(len..end)
        .ok_or(TokenError::BufferTooSmall)?
        .copy_from_slice(bytes);
    Ok(end)
}

/// Writes the base64url encoding of `bytes` after the first `len` bytes of `out` and returns the new length.
pub(super) fn append_encoded(
    out: &mut [u8],
    len: usize,
    bytes: &[u8],
) -> Result<usize, TokenError> {
    let place = out.get_mut(len..).ok_or(TokenError::BufferTooSmall)?;
    Ok(len.saturating_add(encode(bytes, place)?.len()))
}

pub(super) fn text(out: &mut [u8], len: usize) -> Result<&str, TokenError> {
    out.get(..len)
        .and_then(|token| core::str::from_utf8(token).ok())
        .ok_or(TokenError::BufferTooSmall)
}
