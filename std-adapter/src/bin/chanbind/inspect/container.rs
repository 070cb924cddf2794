//! Reading of authenticators and their requests from bytes, base64url, or the header fields of `docs/proofs/AUTHENTICATOR.md`.

use crate::{
    failure::Failure,
    files::{named, read},
};
use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_URL_SAFE_NO_PAD,
};
use chanbind::{
    proof::authenticator::header_fields::{AUTHENTICATOR_HEADER, REQUEST_HEADER},
    protocol::authenticator::http::{challenge, credentials},
};
use std::path::Path;

/// The kind of message to read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Authenticator,
    Request,
}

/// A message that was read from a file.
pub(super) struct Container {
    pub(super) bytes: Vec<u8>,
    /// A remark about an encoding that a peer would reject.
    pub(super) remark: Option<&'static str>,
}

/// Reads a message from a file. Returns an error if it is recognisably not of the given kind.
pub(super) fn read_kind(path: &Path, kind: Kind) -> Result<Container, Failure> {
    let bytes = read(path)?;
    let container = match text(&bytes) {
        None => Container {
            bytes: bytes.to_vec(),
            remark: None,
        },
        Some(text) => decode(&find(text, kind).ok_or_else(|| named(path, kind.advice()))?)
            .ok_or_else(|| named(path, format!("not base64url; {}", kind.advice())))?,
    };
    match (container.bytes.first(), kind) {
        (None, _) => Err(named(
            path,
            format!("the input is empty; {}", kind.advice()),
        )),
        (Some(13 | 17), Kind::Authenticator) => Err(named(
            path,
            "this is a request for an authenticator: `chanbind inspect request` explains it",
        )),
        (Some(11 | 20), Kind::Request) => Err(named(
            path,
            "this is an authenticator: `chanbind inspect authenticator` explains it",
        )),
        _ => Ok(container),
    }
}

impl Kind {
    /// Returns the description of valid input, for error messages.
    fn advice(self) -> &'static str {
        match self {
            Self::Authenticator => {
                "give an authenticator: its bytes, base64url, or a line like `Authorization: Exported-Authenticator CwAB...`"
            }
            Self::Request => {
                "give a request: its bytes, base64url, or a line like `WWW-Authenticate: Exported-Authenticator request=\"DQAA...\"`"
            }
        }
    }
}

/// Returns the text, or `None` if the bytes are a handshake message, which always contains control bytes: the first byte of a
/// length.
fn text(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok().filter(|text| {
        text.chars()
            .all(|c| !c.is_control() || matches!(c, '\t' | '\r' | '\n'))
    })
}

/// Returns the base64url in a text: the value of a header field if there is one, or else the whole text.
fn find(text: &str, kind: Kind) -> Option<String> {
    let fields: Vec<_> = text.lines().filter_map(Field::parse).collect();
    // Accept a field of the other kind too, so that the caller can report it.
    let wanted = fields.iter().find(|field| field.kind() == Some(kind));
    if let Some(field) = wanted.or_else(|| fields.iter().find(|field| field.kind().is_some())) {
        return field.value().map(str::to_owned);
    }
    let text = text.trim();
    let value = challenge(text).or_else(|| credentials(text));
    let value = value.unwrap_or(text);
    let packed: String = value.split_ascii_whitespace().collect();
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte);
    packed.bytes().all(is_base64).then_some(packed)
}

/// A header field.
struct Field<'t> {
    name: &'t str,
    value: &'t str,
}

impl<'t> Field<'t> {
    /// Parses `Name: value`, also with the prefix `<` or `>` that `curl -v` prints.
    fn parse(line: &'t str) -> Option<Self> {
        let line = line.trim();
        let line = line.strip_prefix(['<', '>']).unwrap_or(line);
        let (name, value) = line.split_once(':')?;
        Some(Self {
            name: name.trim(),
            value: value.trim(),
        })
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Returns the kind of message in the field, if there is one.
    fn kind(&self) -> Option<Kind> {
        if self.is(AUTHENTICATOR_HEADER.as_str()) || self.credentials().is_some() {
            Some(Kind::Authenticator)
        } else if self.is(REQUEST_HEADER.as_str()) || self.challenge().is_some() {
            Some(Kind::Request)
        } else {
            None
        }
    }

    /// Returns the base64url in the field.
    fn value(&self) -> Option<&'t str> {
        let of_scheme = self.credentials().or_else(|| self.challenge());
        of_scheme.or(Some(self.value))
    }

    fn credentials(&self) -> Option<&'t str> {
        (self.is("authorization"))
            .then(|| credentials(self.value))
            .flatten()
    }

    fn challenge(&self) -> Option<&'t str> {
        (self.is("www-authenticate"))
            .then(|| challenge(self.value))
            .flatten()
    }
}

/// Decodes base64url, or any other base64 with a remark.
fn decode(text: &str) -> Option<Container> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    if let Ok(bytes) = BASE64_URL_SAFE_NO_PAD.decode(text) {
        return Some(Container {
            bytes,
            remark: None,
        });
    }
    let mut others = [URL_SAFE, STANDARD].into_iter();
    let bytes =
        others.find_map(|alphabet| GeneralPurpose::new(&alphabet, LENIENT).decode(text).ok())?;
    Some(Container {
        bytes,
        remark: Some("not base64url without padding: a peer would reject it"),
    })
}
