//! The parameters of messages, by their names (RFC 8120 section 4).

use super::{MAX_ELEMENT_LEN, Number, NumberFormat};
use crate::{
    error_messages,
    http_auth::{Value, hex_digit, params},
};
use base64ct::{Base64, Encoding};
use heapless::{String, Vec};

/// The parameters that this crate understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the parameter with its name")]
pub enum Name {
    Version,
    Algorithm,
    Validation,
    AuthScope,
    Realm,
    Reason,
    User,
    Kc1,
    Sid,
    Ks1,
    NcMax,
    NcWindow,
    Time,
    Path,
    Nc,
    Vkc,
    Vks,
}

impl Name {
    const ALL: [(Self, &'static str); 17] = [
        (Self::Version, "version"),
        (Self::Algorithm, "algorithm"),
        (Self::Validation, "validation"),
        (Self::AuthScope, "auth-scope"),
        (Self::Realm, "realm"),
        (Self::Reason, "reason"),
        (Self::User, "user"),
        (Self::Kc1, "kc1"),
        (Self::Sid, "sid"),
        (Self::Ks1, "ks1"),
        (Self::NcMax, "nc-max"),
        (Self::NcWindow, "nc-window"),
        (Self::Time, "time"),
        (Self::Path, "path"),
        (Self::Nc, "nc"),
        (Self::Vkc, "vkc"),
        (Self::Vks, "vks"),
    ];

    /// Returns the name, as it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(name, _)| *name == self)
            .map_or("", |(_, text)| text)
    }
}

/// The error of reading a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// The text is not a list of parameters.
    Syntax,
    /// A parameter occurs twice.
    Twice(Name),
    /// A parameter is missing.
    Missing(Name),
    /// A parameter has an invalid value.
    Invalid(Name),
    /// The version is not 1.
    Version,
    /// The parameters fit no message that section 4 defines for its place, or several.
    Kind,
}

error_messages! { MessageError {
    Self::Syntax => "the message is not a list of parameters (RFC 9110 section 11.2)";
    Self::Twice(name) => "the parameter {} occurs twice", name.as_str();
    Self::Missing(name) => "the parameter {} is missing", name.as_str();
    Self::Invalid(name) => "the value of the parameter {} is invalid", name.as_str();
    Self::Version => "the version of the message is not 1";
    Self::Kind => "the parameters are those of no message, or of several (RFC 8120 section 4)";
}}

impl core::error::Error for MessageError {}

/// The parameters of one message. Unknown ones are ignored.
pub(super) struct Fields<'a> {
    values: [Option<Value<'a>>; Name::ALL.len()],
    /// The numbers of parameters that decide which message it is.
    pub(super) kinds: Kinds,
}

/// The numbers of parameters that exclude each other (RFC 8120 section 4).
#[derive(Default)]
pub(super) struct Kinds {
    /// `kc#` and `vkc`.
    pub(super) client: usize,
    /// `reason`, `ks#` and `vks`.
    pub(super) server: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, MessageError> {
        let mut fields = Self {
            values: [None; Name::ALL.len()],
            kinds: Kinds::default(),
        };
        for param in params(text) {
            let (name, value) = param.map_err(|_| MessageError::Syntax)?;
            fields.kinds.count(name);
            let mut known = Name::ALL.iter().zip(&mut fields.values);
            let Some((&(name, _), place)) =
                known.find(|((_, text), _)| text.eq_ignore_ascii_case(name))
            else {
                continue;
            };
            if place.replace(value).is_some() {
                return Err(MessageError::Twice(name));
            }
        }
        Ok(fields)
    }

