//! Names, extensions and patterns.

use super::{BlessingError, MAX_CHAINS, MAX_NAMES_LEN};

/// The separator of the extensions in a name.
pub(crate) const SEPARATOR: &str = ":";

/// The pattern that every peer matches, also one without names.
const ALL: &str = "...";
/// The last part of a pattern that matches no extension of the name before it.
const NO_EXTENSION: &str = "$";

/// Text that no extension may have.
const FORBIDDEN: [&[u8]; 9] = [b"...", b"::", b",", b"@@", b"(", b")", b"<", b">", b"/"];

/// Checks an extension. As upstream, it must not be empty, begin or end with `:`, or have one of `...`, `::`, `,`, `@@`, `(`, `)`, `<`, `>`, `/`. It
/// must not end in `$` either: a name that ends in `:$` is a pattern that matches a shorter name.
///
/// # Errors
/// [`BlessingError::Extension`]
pub fn check_extension(extension: &str) -> Result<(), BlessingError> {
    if is_part(extension.as_bytes()) && !extension.ends_with(NO_EXTENSION) {
        Ok(())
    } else {
        Err(BlessingError::Extension)
    }
}

/// Returns whether upstream takes the text for an extension. It is compared byte by byte: the searches of `str` take more than a kilobyte of flash.
fn is_part(text: &[u8]) -> bool {
    let mut rest = text;
    while let [_, after @ ..] = rest {
        if FORBIDDEN
            .iter()
            .any(|forbidden| rest.starts_with(forbidden))
        {
            return false;
        }
        rest = after;
    }
    !text.is_empty()
        && text != NO_EXTENSION.as_bytes()
        && !text.starts_with(SEPARATOR.as_bytes())
        && !text.ends_with(SEPARATOR.as_bytes())
}

/// A pattern for names: `a:b` is matched by `a:b` and by its extensions, `a:b:$` by `a:b` alone, and `...` by every peer, also by one that has no
/// name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern<'a>(pub &'a str);

impl Pattern<'_> {
    /// Returns whether the pattern is valid. An invalid one is matched by no name.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        if self.0 == ALL || self.0 == NO_EXTENSION {
            return true;
        }
        let (name, has_end) = self.split();
        if name.is_empty() {
            return has_end;
        }
        name.as_bytes().split(|byte| *byte == b':').all(is_part)
    }

    /// Returns whether every peer matches the pattern.
    #[must_use]
    pub fn matches_everyone(&self) -> bool {
        self.0 == ALL
    }

    /// Returns whether one of the names matches the pattern.
    #[must_use]
    pub fn is_matched_by(&self, names: &NameList) -> bool {
        self.matches_everyone() || names.iter().any(|name| self.is_matched_by_name(name))
    }

    /// Returns whether the name matches the pattern.
    #[must_use]
    pub fn is_matched_by_name(&self, name: &str) -> bool {
        if self.matches_everyone() {
            return true;
        }
        if !self.is_valid() || self.0 == NO_EXTENSION {
            return false;
        }
        let (prefix, has_end) = self.split();
        if prefix.is_empty() {
            return false;
        }
        match name.strip_prefix(prefix) {
            Some("") => true,
            Some(rest) => !has_end && rest.starts_with(SEPARATOR),
            None => false,
        }
    }

    /// Splits off `:$`, and returns whether it was there.
    fn split(&self) -> (&str, bool) {
        let without = self.0.strip_suffix(NO_EXTENSION);
        match without.and_then(|rest| rest.strip_suffix(SEPARATOR)) {
            Some(name) => (name, true),
            None => (self.0, false),
        }
    }
}

/// Names of a principal: at most [`MAX_CHAINS`], of [`MAX_NAMES_LEN`] bytes together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameList {
    text: heapless::String<MAX_NAMES_LEN>,
    ends: heapless::Vec<u16, MAX_CHAINS>,
}

impl NameList {
    /// Creates an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            text: heapless::String::new(),
            ends: heapless::Vec::new(),
        }
    }

    /// Appends a name.
    ///
    /// # Errors
    /// [`BlessingError::NamesTooLong`] if there is no space left; the list is then unchanged.
    pub fn push(&mut self, name: &str) -> Result<(), BlessingError> {
        self.extend_last(&[name])?;
        self.end_last()
    }

    /// Returns the names.
    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        let starts = core::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends.iter().copied()).map(|(start, end)| {
            self.text
                .get(usize::from(start)..usize::from(end))
                .unwrap_or_default()
        })
    }

    /// Returns the number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether there are no names.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends parts to the name that has not ended yet.
    pub(crate) fn extend_last(&mut self, parts: &[&str]) -> Result<(), BlessingError> {
        for part in parts {
            let appended = self.text.push_str(part);
            if appended.is_err() {
                self.drop_last();
                return Err(BlessingError::NamesTooLong);
            }
        }
        Ok(())
    }

    /// Returns the name that has not ended yet.
    pub(crate) fn last(&self) -> &str {
        self.text.get(self.start()..).unwrap_or_default()
    }

    /// Ends the last name, which is then in the list.
    pub(crate) fn end_last(&mut self) -> Result<(), BlessingError> {
        let end = u16::try_from(self.text.len());
        let pushed = end.is_ok_and(|end| self.ends.push(end).is_ok());
        if !pushed {
            self.drop_last();
            return Err(BlessingError::NamesTooLong);
        }
        Ok(())
    }

    /// Removes the name that has not ended yet.
    pub(crate) fn drop_last(&mut self) {
        let start = self.start();
        self.text.truncate(start);
    }

    fn start(&self) -> usize {
        self.ends.last().map_or(0, |end| usize::from(*end))
    }
}
