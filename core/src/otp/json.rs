//! JSON objects: a reader that visits members one by one without recursion, and a writer that escapes strings.

use super::{MalformedToken, TokenError};
use crate::wire::{Full, Writer};
use heapless::String;
use picojson::{Event, PullParser, SliceParser};

/// The maximum number of members of an object.
const MAX_MEMBERS: usize = 32;

/// The maximum nesting depth of objects and arrays.
const MAX_DEPTH: u32 = 32;

/// The value of a member.
pub(super) enum Value<'v> {
    String(&'v str),
    Number(&'v str),
    /// A string element of an array that is the value of the member.
    Element(&'v str),
    /// The start of an array, whose string elements follow.
    Array,
    /// A value of another type.
    Other,
}

/// Calls `member` for each member of the object `json`, which must not be followed by other data.
///
/// `unescaped` must be as long as the longest string; `json.len()` bytes are sufficient.
pub(super) fn for_each_member(
    json: &[u8],
    unescaped: &mut [u8],
    mut member: impl FnMut(&str, Value<'_>) -> Result<(), TokenError>,
) -> Result<(), TokenError> {
    const MALFORMED: TokenError = TokenError::Malformed(MalformedToken::Json);
    // picojson does not validate UTF-8.
    core::str::from_utf8(json).map_err(|_| MALFORMED)?;
    // After a number, picojson accepts `]` in place of `}`.
    check_brackets(json)?;
    // picojson accepts unpaired surrogates, which other parsers would read as a different text.
    if !surrogates_are_paired(json) {
        return Err(MALFORMED);
    }
    let mut parser = SliceParser::with_buffer_from_slice(json, unescaped);
    if !matches!(parser.next_event(), Ok(Event::StartObject)) {
        return Err(MALFORMED);
    }
    let mut seen = Names::default();
    let mut name = Name::default();
    let mut depth = 1usize;
    let mut in_array = false;
    while depth > 0 {
        match parser.next_event().map_err(|_| MALFORMED)? {
            Event::Key(key) if depth == 1 => {
                seen.insert(key.as_str())?;
                name = Name::try_from(key.as_str()).unwrap_or_default();
            }
            Event::StartObject => {
                if depth == 1 {
                    member(name.as_str(), Value::Other)?;
                    in_array = false;
                }
                depth = depth.saturating_add(1);
            }
            Event::StartArray => {
                if depth == 1 {
                    member(name.as_str(), Value::Array)?;
                    in_array = true;
                }
                depth = depth.saturating_add(1);
            }
            Event::EndObject | Event::EndArray => depth = depth.saturating_sub(1),
            Event::String(text) if depth == 1 => {
                member(name.as_str(), Value::String(text.as_str()))?;
            }
            Event::String(text) if depth == 2 && in_array => {
                member(name.as_str(), Value::Element(text.as_str()))?;
            }
            Event::Number(number) if depth == 1 => {
                member(name.as_str(), Value::Number(number.as_str()))?;
            }
            Event::Bool(_) | Event::Null if depth == 1 => member(name.as_str(), Value::Other)?,
            Event::EndDocument => return Err(MALFORMED),
            _ => {}
        }
    }
    match parser.next_event() {
        Ok(Event::EndDocument) => Ok(()),
        _ => Err(MALFORMED),
    }
}

/// Checks that, outside strings, each bracket is closed by a bracket of its own kind, and that at most [`MAX_DEPTH`] are open at a
/// time.
fn check_brackets(json: &[u8]) -> Result<(), TokenError> {
    const MALFORMED: TokenError = TokenError::Malformed(MalformedToken::Json);
    // One bit for each open bracket, which is set for an object.
    let (mut open, mut depth) = (0u32, 0u32);
    let mut bytes = json.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' => loop {
                match bytes.next() {
                    None => return Err(MALFORMED),
                    Some(b'"') => break,
                    Some(b'\\') => {
                        bytes.next();
                    }
                    Some(_) => {}
                }
            },
            b'{' | b'[' => {
                if depth == MAX_DEPTH {
                    return Err(TokenError::Malformed(MalformedToken::TooDeep));
                }
                depth = depth.saturating_add(1);
                open = open << 1 | u32::from(byte == b'{');
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1).ok_or(MALFORMED)?;
                if open & 1 != u32::from(byte == b'}') {
                    return Err(MALFORMED);
                }
                open >>= 1;
            }
            _ => {}
        }
    }
    if depth == 0 { Ok(()) } else { Err(MALFORMED) }
}

