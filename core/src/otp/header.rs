use super::{
    MalformedToken, TokenError, TokenRefusal,
    base64::{decode, decoded_len},
    json::{Arena, Value, for_each_member, write_string},
};
use base64ct::{Base64UrlUnpadded, Encoder};

/// The parameters of a JOSE header that the sender chooses (RFC 7515 section 4.1, RFC 7516 section 4.1). The algorithms are fixed.
///
/// Members are written in alphabetical order, which gives the same bytes as go-jose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header<'a> {
    /// The key id, `kid`, which is the client id in this project.
    pub key_id: Option<&'a str>,
    /// True if `typ` is present, with the value `JWT`.
    pub typ: bool,
}

/// The form of a token, which determines the algorithms that its header must name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A header with `alg` HS256.
    Jws,
    /// A header with `alg` dir and `enc` A256GCM.
    Jwe,
    /// A header as for [`Form::Jwe`] that also has `cty` JWT.
    Nested,
}

/// Writes the header as the first part of a compact serialization and returns its length.
pub(super) fn encode(form: Form, header: &Header<'_>, out: &mut [u8]) -> Result<usize, TokenError> {
    let mut encoder =
        Encoder::<Base64UrlUnpadded>::new(out).map_err(|_| TokenError::BufferTooSmall)?;
    let mut put = |bytes: &[u8]| {
        encoder
            .encode(bytes)
            .map_err(|_| TokenError::BufferTooSmall)
    };
    put(match form {
        Form::Jws => br#"{"alg":"HS256""#,
        Form::Jwe => br#"{"alg":"dir","enc":"A256GCM""#,
        Form::Nested => br#"{"alg":"dir","cty":"JWT","enc":"A256GCM""#,
    })?;
    if let Some(key_id) = header.key_id {
        put(br#","kid":"#)?;
        write_string(key_id, &mut put)?;
    }
    if header.typ {
        put(br#","typ":"JWT""#)?;
    }
    put(b"}")?;
    Ok(encoder
        .finish()
        .map_err(|_| TokenError::BufferTooSmall)?
        .len())
}

/// Parses the first part of a compact serialization and checks it against the requirements of `form`.
pub(super) fn parse<'a>(
    form: Form,
    part: &str,
    arena: &mut Arena<'a>,
) -> Result<Header<'a>, TokenError> {
    let json = decode(part, arena.take(decoded_len(part))?)?;
    let unescaped = arena.take(json.len())?;
    let mut header = Header::default();
    let (mut alg, mut enc, mut cty) = (false, false, false);
    for_each_member(json, unescaped, |name, value| {
        match (name, value) {
            ("alg", Value::String(name)) => {
                alg = name == if form == Form::Jws { "HS256" } else { "dir" };
                require(alg, TokenRefusal::Algorithm)?;
            }
            ("enc", Value::String(name)) if form != Form::Jws => {
                enc = name == "A256GCM";
                require(enc, TokenRefusal::Algorithm)?;
            }
            ("typ", Value::String(name)) => {
                header.typ = is_jwt(name);
                require(header.typ, TokenRefusal::Type)?;
            }
            ("cty", Value::String(name)) => {
                cty = is_jwt(name);
            }
            ("kid", Value::String(name)) => header.key_id = Some(arena.keep(name)?),
            ("crit", _) => return Err(TokenError::Refused(TokenRefusal::Critical)),
            ("zip", _) => return Err(TokenError::Refused(TokenRefusal::Type)),
            ("alg" | "enc" | "typ" | "cty" | "kid", _) if name != "enc" || form != Form::Jws => {
                return Err(TokenError::Malformed(MalformedToken::Json));
            }
            _ => {}
        }
        Ok(())
    })?;
    require(alg && (enc || form == Form::Jws), TokenRefusal::Algorithm)?;
    require(cty || form != Form::Nested, TokenRefusal::Type)?;
    Ok(header)
}

/// Returns whether a media type is `application/jwt`. The prefix `application/` may be omitted (RFC 7515 section 4.1.9).
fn is_jwt(media_type: &str) -> bool {
    const PREFIX: &str = "application/";
    let name = match media_type.split_at_checked(PREFIX.len()) {
        Some((prefix, name)) if prefix.eq_ignore_ascii_case(PREFIX) => name,
        _ => media_type,
    };
    name.eq_ignore_ascii_case("JWT")
}

fn require(is_met: bool, refusal: TokenRefusal) -> Result<(), TokenError> {
    if is_met {
        Ok(())
    } else {
        Err(TokenError::Refused(refusal))
    }
}
