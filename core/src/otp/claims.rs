use super::{
    MalformedToken, TokenError,
    date::NumericDate,
    json::{Arena, Value, for_each_member, write_number, write_string},
};
use crate::wire::Writer;

/// The claims of a JWT that this crate writes and reads (RFC 7519 section 4.1, and `htm`/`htu` of RFC 9449 section 4.2).
///
/// Read claims live in the caller's scratch buffer. Others are passed over; [`super::jws::Verified::payload`] has them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Claims<'a> {
    /// `iss`
    pub issuer: Option<&'a str>,
    /// `sub`
    pub subject: Option<&'a str>,
    /// `aud`. Where a token that is read has several, the one that the policy asks for if it is among them, else the first.
    pub audience: Option<&'a str>,
    /// `exp`: seconds since 1970-01-01T00:00:00Z. When read, any JSON number is accepted and rounded down.
    pub expires_at: Option<u64>,
    /// `nbf`: in the same seconds, rounded up when read.
    pub not_before: Option<u64>,
    /// `iat`: in the same seconds, rounded down when read.
    pub issued_at: Option<u64>,
    /// `jti`: never twice for one key.
    pub token_id: Option<&'a str>,
    /// `htm`: the method of the one request that the token is for.
    pub method: Option<&'a str>,
    /// `htu`: the URI of that request, without query and fragment.
    pub uri: Option<&'a str>,
}

impl<'a> Claims<'a> {
    /// Writes the claims as JSON into the front of `out`, in the order of the fields.
    ///
    /// # Errors
    /// [`TokenError::BufferTooSmall`]
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

    /// Reads the claims of `json`.
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