/// Returns whether every escaped high surrogate is directly followed by a low surrogate, and every low surrogate follows a high
/// one (RFC 8259 section 8.2).
fn surrogates_are_paired(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        rest = rest.get(at..).unwrap_or_default();
        match escaped_unit(rest) {
            Some(0xd800..=0xdbff) => {
                let next = rest.get(6..).unwrap_or_default();
                if !matches!(escaped_unit(next), Some(0xdc00..=0xdfff)) {
                    return false;
                }
                rest = next.get(6..).unwrap_or_default();
            }
            Some(0xdc00..=0xdfff) => return false,
            // Skip the backslash and the character after it, so that an escaped backslash does not start another escape.
            _ => rest = rest.get(2..).unwrap_or_default(),
        }
    }
    true
}

/// Returns the UTF-16 code unit of an escape `\uXXXX` at the front.
fn escaped_unit(json: &[u8]) -> Option<u16> {
    let digits = json.strip_prefix(b"\\u")?.get(..4)?;
    let digits = core::str::from_utf8(digits).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

/// A member name of up to 8 bytes. A longer name is stored as empty, because it is not a name that this crate uses.
type Name = String<8>;

/// The hashes of the member names of one object. Two names with the same hash are rejected as a duplicate, so a collision can only
/// cause a rejection.
#[derive(Default)]
struct Names {
    hashes: [u64; MAX_MEMBERS],
    len: usize,
}

impl Names {
    fn insert(&mut self, name: &str) -> Result<(), TokenError> {
        // FNV-1a
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        if self.hashes.iter().take(self.len).any(|&seen| seen == hash) {
            return Err(TokenError::Malformed(MalformedToken::DuplicateMember));
        }
        *self
            .hashes
            .get_mut(self.len)
            .ok_or(TokenError::Malformed(MalformedToken::TooManyMembers))? = hash;
        self.len = self.len.saturating_add(1);
        Ok(())
    }
}

/// Writes `text` to `sink` as a JSON string with quotes (RFC 8259 section 7).
pub(super) fn write_string<E>(
    text: &str,
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    sink(b"\"")?;
    for character in text.chars() {
        match character {
            '"' => sink(b"\\\"")?,
            '\\' => sink(b"\\\\")?,
            '\0'..='\x1f' => {
                const HEX: [u8; 16] = *b"0123456789abcdef";
                let digit = |value: u32| {
                    usize::try_from(value & 0xf)
                        .ok()
                        .and_then(|value| HEX.get(value).copied())
                        .unwrap_or(b'0')
                };
                let code = u32::from(character);
                sink(&[b'\\', b'u', b'0', b'0', digit(code >> 4), digit(code)])?;
            }
            _ => sink(character.encode_utf8(&mut [0; 4]).as_bytes())?,
        }
    }
    sink(b"\"")
}

/// Writes `number` to `writer` in decimal.
pub(super) fn write_number(mut number: u64, writer: &mut Writer<'_>) -> Result<(), Full> {
    let mut digits = [b'0'; 20];
    let mut used = 0usize;
    for place in digits.iter_mut().rev() {
        *place = u8::try_from(number % 10).map_or(b'0', |digit| digit.wrapping_add(b'0'));
        number /= 10;
        used = used.saturating_add(1);
        if number == 0 {
            break;
        }
    }
    writer.put(
        digits
            .get(digits.len().saturating_sub(used)..)
            .unwrap_or_default(),
    )
}

/// An allocator that hands out consecutive pieces of the caller's buffer.
pub(super) struct Arena<'a> {
    rest: &'a mut [u8],
}

impl<'a> Arena<'a> {
    pub(super) fn new(scratch: &'a mut [u8]) -> Self {
        Self { rest: scratch }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a mut [u8], TokenError> {
        let (head, tail) = core::mem::take(&mut self.rest)
            .split_at_mut_checked(len)
            .ok_or(TokenError::BufferTooSmall)?;
        self.rest = tail;
        Ok(head)
    }

    /// Copies `text` to the buffer and returns the copy.
    pub(super) fn keep(&mut self, text: &str) -> Result<&'a str, TokenError> {
        let place = self.take(text.len())?;
        place.copy_from_slice(text.as_bytes());
        core::str::from_utf8(place).map_err(|_| TokenError::Malformed(MalformedToken::Json))
    }
}
