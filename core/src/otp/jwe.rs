//! Bytes encrypted with `dir` and `A256GCM`, in the compact serialization (RFC 7516 section 7.1): `header..iv.ciphertext.tag`.

use super::{
    Header, MalformedToken, OneTimeKey, TokenError,
    base64::{decode, decoded_len},
    header::{self, Form},
    json::Arena,
    jws::{append, append_encoded, parts, text},
};
use aes_gcm::{AeadInPlace, Aes256Gcm, KeyInit, Nonce, Tag};

/// The length of a nonce, in bytes (RFC 7518 section 5.3).
pub const NONCE_LEN: usize = 12;

const TAG_LEN: usize = 16;

/// The content of a decrypted token. It borrows from the caller's scratch buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct Decrypted<'a> {
    /// The header of the token.
    pub header: Header<'a>,
    /// The decrypted bytes.
    pub plaintext: &'a mut [u8],
}

/// Encrypts `plaintext` in place and writes the token to the front of `out`.
///
/// A nonce must not be used twice with the same key. Take it from a random number generator (for at most 2^32 tokens with one key)
/// or from a counter. The length of the token is 42 bytes for nonce, tag and dots, plus four thirds of the lengths of header and
/// plaintext, each rounded up.
///
/// # Errors
/// [`TokenError::BufferTooSmall`] if `out` is shorter than the token; `plaintext` may then already be encrypted.
pub fn encrypt<'o>(
    key: &OneTimeKey,
    nonce: &[u8; NONCE_LEN],
    header: &Header<'_>,
    plaintext: &mut [u8],
    out: &'o mut [u8],
) -> Result<&'o str, TokenError> {
    encrypt_as(Form::Jwe, key, nonce, header, plaintext, out)
}

/// Decrypts `token`. [`super::scratch_len`] bytes of `scratch` are sufficient.
///
/// # Errors
/// [`TokenError::Malformed`] if `token` is not a JWE, [`TokenError::Rejected`] if it was not encrypted with this key,
/// [`TokenError::Refused`] if its header is not acceptable, [`TokenError::BufferTooSmall`] if `scratch` is too short.
pub fn decrypt<'a>(
    key: &OneTimeKey,
    token: &str,
    scratch: &'a mut [u8],
) -> Result<Decrypted<'a>, TokenError> {
    decrypt_in(Form::Jwe, key, token, &mut Arena::new(scratch))
}

/// Parses the header of a JWE without decrypting the token. Use the unauthenticated `kid` only to select the key.
///
/// # Errors
/// Fails under the same conditions as [`decrypt`], as far as they concern the header and the number of parts.
pub fn peek_header<'a>(token: &str, scratch: &'a mut [u8]) -> Result<Header<'a>, TokenError> {
    let [part, _, _, _, _] = parts(token)?;
    header::parse(Form::Jwe, part, &mut Arena::new(scratch))
}

pub(super) fn encrypt_as<'o>(
    form: Form,
    key: &OneTimeKey,
    nonce: &[u8; NONCE_LEN],
    header: &Header<'_>,
    plaintext: &mut [u8],
    out: &'o mut [u8],
) -> Result<&'o str, TokenError> {
    let mut len = header::encode(form, header, out)?;
    let tag = cipher(key)
        .encrypt_in_place_detached(
            Nonce::from_slice(nonce),
            out.get(..len).unwrap_or_default(),
            plaintext,
        )
        .map_err(|_| TokenError::BufferTooSmall)?;
    len = append(out, len, b"..")?;
    len = append_encoded(out, len, nonce)?;
    len = append(out, len, b".")?;
    len = append_encoded(out, len, plaintext)?;
    len = append(out, len, b".")?;
    len = append_encoded(out, len, &tag)?;
    text(out, len)
}

pub(super) fn decrypt_in<'a>(
    form: Form,
    key: &OneTimeKey,
    token: &str,
    arena: &mut Arena<'a>,
) -> Result<Decrypted<'a>, TokenError> {
    const MALFORMED: TokenError = TokenError::Malformed(MalformedToken::Structure);
    let [protected, encrypted_key, nonce, ciphertext, tag] = parts(token)?;
    let header = header::parse(form, protected, arena)?;
    let nonce = decode(nonce, arena.take(decoded_len(nonce))?)?;
    let tag = decode(tag, arena.take(decoded_len(tag))?)?;
    // With `dir` the encrypted key must be empty (RFC 7518 section 4.5).
    if !encrypted_key.is_empty() || nonce.len() != NONCE_LEN || tag.len() != TAG_LEN {
        return Err(MALFORMED);
    }
    let plaintext = decode(ciphertext, arena.take(decoded_len(ciphertext))?)?;
    cipher(key)
        .decrypt_in_place_detached(
            Nonce::from_slice(nonce),
            protected.as_bytes(),
            plaintext,
            Tag::from_slice(tag),
        )
        .map_err(|_| TokenError::Rejected)?;
    Ok(Decrypted { header, plaintext })
}

fn cipher(key: &OneTimeKey) -> Aes256Gcm {
    Aes256Gcm::new(key.as_bytes().into())
}
