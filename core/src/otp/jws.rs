//! Claims under an HS256 signature, in the compact serialization (RFC 7515 section 7.1): `header.payload.signature`.

use super::{
    Claims, Header, MalformedToken, OneTimeKey, Policy, TokenError,
    base64::{decode, decoded_len, encode},
    header::{self, Form},
    json::Arena,
};
use crate::crypto::{HmacSha256State, equal};

/// What a verified token says; it lives in the caller's scratch buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'a> {
    /// Its header.
    pub header: Header<'a>,
    /// Its claims, after the policy was held against them.
    pub claims: Claims<'a>,
    /// The whole payload, JSON.
    pub payload: &'a [u8],
}

/// Signs `payload`, a JSON object as [`Claims::encode`] writes it, into the front of `out`.
///
/// The token has 45 bytes for the signature and two dots, and four thirds of header and payload, each rounded up.
///
/// # Errors
/// [`TokenError::BufferTooSmall`]
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

/// Verifies `token` and holds its claims against `policy`; `scratch` needs [`super::scratch_len`] bytes.
///
/// # Errors
/// [`TokenError::Malformed`], [`TokenError::Rejected`] if the signature is not of this key, [`TokenError::Content`],
/// [`TokenError::Refused`],
/// [`TokenError::BufferTooSmall`].
pub fn verify<'a>(
    key: &OneTimeKey,
    token: &str,
    policy: &Policy<'_>,
    scratch: &'a mut [u8],
) -> Result<Verified<'a>, TokenError> {
    verify_in(key, token, policy, &mut Arena::new(scratch))
}

/// Reads the header of a JWS without verifying anything: `kid` to find the key by, and nothing to be believed.
///
/// # Errors
/// As [`verify`], for what can be seen of the header alone.
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
    let payload = decode(payload, place).map_err(TokenError::behind_the_key)?;
    let claims =
        Claims::parse(payload, policy.audience, arena).map_err(TokenError::behind_the_key)?;
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

/// The parts between the dots, if there are just `N`.
pub(super) fn parts<const N: usize>(token: &str) -> Result<[&str; N], TokenError> {
    const WRONG: TokenError = TokenError::Malformed(MalformedToken::Structure);
    let mut parts = [""; N];
    let mut found = token.split('.');
    for part in &mut parts {
        *part = found.next().ok_or(WRONG)?;
    }
    if found.next().is_some() {
        return Err(WRONG);
    }
    Ok(parts)
}

/// Puts `bytes` behind the first `len` bytes of `out`; gives the new length.
pub(super) fn append(out: &mut [u8], len: usize, bytes: &[u8]) -> Result<usize, TokenError> {
    let end = len.saturating_add(bytes.len());
    out.get_mut(len..end)
        .ok_or(TokenError::BufferTooSmall)?
        .copy_from_slice(bytes);
    Ok(end)
}

/// Puts the base64url of `bytes` behind the first `len` bytes of `out`; gives the new length.
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
