//! The header fields of `docs/proofs/AUTHENTICATOR.md`: from text to bytes and back.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chanbind_core::authenticator::http;
use std::fmt;

pub use http::{MAX_AUTHENTICATOR_LEN, MAX_REQUEST_LEN, SCHEME};

/// The field in which a client asks the server for an identity: a ClientCertificateRequest.
pub const REQUEST_HEADER: HeaderName = HeaderName::from_static("exported-authenticator-request");

/// The field with the server's authenticator.
pub const AUTHENTICATOR_HEADER: HeaderName = HeaderName::from_static("exported-authenticator");

/// The error of reading a header field. Its sender may be told: it wrote the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldError {
    /// The field occurs twice.
    Twice,
    /// The value is not base64url without padding.
    Base64,
    /// The value has too many bytes.
    TooLong {
        /// The limit.
        max: usize,
    },
}

/// Returns the value of a challenge.
#[must_use]
pub fn challenge(request: &[u8]) -> HeaderValue {
    let request = BASE64_URL_SAFE_NO_PAD.encode(request);
    value(format!(
        "{SCHEME} realm=\"chanbind\", request=\"{request}\""
    ))
}

/// Returns the value of credentials.
#[must_use]
pub fn credentials(authenticator: &[u8]) -> HeaderValue {
    let text = BASE64_URL_SAFE_NO_PAD.encode(authenticator);
    value(format!("{SCHEME} {text}"))
}

/// Returns the authenticator in a request's credentials; `None` if it has no credentials of this scheme.
///
/// # Errors
/// [`FieldError`]
pub fn presented(headers: &HeaderMap) -> Result<Option<Vec<u8>>, FieldError> {
    let Some(value) = once(headers, &header::AUTHORIZATION)? else {
        return Ok(None);
    };
    http::credentials(value)
        .map(|text| decode(text, MAX_AUTHENTICATOR_LEN))
        .transpose()
}

/// Returns the bytes in a field of its own; `None` if there is no such field.
///
/// # Errors
/// [`FieldError`]
pub fn field(
    headers: &HeaderMap,
    name: &HeaderName,
    max: usize,
) -> Result<Option<Vec<u8>>, FieldError> {
    once(headers, name)?
        .map(|text| decode(text, max))
        .transpose()
}

/// Returns the value of such a field.
#[must_use]
pub fn field_value(bytes: &[u8]) -> HeaderValue {
    value(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn once<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, FieldError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(FieldError::Twice);
    }
    value.to_str().map(Some).map_err(|_| FieldError::Base64)
}

/// Returns the text of a field with these bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the bytes in the value of a field.
pub(super) fn decode(text: impl AsRef<[u8]>, max: usize) -> Result<Vec<u8>, FieldError> {
    let text = text.as_ref();
    if text.len() > (max * 4).div_ceil(3) {
        return Err(FieldError::TooLong { max });
    }
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| FieldError::Base64)
}

fn value(text: String) -> HeaderValue {
    // The text has no character that a header value must not have.
    HeaderValue::from_maybe_shared(text).unwrap_or(HeaderValue::from_static(""))
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice => f.write_str("the header field occurs twice: send it once"),
            Self::Base64 => f.write_str("it is not base64url without padding (RFC 4648 section 5)"),
            Self::TooLong { max } => write!(f, "it has more than {max} bytes"),
        }
    }
}

impl std::error::Error for FieldError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the request in the first challenge of the scheme, as a client finds it.
    fn challenged(headers: &HeaderMap) -> Option<Vec<u8>> {
        let values = headers.get_all(header::WWW_AUTHENTICATE).iter();
        let text = values
            .filter_map(|value| value.to_str().ok())
            .find_map(http::challenge);
        text.and_then(|text| decode(text, MAX_REQUEST_LEN).ok())
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    #[test]
    fn a_challenge_is_found_among_others() {
        let own = challenge(b"request").to_str().unwrap().to_owned();
        let found = Some(b"request".to_vec());
        for values in [
            &[own.as_str()][..],
            &[
                "Basic realm=\"a, b \\\" Exported-Authenticator request=x\"",
                &own,
            ],
            &[&format!("Negotiate YWJj==, {own}")],
            &[&format!(
                "Negotiate, Digest realm=\"x\", nonce=abc , {own}, Bearer"
            )],
            &["EXPORTED-AUTHENTICATOR x=1,request=cmVxdWVzdA"],
            &["Exported-Authenticator ReQuest = \"cmVxdWVzdA\""],
        ] {
            assert_eq!(challenged(&headers(values)), found, "{values:?}");
        }
        for values in [
            &[][..],
            &["Bearer request=\"cmVxdWVzdA\""],
            &["Exported-Authenticator realm=\"x\", Bearer request=\"cmVxdWVzdA\""],
            &["Exported-Authenticator request=\"cmVxdWVzdA=\""],
            &["Exported-Authenticator request=\"unfinished"],
            &["Exported-Authenticator"],
            &["=", "\"", "a=", "a=\"\\"],
        ] {
            assert_eq!(challenged(&headers(values)), None, "{values:?}");
        }
    }

    #[test]
    fn credentials_are_read_back() {
        let mut headers = HeaderMap::new();
        assert_eq!(presented(&headers), Ok(None));
        headers.insert(header::AUTHORIZATION, credentials(&[7; 100]));
        assert_eq!(presented(&headers), Ok(Some(vec![7; 100])));
        headers.append(header::AUTHORIZATION, credentials(&[7; 100]));
        assert_eq!(presented(&headers), Err(FieldError::Twice));
        for (text, expected) in [
            ("Bearer abc", Ok(None)),
            ("exported-authenticator   AAAA", Ok(Some(vec![0; 3]))),
            ("Exported-Authenticator", Ok(Some(Vec::new()))),
            ("Exported-Authenticator AAAA=", Err(FieldError::Base64)),
            ("Exported-Authenticator A+A/", Err(FieldError::Base64)),
            ("Exported-Authenticator AAA AAA", Err(FieldError::Base64)),
        ] {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(text));
            assert_eq!(presented(&headers), expected, "{text}");
        }
        let longest = credentials(&[0; MAX_AUTHENTICATOR_LEN]);
        headers.insert(header::AUTHORIZATION, longest);
        assert!(presented(&headers).is_ok());
        let longer = credentials(&[0; MAX_AUTHENTICATOR_LEN + 1]);
        headers.insert(header::AUTHORIZATION, longer);
        let max = MAX_AUTHENTICATOR_LEN;
        assert_eq!(presented(&headers), Err(FieldError::TooLong { max }));
    }
}
