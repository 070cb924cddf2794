//! The encoding of requests and authenticators in HTTP header fields (`docs/proofs/AUTHENTICATOR.md`).

use crate::wire::{Full, Truncated};
use base64ct::{Base64UrlUnpadded, Encoding};

/// The name of the authentication scheme. It is compared without regard to case.
pub const SCHEME: &str = "Exported-Authenticator";

/// The maximum length of a request, in bytes.
pub const MAX_REQUEST_LEN: usize = 1024;

/// The maximum length of an authenticator, in bytes.
pub const MAX_AUTHENTICATOR_LEN: usize = 8192;

/// Returns the encoded request from the value of a WWW-Authenticate field: the first parameter `request` of a challenge with
/// [`SCHEME`]. [`decode`] decodes it. Returns `None` if there is no such parameter.
///
/// The value is a list of challenges (RFC 9110 section 11.6.1). A word that is followed by `=` and a value is a parameter; its
/// value can be a quoted string, which can contain commas. Any other word starts a challenge.
#[must_use]
pub fn challenge(value: &str) -> Option<&str> {
    let mut is_our_scheme = false;
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, remainder) = split(rest, |c| !is_token(c));
        if word.is_empty() {
            return None;
        }
        let after_space = remainder.trim_start_matches([' ', '\t']);
        match after_space.strip_prefix('=') {
            // A word that is followed by `==`, `=,` or a final `=` is not a parameter but a padded token68.
            Some(value) if !value.starts_with(['=', ',']) && !value.is_empty() => {
                let (value, remainder) = parameter(value.trim_start_matches([' ', '\t']))?;
                if is_our_scheme && word.eq_ignore_ascii_case("request") {
                    return Some(value);
                }
                rest = remainder;
            }
            _ => {
                if remainder.is_empty() || remainder.starts_with([' ', '\t', ',']) {
                    is_our_scheme = word.eq_ignore_ascii_case(SCHEME);
                }
                rest = remainder.trim_start_matches(['=', '/']);
            }
        }
    }
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

/// Splits `value` after the token or quoted string at its front. Escapes in a quoted string are not resolved, because base64 needs
/// none.
fn parameter(value: &str) -> Option<(&str, &str)> {
    let Some(quoted) = value.strip_prefix('"') else {
        return Some(split(value, |c| matches!(c, ' ' | '\t' | ',')));
    };
    let (mut is_escaped, mut end) = (false, None);
    for (at, byte) in quoted.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => {
                end = Some(at);
                break;
            }
            _ => {}
        }
    }
    let (text, remainder) = quoted.split_at_checked(end?)?;
    Some((text, remainder.strip_prefix('"')?))
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Splits `text` before the first character for which `ends` returns true.
fn split(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(ends).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}
