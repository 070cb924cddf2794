/// The value of a parameter, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    raw: &'a str,
    form: Form,
}

/// The form in which a value was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
            let end = end_of_quoted(quoted)?;
            let (raw, rest) = quoted.split_at_checked(end)?;
            let form = Form::Quoted;
            // The extended form is never quoted.
            return (!name.ends_with('*')).then_some(()).map(|()| {
                (
                    name,
                    Self { raw, form },
                    rest.strip_prefix('"').unwrap_or(rest),
                )
            });
        }
        let (raw, rest) = super::split_token(text)?;
        let Some(bare) = name.strip_suffix('*').filter(|bare| !bare.is_empty()) else {
            let form = Form::Token;
            return Some((name, Self { raw, form }, rest));
        };
        let (charset, encoded) = raw.split_once("''")?;
        let form = Form::Extended;
        (charset.eq_ignore_ascii_case("UTF-8") && !encoded.contains('\'')).then_some((
            bare,
            Self { raw: encoded, form },
            rest,
        ))
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
    pub fn bytes(self) -> impl Iterator<Item = Option<u8>> + 'a {
        let mut raw = self.raw.bytes();
        core::iter::from_fn(move || {
            let byte = raw.next()?;
            Some(match (self.form, byte) {
                (Form::Quoted, b'\\') => raw.next(),
                (Form::Extended, b'%') => {
                    let mut digit = || hex_digit(raw.next()?);
                    digit().zip(digit()).map(|(high, low)| (high << 4) | low)
                }
                _ => Some(byte),
            })
        })
    }

    /// Returns true if the value is this token, without regard to case.
    #[must_use]
    pub fn is_token(self, token: &str) -> bool {
        let lower = |byte: Option<u8>| byte.map(|byte| byte.to_ascii_lowercase());
        let expected = token.bytes().map(|byte| Some(byte.to_ascii_lowercase()));
        self.bytes().map(lower).eq(expected)
    }

    /// Returns true if the value has these bytes.
    #[must_use]
    pub fn is(self, bytes: &[u8]) -> bool {
        self.bytes().eq(bytes.iter().copied().map(Some))
    }
}

/// Returns the value of a hexadecimal digit.
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
