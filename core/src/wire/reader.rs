use super::Truncated;

/// Reads values from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Creates a reader that starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns whether all bytes have been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the bytes that have not been read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads the next `len` bytes.
    ///
    /// # Errors
    /// [`Truncated`] if fewer bytes are left; the position is then unchanged.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Truncated> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    /// Reads the next `N` bytes.
    ///
    /// # Errors
    /// [`Truncated`] if fewer bytes are left; the position is then unchanged.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (head, tail) = self.rest.split_first_chunk().ok_or(Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// [`Truncated`] if no byte is left.
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(u8::from_be_bytes)
    }

    /// Reads a big-endian integer of two bytes.
    ///
    /// # Errors
    /// [`Truncated`] if fewer bytes are left; the position is then unchanged.
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    /// Reads a big-endian integer of three bytes.
    ///
    /// # Errors
    /// [`Truncated`] if fewer bytes are left; the position is then unchanged.
    pub fn u24(&mut self) -> Result<u32, Truncated> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// Reads a big-endian integer of four bytes.
    ///
    /// # Errors
    /// [`Truncated`] if fewer bytes are left; the position is then unchanged.
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads a byte string that is preceded by its length in two bytes, such as a TPM2B.
    ///
    /// # Errors
    /// [`Truncated`] if the length or the byte string is incomplete.
    pub fn sized16(&mut self) -> Result<&'a [u8], Truncated> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// Reads a byte string that is preceded by its length in one byte.
    ///
    /// # Errors
    /// [`Truncated`] if the length or the byte string is incomplete.
    #[inline(never)]
    pub fn sized8(&mut self) -> Result<&'a [u8], Truncated> {
        let len = self.u8()?;
        self.take(usize::from(len))
    }

    /// Reads a byte string that is preceded by its length in three bytes.
    ///
    /// # Errors
    /// [`Truncated`] if the length or the byte string is incomplete.
    #[inline(never)]
    pub fn sized24(&mut self) -> Result<&'a [u8], Truncated> {
        let len = usize::try_from(self.u24()?).map_err(|_| Truncated)?;
        self.take(len)
    }
}
