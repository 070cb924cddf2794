/// The value of a parameter, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    raw: &'a str,
    form: Form,
}

/// The front of an extended value: charset and language, which is empty.
const CHARSET: &str = "UTF-8''";

/// The form in which a value was sent.
// A word, because a microcontroller copies words more easily than what bytes leave between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Form {
    /// A token.
    Token,
    /// A quoted string.
    Quoted,
    /// A value in UTF-8 with percent-encoding, of a parameter `name*` (RFC 5987 section 3.2). Its language is empty.
    Extended,
}

impl<'a> Value<'a> {
    /// Splits the value off the front of the text after `=`. Returns the name without the `*` of the extended form, and the text after
    /// the value.
    pub(super) fn split<'n>(name: &'n str, text: &'a str) -> Option<(&'n str, Self, &'a str)> {
        if let Some(quoted) = text.strip_prefix('"') {
            let (raw, rest) = quoted.split_at_checked(end_of_quoted(quoted)?)?;
            let form = Form::Quoted;
            return Some((name, Self { raw, form }, rest.strip_prefix('"')?));
        }
        let (raw, rest) = super::split_token(text)?;
        let form = Form::Token;
        let whole = (name, Self { raw, form }, rest);
        // In another charset or with a language, the value belongs to a parameter that is called `name*`: nothing here has such a name.
        let Some((charset, encoded)) = raw.split_at_checked(CHARSET.len()) else {
            return Some(whole);
        };
        let is_extended =
            charset.eq_ignore_ascii_case(CHARSET) && encoded.bytes().all(|byte| byte != b'\'');
        Some(match name.strip_suffix('*') {
            Some(bare) if is_extended && !bare.is_empty() => {
                let (raw, form) = (encoded, Form::Extended);
                (bare, Self { raw, form }, rest)
            }
            _ => whole,
        })
    }

    /// Returns the form in which the value was sent.
    #[must_use]
    pub fn form(self) -> Form {
        self.form
    }

    /// Returns the text as it was sent, without the quotes of a quoted string. Escapes are not resolved: for values that need none.
    #[must_use]
    pub fn raw(self) -> &'a str {
        self.raw
    }

    /// Iterates over the bytes of the value. `None` stands for an invalid percent-encoding.
    #[must_use]
    pub fn bytes(self) -> ValueBytes<'a> {
        ValueBytes {
            raw: self.raw.bytes(),
            form: self.form,
        }
    }

    /// Returns true if the value is this token, without regard to case.
    #[must_use]
    pub fn is_token(self, token: &str) -> bool {
        self.equals(token.as_bytes(), true)
    }

    /// Returns true if the value has these bytes.
    #[must_use]
    pub fn is(self, bytes: &[u8]) -> bool {
        self.equals(bytes, false)
    }

    #[inline(never)]
    fn equals(self, expected: &[u8], ignores_case: bool) -> bool {
        let mut own = self.bytes();
        let are = expected.iter().all(|expected| {
            let Some(Some(byte)) = own.next() else {
                return false;
            };
            byte == *expected || (ignores_case && byte.eq_ignore_ascii_case(expected))
        });
        are && own.next().is_none()
    }
}

/// The iterator of [`Value::bytes`].
#[derive(Debug, Clone)]
pub struct ValueBytes<'a> {
    raw: core::str::Bytes<'a>,
    form: Form,
}

impl Iterator for ValueBytes<'_> {
    type Item = Option<u8>;

    #[inline(never)]
    fn next(&mut self) -> Option<Option<u8>> {
        let byte = self.raw.next()?;
        Some(match (self.form, byte) {
            (Form::Quoted, b'\\') => self.raw.next(),
            (Form::Extended, b'%') => {
                let mut digit = || hex_digit(self.raw.next()?);
                digit().zip(digit()).map(|(high, low)| (high << 4) | low)
            }
            _ => Some(byte),
        })
    }
}

/// Returns the value of a hexadecimal digit.
#[inline(never)]
pub(crate) fn hex_digit(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Returns where the quoted string ends whose opening quote was taken off.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}
