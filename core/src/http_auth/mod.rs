//! The framework of HTTP authentication (RFC 9110 section 11) without an allocator: challenges, credentials, and their parameters.
//!
//! ```
//! use chanbind_core::http_auth::{challenges, params};
//!
//! let value = "Basic realm=\"a, b\", Mutual version=1, realm=\"a \\\"b\\\"\"";
//! let found = challenges(value).find(|challenge| challenge.is("mutual"));
//! let mut names = params(found.map_or("", |challenge| challenge.params)).map(|param| param.map(|(name, _)| name));
//! assert_eq!(names.next(), Some(Ok("version")));
//! assert_eq!(names.next(), Some(Ok("realm")));
//! assert_eq!(names.next(), None);
//! ```

mod value;

pub use value::{Form, Value, ValueBytes};

#[cfg(feature = "mutual")]
pub(crate) use value::hex_digit;

/// A challenge, or credentials: a scheme, and the text of its parameters or its token68.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// The name of the scheme, as it was sent.
    pub scheme: &'a str,
    /// The text after the scheme.
    pub params: &'a str,
}

impl Challenge<'_> {
    /// Returns true if the scheme has this name, without regard to case.
    #[must_use]
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }
}

/// The error of reading parameters: the text is not a list of `name=value` (RFC 9110 section 11.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MalformedParams;

impl core::fmt::Display for MalformedParams {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("not a list of parameters (RFC 9110 section 11.2)")
    }
}

impl core::error::Error for MalformedParams {}

/// Iterates over the challenges in one value of WWW-Authenticate or Proxy-Authenticate (RFC 9110 section 11.6.1). It ends where the
/// value is malformed.
///
/// A word that is followed by `=` and a value is a parameter; its value can be a quoted string, which can contain commas. Any other
/// word starts a challenge, or is the token68 of one that it follows after a space.
#[must_use]
pub fn challenges(value: &str) -> Challenges<'_> {
    Challenges(value)
}

/// The iterator of [`challenges`].
#[derive(Debug, Clone)]
pub struct Challenges<'a>(&'a str);

impl<'a> Iterator for Challenges<'a> {
    type Item = Challenge<'a>;

    // Not inlined: it is a large piece of code with several callers.
    #[inline(never)]
    fn next(&mut self) -> Option<Challenge<'a>> {
        let (scheme, after) = split_token(skip(self.0, true))?;
        let start = skip(after, false);
        let mut text = start;
        // A token68 follows a space, not a comma.
        if text.len() < after.len()
            && let Some(remainder) = token68(text)
        {
            text = remainder;
        }
        while let Some(Ok((_, remainder))) = param(skip(text, true)) {
            text = remainder;
        }
        self.0 = text;
        let len = start.len().saturating_sub(text.len());
        let params = start.get(..len).unwrap_or_default();
        Some(Challenge { scheme, params })
    }
}

/// Returns the credentials in a value of Authorization or Proxy-Authorization (RFC 9110 section 11.4); `None` if it has no scheme.
#[must_use]
pub fn credentials(value: &str) -> Option<Challenge<'_>> {
    let (scheme, rest) = split_token(skip(value, false))?;
    let params = skip(rest, false);
    (rest.is_empty() || params.len() < rest.len()).then_some(Challenge {
        scheme,
        params: params.trim_end_matches([' ', '\t']),
    })
}

/// Iterates over the parameters of a challenge, of credentials, or of a value of Authentication-Info (RFC 7615). The first error is the
/// last item.
#[must_use]
pub fn params(text: &str) -> Params<'_> {
    Params(text)
}

/// The iterator of [`params`].
#[derive(Debug, Clone)]
pub struct Params<'a>(&'a str);

impl<'a> Iterator for Params<'a> {
    type Item = Result<(&'a str, Value<'a>), MalformedParams>;

    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        let text = skip(self.0, true);
        self.0 = "";
        if text.is_empty() {
            return None;
        }
        let Some(Ok((item, rest))) = param(text) else {
            return Some(Err(MalformedParams));
        };
        // A comma or the end follows a parameter.
        let rest = skip(rest, false);
        if !rest.is_empty() && !rest.starts_with(',') {
            return Some(Err(MalformedParams));
        }
        self.0 = rest;
        Some(Ok(item))
    }
}

/// A parameter's name and value, and the text after it.
type Param<'a> = ((&'a str, Value<'a>), &'a str);

/// Splits the parameter off the front. `None` if the text begins with no word that is followed by `=`.
#[inline(never)]
fn param(text: &str) -> Option<Result<Param<'_>, MalformedParams>> {
    let (name, after) = split_token(text)?;
    let value = skip(skip(after, false).strip_prefix('=')?, false);
    Some(
        Value::split(name, value)
            .map(|(name, value, rest)| ((name, value), rest))
            .ok_or(MalformedParams),
    )
}

/// Returns the text after a token68 (RFC 9110 section 11.2); `None` if the text begins with a parameter, with a scheme, or with neither.
fn token68(text: &str) -> Option<&str> {
    let (_, rest) = split(text, Class::Token68)?;
    let mut rest = rest;
    while let Some(more) = rest.strip_prefix('=') {
        rest = more;
    }
    let rest = skip(rest, false);
    (rest.is_empty() || rest.starts_with(',')).then_some(rest)
}

