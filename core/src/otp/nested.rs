//! Nested tokens: a signed token inside an encrypted one (RFC 7519 sections 5.2 and 11.2). The claims are confidential, and the
//! token proves possession of both keys.

use super::{
    Header, MalformedToken, OneTimeKey, Policy, TokenError,
    header::Form,
    json::Arena,
    jwe::{self, NONCE_LEN},
    jws::{self, Verified},
};

/// The two keys of a nested token.
pub struct NestedKeys<'k> {
    /// The key for [`super::Purpose::Signing`].
    pub signing: &'k OneTimeKey,
    /// The key for [`super::Purpose::Encryption`].
    pub encryption: &'k OneTimeKey,
}

/// Signs `payload` with the header `inner` as [`jws::sign`] does, and encrypts the result with the header `outer` as
/// [`jwe::encrypt`] does. The outer header also has `cty`. `scratch` must have enough space for the signed token. A nonce must not
/// be used twice with the same encryption key.
///
/// # Errors
/// [`TokenError::BufferTooSmall`] if `scratch` or `out` is too short.
pub fn seal<'o>(
    keys: &NestedKeys<'_>,
    nonce: &[u8; NONCE_LEN],
    (inner, outer): (&Header<'_>, &Header<'_>),
    payload: &[u8],
    scratch: &mut [u8],
    out: &'o mut [u8],
) -> Result<&'o str, TokenError> {
    let len = jws::sign(keys.signing, inner, payload, scratch)?.len();
    let signed = scratch.get_mut(..len).unwrap_or_default();
    jwe::encrypt_as(Form::Nested, keys.encryption, nonce, outer, signed, out)
}

/// Decrypts `token`, verifies the signature of the inner token and checks its claims against `policy`. [`super::scratch_len`]
/// bytes of `scratch` are sufficient. The returned header is that of the outer token.
///
/// # Errors
/// Fails under the same conditions as [`jwe::decrypt`] for the outer token and [`jws::verify`] for the inner one. A malformed
/// inner token is [`TokenError::Content`].
pub fn open<'a>(
    keys: &NestedKeys<'_>,
    token: &str,
    policy: &Policy<'_>,
    scratch: &'a mut [u8],
) -> Result<Verified<'a>, TokenError> {
    let mut arena = Arena::new(scratch);
    let outer = jwe::decrypt_in(Form::Nested, keys.encryption, token, &mut arena)?;
    let inner = core::str::from_utf8(outer.plaintext)
        .map_err(|_| TokenError::Content(MalformedToken::Structure))?;
    let verified = jws::verify_in(keys.signing, inner, policy, &mut arena)
        .map_err(TokenError::into_content_error)?;
    Ok(Verified {
        header: outer.header,
        ..verified
    })
}
