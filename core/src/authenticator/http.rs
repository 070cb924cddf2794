//! The encoding of requests and authenticators in HTTP header fields (`docs/proofs/AUTHENTICATOR.md`).

use crate::{
    http_auth,
    wire::{Full, Truncated},
};
use base64ct::{Base64UrlUnpadded, Encoding};

/// The name of the authentication scheme. It is compared without regard to case.
pub const SCHEME: &str = "Exported-Authenticator";

/// The maximum length of a request, in bytes.
pub const MAX_REQUEST_LEN: usize = 1024;

/// The maximum length of an authenticator, in bytes.
pub const MAX_AUTHENTICATOR_LEN: usize = 8192;

/// Returns the encoded request from the value of a WWW-Authenticate field: the first parameter `request` of a challenge with
/// [`SCHEME`]. [`decode`] decodes it. Returns `None` if there is no such parameter.
#[must_use]
pub fn challenge(value: &str) -> Option<&str> {
    let mut all = http_auth::challenges(value).filter(|challenge| challenge.is(SCHEME));
    all.find_map(|challenge| {
        let mut all = http_auth::params(challenge.params).map_while(Result::ok);
        all.find(|(name, _)| name.eq_ignore_ascii_case("request"))
            .map(|(_, value)| value.raw())
    })
}

/// Returns the encoded authenticator from the value of an Authorization field, or `None` if the scheme is not [`SCHEME`].
/// [`decode`] decodes it.
#[must_use]
pub fn credentials(value: &str) -> Option<&str> {
    let (scheme, text) = value.split_once(' ').unwrap_or((value, ""));
    scheme
        .eq_ignore_ascii_case(SCHEME)
        .then(|| text.trim_start_matches(' '))
}

/// Decodes a result of [`challenge`] or [`credentials`], or the value of a header field that contains only an encoded message. The
/// encoding is base64url without padding (RFC 4648 section 5).
///
/// # Errors
/// [`Truncated`] if `text` is not in this encoding, or if `out` is too short. It needs three bytes for each four characters.
pub fn decode<'o>(text: &str, out: &'o mut [u8]) -> Result<&'o [u8], Truncated> {
    Base64UrlUnpadded::decode(text, out).map_err(|_| Truncated)
}

/// Returns the length of the value of an Authorization field with an authenticator of `authenticator_len` bytes.
#[must_use]
pub const fn credentials_len(authenticator_len: usize) -> usize {
    authenticator_len
        .saturating_mul(4)
        .div_ceil(3)
        .saturating_add(SCHEME.len())
        .saturating_add(1)
}

/// Writes the value of an Authorization field to the front of `out` and returns it.
///
/// # Errors
/// [`Full`] if `out` has less than [`credentials_len`] bytes.
pub fn encode_credentials<'o>(authenticator: &[u8], out: &'o mut [u8]) -> Result<&'o str, Full> {
    const START: &str = "Exported-Authenticator ";
    let (start, rest) = out.split_at_mut_checked(START.len()).ok_or(Full)?;
    start.copy_from_slice(START.as_bytes());
    let len = Base64UrlUnpadded::encode(authenticator, rest)
        .map_err(|_| Full)?
        .len();
    let text = out.get(..START.len().saturating_add(len)).ok_or(Full)?;
    str::from_utf8(text).map_err(|_| Full)
}
