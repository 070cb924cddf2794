use super::{
    MalformedToken, TokenError,
    date::NumericDate,
    json::{Arena, Value, for_each_member, write_number, write_string},
};
use crate::wire::Writer;

/// The claims of a JWT that this crate supports (RFC 7519 section 4.1, and `htm` and `htu` of RFC 9449 section 4.2).
///
/// Parsed claims borrow from the caller's scratch buffer. Other claims are ignored; [`super::jws::Verified::payload`] contains all
/// of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Claims<'a> {
    /// The issuer, `iss`.
    pub issuer: Option<&'a str>,
    /// The subject, `sub`.
    pub subject: Option<&'a str>,
    /// The audience, `aud`. If a parsed token has several, this is the one that the policy requires if it is among them, otherwise
    /// the first.
    pub audience: Option<&'a str>,
    /// The expiration time, `exp`, in seconds since 1970-01-01T00:00:00Z. Any JSON number is parsed and rounded down.
    pub expires_at: Option<u64>,
    /// The start of validity, `nbf`, in seconds since 1970-01-01T00:00:00Z. Any JSON number is parsed and rounded up.
    pub not_before: Option<u64>,
    /// The time of issue, `iat`, in seconds since 1970-01-01T00:00:00Z. Any JSON number is parsed and rounded down.
    pub issued_at: Option<u64>,
    /// The token id, `jti`. It must be unique among the tokens of one key.
    pub token_id: Option<&'a str>,
    /// The method of the request for which the token is valid, `htm`.
    pub method: Option<&'a str>,
    /// The URI of the request for which the token is valid, `htu`, without query and fragment.
    pub uri: Option<&'a str>,
}

impl<'a> Claims<'a> {
    /// Writes the claims as a JSON object to the front of `out`, in the order of the fields.
    ///
    /// # Errors
    /// [`TokenError::BufferTooSmall`] if `out` is shorter than the JSON text.
    pub fn encode<'o>(&self, out: &'o mut [u8]) -> Result<&'o [u8], TokenError> {
        let mut writer = Writer::new(out);
        self.write(&mut writer)
            .map_err(|_| TokenError::BufferTooSmall)?;
        Ok(writer.finish())
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), crate::wire::Full> {
        enum Claim<'c> {
            Text(Option<&'c str>),
            Seconds(Option<u64>),
        }
        use Claim::{Seconds, Text};
        let mut separator: &[u8] = b"{";
        for (name, claim) in [
            ("iss", Text(self.issuer)),
            ("sub", Text(self.subject)),
            ("aud", Text(self.audience)),
            ("exp", Seconds(self.expires_at)),
            ("nbf", Seconds(self.not_before)),
            ("iat", Seconds(self.issued_at)),
            ("jti", Text(self.token_id)),
            ("htm", Text(self.method)),
            ("htu", Text(self.uri)),
        ] {
            if matches!(claim, Text(None) | Seconds(None)) {
                continue;
            }
            writer.put(separator)?;
            separator = b",";
            write_string(name, |bytes| writer.put(bytes))?;
            writer.put(b":")?;
            match claim {
                Text(text) => write_string(text.unwrap_or_default(), |bytes| writer.put(bytes))?,
                Seconds(seconds) => write_number(seconds.unwrap_or_default(), writer)?,
            }
        }
        if separator == b"{" {
            writer.put(separator)?;
        }
        writer.put(b"}")
    }

    /// Parses the claims of the JSON object `json`. `audience` is the required audience, if there is one.
    pub(super) fn parse(
        json: &[u8],
        audience: Option<&str>,
        arena: &mut Arena<'a>,
    ) -> Result<Self, TokenError> {
        const MALFORMED: TokenError = TokenError::Malformed(MalformedToken::Json);
        let unescaped = arena.take(json.len())?;
        let mut claims = Self::default();
        for_each_member(json, unescaped, |name, value| {
            match (name, value) {
                ("iss", Value::String(text)) => claims.issuer = Some(arena.keep(text)?),
                ("sub", Value::String(text)) => claims.subject = Some(arena.keep(text)?),
                ("aud", Value::String(text)) => claims.audience = Some(arena.keep(text)?),
                ("aud", Value::Element(text))
                    if claims.audience.is_none() || audience == Some(text) =>
                {
                    claims.audience = Some(arena.keep(text)?);
                }
                ("aud", Value::Element(_) | Value::Array) => {}
                ("exp", Value::Number(text)) => {
                    claims.expires_at = Some(NumericDate::read(text).floor())
                }
                ("nbf", Value::Number(text)) => {
                    claims.not_before = Some(NumericDate::read(text).ceil())
                }
                ("iat", Value::Number(text)) => {
                    claims.issued_at = Some(NumericDate::read(text).floor())
                }
                ("jti", Value::String(text)) => claims.token_id = Some(arena.keep(text)?),
                ("htm", Value::String(text)) => claims.method = Some(arena.keep(text)?),
                ("htu", Value::String(text)) => claims.uri = Some(arena.keep(text)?),
                ("iss" | "sub" | "aud" | "exp" | "nbf" | "iat" | "jti" | "htm" | "htu", _) => {
                    return Err(MALFORMED);
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(claims)
    }
}
