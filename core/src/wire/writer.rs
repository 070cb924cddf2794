use super::Full;

/// Appends values to a buffer that the caller owns.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// Creates a writer that starts at the first byte of the buffer.
    #[must_use]
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Returns the number of bytes that have been written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether no bytes have been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`Full`] if the buffer has too little space left; nothing is written then.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.len.checked_add(bytes.len()).ok_or(Full)?;
        self.out
            .get_mut(self.len..end)
            .ok_or(Full)?
            .copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Appends `len` zero bytes.
    ///
    /// # Errors
    /// [`Full`] if the buffer has too little space left; nothing is written then.
    pub fn zeroes(&mut self, len: usize) -> Result<(), Full> {
        let end = self.len.checked_add(len).ok_or(Full)?;
        self.out.get_mut(self.len..end).ok_or(Full)?.fill(0);
        self.len = end;
        Ok(())
    }

    /// Appends one byte.
    ///
    /// # Errors
    /// [`Full`] if the buffer has no space left.
    pub fn u8(&mut self, value: u8) -> Result<(), Full> {
        self.put(&[value])
    }

    /// Appends a big-endian integer of two bytes.
    ///
    /// # Errors
    /// [`Full`] if the buffer has too little space left; nothing is written then.
    pub fn u16(&mut self, value: u16) -> Result<(), Full> {
        self.put(&value.to_be_bytes())
    }

    /// Appends a big-endian integer of four bytes.
    ///
    /// # Errors
    /// [`Full`] if the buffer has too little space left; nothing is written then.
    pub fn u32(&mut self, value: u32) -> Result<(), Full> {
        self.put(&value.to_be_bytes())
    }

    /// Appends a byte string, preceded by its length in two bytes, such as a TPM2B.
    ///
    /// # Errors
    /// [`Full`] if the buffer has too little space left, or for more than 65,535 bytes.
    pub fn sized16(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.u16(u16::try_from(bytes.len()).map_err(|_| Full)?)?;
        self.put(bytes)
    }

    /// Appends the bytes that `contents` writes, preceded by their length in one byte.
    ///
    /// # Errors
    /// [`Full`] if the buffer has too little space left, or for more than 255 bytes.
    #[inline]
    pub fn length8(
        &mut self,
        contents: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.zeroes(1)?;
        let start = self.len;
        contents(self)?;
        self.put_length(start, 1)
    }

    /// Appends the bytes that `contents` writes, preceded by their length in two bytes.
    ///
    /// # Errors
    /// [`Full`] if the buffer has too little space left, or for more than 65,535 bytes.
    #[inline]
    pub fn length16(
        &mut self,
        contents: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.zeroes(2)?;
        let start = self.len;
        contents(self)?;
        self.put_length(start, 2)
    }

    /// Appends the bytes that `contents` writes, preceded by their length in three bytes.
    ///
    /// # Errors
    /// [`Full`] if the buffer has too little space left, or for more than 16,777,215 bytes.
    #[inline]
    pub fn length24(
        &mut self,
        contents: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.zeroes(3)?;
        let start = self.len;
        contents(self)?;
        self.put_length(start, 3)
    }

    /// Writes the number of bytes from `start` to the end into the `width` bytes before `start`.
    #[inline(never)]
    fn put_length(&mut self, start: usize, width: usize) -> Result<(), Full> {
        let len = u32::try_from(self.len.saturating_sub(start)).map_err(|_| Full)?;
        let at = start.checked_sub(width).ok_or(Full)?;
        let place = self.out.get_mut(at..start).ok_or(Full)?;
        let mut rest = len;
        for byte in place.iter_mut().rev() {
            [.., *byte] = rest.to_be_bytes();
            rest >>= 8;
        }
        if rest == 0 { Ok(()) } else { Err(Full) }
    }

    /// Returns the bytes that have been written from the position `start` on, to alter them.
    pub fn written_from(&mut self, start: usize) -> &mut [u8] {
        self.out.get_mut(start..self.len).unwrap_or_default()
    }

    /// Returns the bytes that have been written.
    #[must_use]
    pub fn finish(self) -> &'a mut [u8] {
        let len = self.len;
        self.out.get_mut(..len).unwrap_or_default()
    }
}