/// Skips spaces, and with `is_list` the commas of a list, which may have empty elements (RFC 9110 section 5.6.1).
#[inline(never)]
fn skip(text: &str, is_list: bool) -> &str {
    let is_skipped = |byte: &u8| matches!(byte, b' ' | b'\t') || (is_list && *byte == b',');
    let len = text.bytes().take_while(is_skipped).count();
    text.get(len..).unwrap_or_default()
}

/// The characters of a word.
#[derive(Clone, Copy)]
enum Class {
    Token,
    Token68,
}

/// Splits a token off the front; `None` if the text begins with no token.
fn split_token(text: &str) -> Option<(&str, &str)> {
    split(text, Class::Token)
}

#[inline(never)]
fn split(text: &str, class: Class) -> Option<(&str, &str)> {
    let others: &[u8] = match class {
        Class::Token => b"!#$%&'*+-.^_`|~",
        Class::Token68 => b"-._~+/",
    };
    let is_in =
        |byte: &u8| byte.is_ascii_alphanumeric() || others.iter().any(|other| other == byte);
    let len = text.bytes().take_while(is_in).count();
    if len == 0 {
        return None;
    }
    text.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::{string::String, vec::Vec};

    fn split(value: &str) -> Vec<(&str, &str)> {
        challenges(value)
            .map(|challenge| (challenge.scheme, challenge.params))
            .collect()
    }

    #[test]
    fn challenges_are_split() {
        for (value, expected) in [
            ("", &[][..]),
            ("Mutual", &[("Mutual", "")]),
            ("Mutual a=1", &[("Mutual", "a=1")]),
            (
                "Mutual a=1, b=\"x, Basic y\" ,c = d",
                &[("Mutual", "a=1, b=\"x, Basic y\" ,c = d")],
            ),
            (
                "Negotiate, Mutual a=1",
                &[("Negotiate", ""), ("Mutual", "a=1")],
            ),
            (
                "Negotiate YWJj==, Mutual a=1, Bearer",
                &[("Negotiate", "YWJj=="), ("Mutual", "a=1"), ("Bearer", "")],
            ),
            (
                "Negotiate YWJj, Mutual a=1,, Basic realm=\"\\\"\"",
                &[
                    ("Negotiate", "YWJj"),
                    ("Mutual", "a=1"),
                    ("Basic", "realm=\"\\\"\""),
                ],
            ),
            (
                "Basic realm=x Mutual a=1",
                &[("Basic", "realm=x"), ("Mutual", "a=1")],
            ),
            ("Mutual a=\"unfinished", &[("Mutual", ""), ("a", "")]),
            ("=", &[]),
            ("\"", &[]),
        ] {
            assert_eq!(split(value), expected, "{value}");
        }
    }

    #[test]
    fn parameters_are_read_in_every_form() {
        let texts = |text: &str| -> Vec<Result<(String, String), MalformedParams>> {
            params(text)
                .map(|param| {
                    let (name, value) = param?;
                    let bytes: Option<Vec<u8>> = value.bytes().collect();
                    let bytes = bytes.ok_or(MalformedParams)?;
                    Ok((name.into(), String::from_utf8(bytes).unwrap()))
                })
                .collect()
        };
        let one = |name: &str, value: &str| Ok((name.into(), value.into()));
        for (text, expected) in [
            ("", &[][..]),
            ("a=1", &[one("a", "1")]),
            ("a=\"1\"", &[one("a", "1")]),
            (
                " ,a = \"x\\\"\\y\" ,, b=2 ,",
                &[one("a", "x\"y"), one("b", "2")],
            ),
            ("a*=UTF-8''%c3%A9%20x", &[one("a", "é x")]),
            ("a*=utf-8''", &[one("a", "")]),
            ("a=\"\"", &[one("a", "")]),
            // The parameter is called `a*`: it is ignored, and the parameters after it are read.
            (
                "a*=UTF-8'en'x, b=1",
                &[one("a*", "UTF-8'en'x"), one("b", "1")],
            ),
            ("a*=ISO-8859-1''x", &[one("a*", "ISO-8859-1''x")]),
            ("a*=\"UTF-8''x\"", &[one("a*", "UTF-8''x")]),
            ("a*=x", &[one("a*", "x")]),
            ("a*=UTF-8''%c", &[Err(MalformedParams)]),
            ("a=", &[Err(MalformedParams)]),
            ("a", &[Err(MalformedParams)]),
            ("a=x/y", &[Err(MalformedParams)]),
            ("a=1 b=2", &[Err(MalformedParams)]),
            ("a=\"x\"y", &[Err(MalformedParams)]),
            ("a=\"x", &[Err(MalformedParams)]),
            ("a=1, \"", &[one("a", "1"), Err(MalformedParams)]),
        ] {
            assert_eq!(texts(text), expected, "{text}");
        }
    }

    #[test]
    fn credentials_have_one_scheme() {
        let found = |value| credentials(value).map(|found| (found.scheme, found.params));
        assert_eq!(found("Mutual  a=1"), Some(("Mutual", "a=1")));
        assert_eq!(found("Bearer"), Some(("Bearer", "")));
        assert_eq!(found("a=1"), None);
        assert_eq!(found(""), None);
    }
}
