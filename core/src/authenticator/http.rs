//! How authenticators travel in HTTP header fields (`docs/HTTP-AUTHENTICATORS.md`): from text to bytes and back.

use crate::wire::{Full, Truncated};
use base64ct::{Base64UrlUnpadded, Encoding};

/// The authentication scheme, compared without regard to case.
pub const SCHEME: &str = "Exported-Authenticator";

/// The longest request, in bytes.
pub const MAX_REQUEST_LEN: usize = 1024;

/// The longest authenticator, in bytes.
pub const MAX_AUTHENTICATOR_LEN: usize = 8192;

/// The request, still encoded, in the value of a WWW-Authenticate field: the parameter `request` of the first challenge of [`SCHEME`].
///
/// A list of challenges is read as RFC 9110 section 11.6.1 has it: a parameter has `=` and a value, of which a quoted string may hold
/// commas; what has none begins a challenge.
#[must_use]
pub fn challenge(value: &str) -> Option<&str> {
    let mut is_ours = false;
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, behind) = split(rest, |c| !is_token(c));
        if word.is_empty() {
            return None;
        }
        let after = behind.trim_start_matches([' ', '\t']);
        match after.strip_prefix('=') {
            // What is padded is no parameter but a token68, and neither is what has nothing behind it.
            Some(value) if !value.starts_with(['=', ',']) && !value.is_empty() => {
                let (value, behind) = parameter(value.trim_start_matches([' ', '\t']))?;
                if is_ours && word.eq_ignore_ascii_case("request") {
                    return Some(value);
                }
                rest = behind;
            }
            _ => {
                if behind.is_empty() || behind.starts_with([' ', '\t', ',']) {
                    is_ours = word.eq_ignore_ascii_case(SCHEME);
                }
                rest = behind.trim_start_matches(['=', '/']);
            }
        }
    }
}

/// The authenticator, still encoded, in the value of an Authorization field; `None` for other schemes.
#[must_use]
pub fn credentials(value: &str) -> Option<&str> {
    let (scheme, text) = value.split_once(' ').unwrap_or((value, ""));
    scheme
        .eq_ignore_ascii_case(SCHEME)
        .then(|| text.trim_start_matches(' '))
}

/// Decodes what [`challenge`] or [`credentials`] found, or the value of a field that is nothing else: base64url without padding (RFC 4648
/// section 5).
///
/// # Errors
/// [`Truncated`] for anything else, and where `out` is too short: it needs three bytes for four characters.
pub fn decode<'o>(text: &str, out: &'o mut [u8]) -> Result<&'o [u8], Truncated> {
    Base64UrlUnpadded::decode(text, out).map_err(|_| Truncated)
}

/// The value of an Authorization field.
///
/// # Errors
/// [`Full`] if `out` has less than 23 bytes and four for each three of the authenticator.
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

/// A token or a quoted string, and what is behind it. Escapes are left as they are: base64 has none.
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
    let (text, behind) = quoted.split_at_checked(end?)?;
    Some((text, behind.strip_prefix('"')?))
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// At the first character for which `ends` holds.
fn split(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(ends).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}
