//! One-time passwords that are bound to a TLS connection. The device creates one and the gateway verifies it. It is invalid on any
//! other connection.
//!
//! A [`Profile`] specifies how both ends derive a [`OneTimeKey`] from the channel: the exporter label, the context and the layout
//! of the key derivation. The device authenticates with a one-time password in one of these forms:
//!
//! | form | content | module |
//! |---|---|---|
//! | API key | the key itself in base64 (RFC 4648 section 4) | [`api_key`] |
//! | JWS | claims with an HS256 signature, compact serialization (RFC 7515) | [`jws`] |
//! | JWE | bytes encrypted with `dir` and `A256GCM`, compact serialization (RFC 7516) | [`jwe`] |
//! | nested | a JWS inside a JWE (RFC 7519 section 5.2) | [`nested`] |
//!
//! In this module, a token is a one-time password in the form JWS, JWE or nested. A JWE that is not nested proves only that its
//! sender has the encryption key, and its plaintext can be any bytes.
//!
//! All functions write to buffers that the caller owns. To verify a token, a scratch buffer of [`scratch_len`] bytes is
//! sufficient.
//!
//! ```
//! use chanbind_core::otp::{Claims, Header, OneTimeKey, Policy, TokenError, TokenRefusal, jws, scratch_len};
//!
//! let key = OneTimeKey::from_bytes([7; 32]);
//! let claims = Claims { subject: Some("client1"), expires_at: Some(1_700_000_060), ..Claims::default() };
//! let (mut payload, mut token) = ([0; 128], [0; 256]);
//! let token = jws::sign(&key, &Header::default(), claims.encode(&mut payload)?, &mut token)?;
//!
//! let mut scratch = vec![0; scratch_len(token.len())];
//! let policy = Policy { now: Some(1_700_000_000), ..Policy::default() };
//! assert_eq!(jws::verify(&key, token, &policy, &mut scratch)?.claims.subject, Some("client1"));
//!
//! let too_late = Policy { now: Some(1_700_000_999), ..Policy::default() };
//! assert_eq!(jws::verify(&key, token, &too_late, &mut scratch).err(), Some(TokenError::Refused(TokenRefusal::Expired)));
//! # Ok::<(), TokenError>(())
//! ```

pub mod api_key;
mod base64;
mod claims;
mod client_id;
mod date;
mod derivation;
mod error;
mod header;
mod json;
pub mod jwe;
pub mod jws;
mod key;
pub mod nested;
mod policy;
mod profile;
mod prover;

pub use claims::Claims;
pub use client_id::ClientIdBuf;
pub use derivation::KeyDerivation;
pub use error::{MalformedToken, TokenError, TokenRefusal};
pub use header::Header;
pub use key::{KeyingMaterial, OneTimeKey, OneTimeKeyError};
pub use policy::{Policy, Uniqueness};
pub use profile::{ClientId, ClientIdError, ContextRule, MAX_CLIENT_ID_LEN, Profile, Purpose};
pub use prover::{
    ApiKeyProver, FieldNames, KIND, ProveError, TOKEN_LIFETIME, TokenForm, TokenProver,
    api_key_fields_len,
};

/// Returns the length of a scratch buffer that is sufficient to verify a token of `token_len` bytes. It holds the decoded parts,
/// their unescaped strings and the claims.
#[must_use]
pub const fn scratch_len(token_len: usize) -> usize {
    token_len.saturating_mul(3)
}
