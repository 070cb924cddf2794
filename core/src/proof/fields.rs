use crate::{crypto::wipe, wire::Full};
use core::fmt;
use heapless::Vec;

/// The number of header fields that [`Fields`] holds at most.
pub const MAX_FIELDS: usize = 8;

/// A place for the header fields of a proof.
pub trait FieldSink {
    /// Appends a field. `write` gets a buffer of at least `max_len` bytes, writes the value to its front and returns its length;
    /// `None` discards the field. The rest of the buffer is wiped.
    ///
    /// # Errors
    /// [`Full`] if there is no room for `max_len` bytes, if `write` returns `None`, or if the value is not visible ASCII and spaces.
    fn put_with(
        &mut self,
        name: &str,
        max_len: usize,
        write: &mut dyn FnMut(&mut [u8]) -> Option<usize>,
    ) -> Result<(), Full>;

    /// Appends a field with this value.
    ///
    /// # Errors
    /// As [`FieldSink::put_with`].
    fn put(&mut self, name: &str, value: &str) -> Result<(), Full> {
        self.put_with(name, value.len(), &mut |out| {
            out.get_mut(..value.len())?
                .copy_from_slice(value.as_bytes());
            Some(value.len())
        })
    }
}

/// Header fields in a buffer of the caller's, wiped when dropped. Holds [`MAX_FIELDS`] fields; each takes the bytes of its name and
/// value, and while it is written those of its longest value.
pub struct Fields<'b> {
    buffer: &'b mut [u8],
    used: usize,
    /// For each field the end of its name and of its value in the buffer.
    ends: Vec<(usize, usize), MAX_FIELDS>,
}

impl<'b> Fields<'b> {
    /// Creates an empty collection.
    #[must_use]
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self {
            buffer,
            used: 0,
            ends: Vec::new(),
        }
    }

    /// Returns the number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns true if there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Iterates over names and values, in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, end)| {
            let text = |from, to| {
                let bytes = self.buffer.get(from..to).unwrap_or_default();
                str::from_utf8(bytes).unwrap_or_default()
            };
            let field = (text(start, name_end), text(name_end, end));
            start = end;
            field
        })
    }
}

impl FieldSink for Fields<'_> {
    fn put_with(
        &mut self,
        name: &str,
        max_len: usize,
        write: &mut dyn FnMut(&mut [u8]) -> Option<usize>,
    ) -> Result<(), Full> {
        if self.ends.is_full() {
            return Err(Full);
        }
        let free = self.buffer.get_mut(self.used..).ok_or(Full)?;
        let (name_place, free) = free.split_at_mut_checked(name.len()).ok_or(Full)?;
        let place = free.get_mut(..max_len).ok_or(Full)?;
        name_place.copy_from_slice(name.as_bytes());
        let len = write(place).filter(|&len| len <= place.len());
        wipe(place.get_mut(len.unwrap_or(0)..).unwrap_or_default());
        let value = place.get(..len.ok_or(Full)?).unwrap_or_default();
        if !is_field_value(value) {
            wipe(place);
            return Err(Full);
        }
        let name_end = self.used.saturating_add(name.len());
        self.used = name_end.saturating_add(value.len());
        self.ends.push((name_end, self.used)).map_err(|_| Full)
    }
}

impl Drop for Fields<'_> {
    fn drop(&mut self) {
        wipe(self.buffer.get_mut(..self.used).unwrap_or_default());
    }
}

/// Returns true for visible ASCII and spaces: what a field value may consist of (RFC 9110 section 5.5).
fn is_field_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|&byte| byte.is_ascii_graphic() || byte == b' ')
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({}, hidden)", self.ends.len())
    }
}
