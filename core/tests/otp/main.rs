//! One-time passwords: interoperability with the Go demo, and the rejection of invalid tokens.
#![cfg(test)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "a panic fails the test"
)]

mod claims;
mod documented;
mod forms;
mod header;
mod json;
#[path = "../vectors/mod.rs"]
mod vectors;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD as STANDARD, BASE64_URL_SAFE_NO_PAD as URL},
};
use chanbind_core::otp::{
    Claims, Header, MalformedToken, OneTimeKey, Policy, TokenError, TokenRefusal, Uniqueness,
    api_key, jwe, jws, nested, scratch_len,
};
use vectors::{load, text_of};

pub(crate) const NOW: u64 = 1_700_000_000;

pub(crate) fn key(value: &serde_json::Value) -> OneTimeKey {
    OneTimeKey::from_bytes(STANDARD.decode(text_of(value)).unwrap().try_into().unwrap())
}

pub(crate) fn test_key() -> OneTimeKey {
    OneTimeKey::from_bytes([0x42; 32])
}

pub(crate) fn b64(text: &str) -> String {
    URL.encode(text.as_bytes())
}

/// Returns a JWS with this header and payload and a valid signature by [`test_key`].
pub(crate) fn signed(header: &str, payload: &str) -> String {
    use hmac::{Hmac, Mac};
    let head = format!("{}.{}", b64(header), b64(payload));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(test_key().as_bytes()).unwrap();
    mac.update(head.as_bytes());
    format!("{head}.{}", URL.encode(mac.finalize().into_bytes()))
}

pub(crate) fn verify(token: &str, policy: &Policy<'_>) -> Result<(), TokenError> {
    jws::verify(
        &test_key(),
        token,
        policy,
        &mut vec![0; scratch_len(token.len())],
    )
    .map(|_| ())
}

pub(crate) fn verify_payload(payload: &str, policy: &Policy<'_>) -> Result<(), TokenError> {
    verify(&signed(r#"{"alg":"HS256"}"#, payload), policy)
}
