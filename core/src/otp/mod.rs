//! The one-time password of a channel: made on the device, verified at the gateway, worth nothing on any other connection.
//!
//! A [`Profile`] says how both ends come from the channel to a [`OneTimeKey`]: exporter label, context, layout of the key
//! derivation. With that key a device proves itself by what is made of it here; a plain JWE proves only that
//! its maker has the encryption key, and carries whatever bytes there are:
//!
//! | form | what is sent | module |
//! |---|---|---|
//! | API key | the key itself, base64 (RFC 4648 section 4) | [`api_key`] |
//! | JWS | claims with an HS256 signature, compact (RFC 7515) | [`jws`] |
//! | JWE | bytes under `dir` and `A256GCM`, compact (RFC 7516) | [`jwe`] |
//! | nested | a JWS inside a JWE (RFC 7519 section 5.2) | [`nested`] |
//!
//! Everything is made and verified in buffers of the caller. A scratch buffer of [`scratch_len`] bytes suffices for every
//! token of that length.
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
mod date;
mod error;
mod header;
mod json;
pub mod jwe;
pub mod jws;
mod key;
pub mod nested;
mod policy;
mod profile;

pub use claims::Claims;
pub use error::{MalformedToken, TokenError, TokenRefusal};
pub use header::Header;
pub use key::{KeyingMaterial, OneTimeKey, OneTimeKeyError};
pub use policy::{Policy, Uniqueness};
pub use profile::{ClientId, ClientIdError, ContextRule, MAX_CLIENT_ID_LEN, Profile, Purpose};

/// The length of a scratch buffer that suffices to verify a token of `token_len` bytes: the decoded parts, room to unescape
/// them, and the claims.
#[must_use]
pub const fn scratch_len(token_len: usize) -> usize {
    token_len.saturating_mul(3)
}
