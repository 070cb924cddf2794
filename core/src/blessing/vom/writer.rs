use super::{END, VERSION};
use crate::wire::{self, Full};

/// Appends values to a buffer that the caller owns.
pub(crate) struct Writer<'a>(wire::Writer<'a>);

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self(wire::Writer::new(out))
    }

    /// Starts a stream: the version byte and type definitions.
    pub(crate) fn begin(&mut self, definitions: &[u8]) -> Result<(), Full> {
        self.0.u8(VERSION)?;
        self.0.put(definitions)
    }

    /// Appends an unsigned integer.
    pub(crate) fn unsigned(&mut self, value: u64) -> Result<(), Full> {
        put_unsigned(&mut self.0, value)
    }

    /// Appends a signed integer.
    pub(crate) fn signed(&mut self, value: i64) -> Result<(), Full> {
        let magnitude = if value < 0 { !value } else { value };
        let coded = (magnitude.unsigned_abs() << 1) | u64::from(value < 0);
        self.unsigned(coded)
    }

    /// Appends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.0.put(bytes)
    }

    /// Appends a byte string or a string, preceded by its length.
    pub(crate) fn octets(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.unsigned(u64::try_from(bytes.len()).map_err(|_| Full)?)?;
        self.0.put(bytes)
    }

    /// Appends the number of elements of a list.
    pub(crate) fn count(&mut self, count: usize) -> Result<(), Full> {
        self.unsigned(u64::try_from(count).map_err(|_| Full)?)
    }

    /// Appends a field whose value is a byte string or a string, if it is not empty.
    pub(crate) fn octets_field(&mut self, index: u8, bytes: &[u8]) -> Result<(), Full> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.0.u8(index)?;
        self.octets(bytes)
    }

    /// Appends a field whose value is an unsigned integer, if it is not 0.
    #[cfg(feature = "blessing-channel")]
    pub(crate) fn unsigned_field(&mut self, index: u8, value: u64) -> Result<(), Full> {
        if value == 0 {
            return Ok(());
        }
        self.0.u8(index)?;
        self.unsigned(value)
    }

    /// Appends the end of a struct.
    pub(crate) fn end(&mut self) -> Result<(), Full> {
        self.0.u8(END)
    }

    /// Appends the type of a composite main value, its length, and what `contents` writes.
    pub(crate) fn value(
        &mut self,
        id: u64,
        contents: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.unsigned(id << 1)?;
        self.sized(contents)
    }

    /// Appends what `contents` writes, preceded by its length.
    pub(crate) fn sized(
        &mut self,
        contents: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let start = self.0.len();
        contents(self)?;
        let len = self.0.len().saturating_sub(start);
        // The length stands before the contents, and its own length depends on it: append it, and bring it to the front.
        let mut octets = [0; 9];
        let mut own = wire::Writer::new(&mut octets);
        put_unsigned(&mut own, u64::try_from(len).map_err(|_| Full)?)?;
        let own = own.finish();
        self.0.put(own)?;
        let own_len = own.len();
        self.0.written_from(start).rotate_right(own_len);
        Ok(())
    }

    /// Returns the bytes that have been written.
    pub(crate) fn finish(self) -> &'a mut [u8] {
        self.0.finish()
    }

    /// Returns the number of bytes that have been written.
    #[cfg(feature = "blessing-channel")]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn put_unsigned(writer: &mut wire::Writer<'_>, value: u64) -> Result<(), Full> {
    if let Ok(small) = u8::try_from(value)
        && small < 0x80
    {
        return writer.u8(small);
    }
    let octets = value.to_be_bytes();
    let zeroes = octets.iter().take_while(|octet| **octet == 0).count();
    let rest = octets.get(zeroes..).unwrap_or_default();
    let len = u8::try_from(rest.len()).map_err(|_| Full)?;
    writer.u8(0_u8.wrapping_sub(len))?;
    writer.put(rest)
}
