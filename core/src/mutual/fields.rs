//! The parameters of messages, by their names (RFC 8120 section 4).

use super::{MAX_ELEMENT_LEN, Number, NumberFormat};
use crate::{
    error_messages,
    http_auth::{Value, hex_digit, params},
};
#[cfg(feature = "mutual-dl")]
use base64ct::{Base64, Encoding};
use heapless::{String, Vec, VecView};

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
    LogoutTimeout,
    Username,
}

impl Name {
    /// The names, in the order of the variants.
    const ALL: [(Self, &'static str); 19] = [
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
        (Self::LogoutTimeout, "logout-timeout"),
        (Self::Username, "username"),
    ];

    #[allow(clippy::as_conversions, reason = "the variants have no fields")]
    fn position(self) -> usize {
        self as usize
    }

    /// Returns the name, as it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.get(self.position()).map_or("", |(_, text)| text)
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
    /// The number of parameters `kc#`.
    client_values: usize,
    /// The number of parameters `ks#`.
    server_values: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, MessageError> {
        let mut fields = Self {
            values: [None; Name::ALL.len()],
            client_values: 0,
            server_values: 0,
        };
        for param in params(text) {
            let (name, value) = param.map_err(|_| MessageError::Syntax)?;
            fields.count(name);
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

    /// Counts `kc#` and `ks#`, also those of other algorithms.
    fn count(&mut self, name: &str) {
        if let [b'k' | b'K', which, digits @ ..] = name.as_bytes()
            && !digits.is_empty()
            && digits.iter().all(u8::is_ascii_digit)
        {
            match which {
                b'c' | b'C' => self.client_values = self.client_values.saturating_add(1),
                b's' | b'S' => self.server_values = self.server_values.saturating_add(1),
                _ => {}
            }
        }
    }

    /// Returns how many parameters there are that say that the message is a client's: `kc#` and `vkc`. They exclude each other (section 4).
    pub(super) fn client_kinds(&self) -> usize {
        self.client_values
            .saturating_add(self.number_of(&[Name::Vkc]))
    }

    /// Returns how many parameters there are that say that the message is a server's: `reason`, `ks#` and `vks`.
    pub(super) fn server_kinds(&self) -> usize {
        self.server_values()
            .saturating_add(self.number_of(&[Name::Reason]))
    }

    /// Returns how many of `ks#` and `vks` there are, which no message of a client has.
    pub(super) fn server_values(&self) -> usize {
        self.server_values
            .saturating_add(self.number_of(&[Name::Vks]))
    }

    fn number_of(&self, names: &[Name]) -> usize {
        let present = names.iter().filter(|name| self.get(**name).is_some());
        present.count()
    }

    pub(super) fn get(&self, name: Name) -> Option<Value<'a>> {
        *self.values.get(name.position())?
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

    pub(super) fn integer(&self, name: Name) -> Result<u32, MessageError> {
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

/// Returns an integer without leading zeros. One that is too large becomes the largest (RFC 8120 section 6).
#[inline(never)]
pub(super) fn integer(value: Value<'_>) -> Option<u32> {
    let mut integer: Option<u32> = None;
    for byte in value.bytes() {
        let digit = byte.filter(u8::is_ascii_digit)?;
        let before = match integer {
            Some(0) => return None,
            before => before.unwrap_or(0),
        };
        let next = before.saturating_mul(10);
        integer = Some(next.saturating_add(u32::from(digit & 0xf)));
    }
    integer
}

/// Returns the bytes of a value; `None` if there are more than `N`.
pub(super) fn bytes<const N: usize>(value: Value<'_>) -> Option<Vec<u8, N>> {
    let mut bytes = Vec::new();
    append(value, &mut bytes)?;
    Some(bytes)
}

/// Appends the bytes of a value.
#[inline(never)]
fn append(value: Value<'_>, out: &mut VecView<u8>) -> Option<()> {
    value.bytes().try_for_each(|byte| out.push(byte?).ok())
}

/// Appends the bytes that a value has in hexadecimal digits.
#[inline(never)]
fn append_hex(value: Value<'_>, out: &mut VecView<u8>) -> Option<()> {
    let mut digits = value.bytes();
    while let Some(high) = digits.next() {
        let (high, low) = (hex_digit(high?)?, hex_digit(digits.next()??)?);
        out.push((high << 4) | low).ok()?;
    }
    Some(())
}

/// The longest session identifier, in bytes.
pub const MAX_SID_LEN: usize = 64;

/// A session identifier, 1 to [`MAX_SID_LEN`] bytes.
pub type SessionId = Vec<u8, MAX_SID_LEN>;

/// Returns the session identifier.
pub(super) fn session_id(fields: &Fields<'_>) -> Result<SessionId, MessageError> {
    let invalid = MessageError::Invalid(Name::Sid);
    let mut sid = SessionId::new();
    append_hex(fields.must(Name::Sid)?, &mut sid).ok_or(invalid)?;
    if sid.is_empty() {
        Err(invalid)
    } else {
        Ok(sid)
    }
}

/// The longest base64-fixed-number.
#[cfg(feature = "mutual-dl")]
const MAX_BASE64_LEN: usize = MAX_ELEMENT_LEN.div_ceil(3) * 4;

/// Returns a number in the representation of its algorithm, if it has its natural length.
pub(super) fn number(value: Value<'_>, format: NumberFormat, len: usize) -> Option<Number> {
    let mut octets = Vec::<u8, MAX_ELEMENT_LEN>::new();
    match format {
        NumberFormat::Hex => append_hex(value, &mut octets)?,
        #[cfg(feature = "mutual-dl")]
        NumberFormat::Base64 => {
            let text: Vec<u8, MAX_BASE64_LEN> = bytes(value)?;
            octets.resize(MAX_ELEMENT_LEN, 0).ok()?;
            let len = Base64::decode(&text, &mut octets).ok()?.len();
            octets.truncate(len);
        }
    }
    (octets.len() == len).then_some(Number::from(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_the_variants() {
        for (position, (name, text)) in Name::ALL.iter().enumerate() {
            assert_eq!(name.position(), position, "{text}");
            assert_eq!(name.as_str(), *text);
        }
    }
}
