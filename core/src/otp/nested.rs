//! A signed token inside an encrypted one (RFC 7519 sections 5.2 and 11.2): the claims are hidden, and both keys are proved.

use super::{
    Header, MalformedToken, OneTimeKey, Policy, TokenError,
    header::Form,
    json::Arena,
    jwe::{self, NONCE_LEN},
    jws::{self, Verified},
};

/// The two keys of a nested token.
pub struct NestedKeys<'k> {
    /// Of [`super::Purpose::Signing`].
    pub signing: &'k OneTimeKey,
    /// Of [`super::Purpose::Encryption`].
    pub encryption: &'k OneTimeKey,
}

/// Signs `payload` as [`jws::sign`] with `inner` and encrypts that as [`jwe::encrypt`] with `outer`, whose header then says
/// `cty`. `scratch` holds the signed token meanwhile.
///
/// # Errors
/// [`TokenError::BufferTooSmall`]
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

/// Decrypts `token`, verifies the one inside and holds its claims against `policy`; `scratch` needs
/// [`super::scratch_len`] bytes. The header that is handed out is the outer one.
///
/// # Errors
/// As [`jwe::decrypt`] and [`jws::verify`].
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
        .map_err(TokenError::behind_the_key)?;
    Ok(Verified {
        header: outer.header,
        ..verified
    })
}