    pub(super) fn get(&self, name: Name) -> Option<Value<'a>> {
        let mut all = Name::ALL.iter().zip(&self.values);
        all.find(|((one, _), _)| *one == name)
            .and_then(|(_, value)| *value)
    }

    pub(super) fn must(&self, name: Name) -> Result<Value<'a>, MessageError> {
        self.get(name).ok_or(MessageError::Missing(name))
    }

    pub(super) fn check_version(&self) -> Result<(), MessageError> {
        let version = self.must(Name::Version)?;
        version
            .is_token("1")
            .then_some(())
            .ok_or(MessageError::Version)
    }

    pub(super) fn integer(&self, name: Name) -> Result<u64, MessageError> {
        integer(self.must(name)?).ok_or(MessageError::Invalid(name))
    }

    pub(super) fn text<const N: usize>(&self, name: Name) -> Result<String<N>, MessageError> {
        let bytes = bytes::<N>(self.must(name)?).ok_or(MessageError::Invalid(name))?;
        let text = String::from_utf8(bytes).map_err(|_| MessageError::Invalid(name))?;
        (!text.starts_with('\u{feff}'))
            .then_some(text)
            .ok_or(MessageError::Invalid(name))
    }
}

impl Kinds {
    fn count(&mut self, name: &str) {
        let is = |text: &str| name.eq_ignore_ascii_case(text);
        let numbered = |prefix: &str| {
            let (front, digits) = name.split_at_checked(prefix.len()).unwrap_or_default();
            front.eq_ignore_ascii_case(prefix)
                && !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        if is("vkc") || numbered("kc") {
            self.client = self.client.saturating_add(1);
        }
        if is("vks") || is("reason") || numbered("ks") {
            self.server = self.server.saturating_add(1);
        }
    }
}

/// Returns an integer without leading zeros. One that is too large becomes the largest (RFC 8120 section 6).
pub(super) fn integer(value: Value<'_>) -> Option<u64> {
    let mut integer: u64 = 0;
    let mut len = 0_usize;
    for byte in value.bytes() {
        let digit = byte.filter(u8::is_ascii_digit)?;
        if len == 1 && integer == 0 {
            return None;
        }
        len = len.saturating_add(1);
        integer = integer
            .saturating_mul(10)
            .saturating_add(u64::from(digit & 0xf));
    }
    (len > 0).then_some(integer)
}

/// Returns the bytes of a value; `None` if there are more than `N`.
pub(super) fn bytes<const N: usize>(value: Value<'_>) -> Option<Vec<u8, N>> {
    let mut bytes = Vec::new();
    for byte in value.bytes() {
        bytes.push(byte?).ok()?;
    }
    Some(bytes)
}

/// The longest session identifier, in bytes.
pub const MAX_SID_LEN: usize = 64;

/// A session identifier, 1 to [`MAX_SID_LEN`] bytes.
pub type SessionId = Vec<u8, MAX_SID_LEN>;

/// Returns the session identifier.
pub(super) fn session_id(fields: &Fields<'_>) -> Result<SessionId, MessageError> {
    let invalid = MessageError::Invalid(Name::Sid);
    let sid: SessionId = hex(fields.must(Name::Sid)?).ok_or(invalid)?;
    if sid.is_empty() {
        Err(invalid)
    } else {
        Ok(sid)
    }
}

fn hex<const N: usize>(value: Value<'_>) -> Option<Vec<u8, N>> {
    let mut bytes = Vec::new();
    let mut digits = value.bytes();
    while let Some(high) = digits.next() {
        let (high, low) = (hex_digit(high?)?, hex_digit(digits.next()??)?);
        bytes.push((high << 4) | low).ok()?;
    }
    Some(bytes)
}

/// The longest base64-fixed-number.
const MAX_BASE64_LEN: usize = MAX_ELEMENT_LEN.div_ceil(3) * 4;

/// Returns a number in the representation of its algorithm, if it has its natural length.
pub(super) fn number(value: Value<'_>, format: NumberFormat, len: usize) -> Option<Number> {
    let octets: Vec<u8, MAX_ELEMENT_LEN> = match format {
        NumberFormat::Hex => hex(value)?,
        NumberFormat::Base64 => {
            let text: Vec<u8, MAX_BASE64_LEN> = bytes(value)?;
            let mut octets = Vec::new();
            octets.resize(MAX_ELEMENT_LEN, 0).ok()?;
            let len = Base64::decode(&text, &mut octets).ok()?.len();
            octets.truncate(len);
            octets
        }
    };
    (octets.len() == len).then(|| Number::new(&octets))?
}
