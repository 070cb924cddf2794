use super::Full;

/// Appends values to a caller's buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// From the buffer's first byte on.
    #[must_use]
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// How many bytes have been written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`Full`]; nothing is written then.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.len.checked_add(bytes.len()).ok_or(Full)?;
        self.out
            .get_mut(self.len..end)
            .ok_or(Full)?
            .copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Appends so many zeroes.
    ///
    /// # Errors
    /// [`Full`]; nothing is written then.
    pub fn zeroes(&mut self, len: usize) -> Result<(), Full> {
        let end = self.len.checked_add(len).ok_or(Full)?;
        self.out.get_mut(self.len..end).ok_or(Full)?.fill(0);
        self.len = end;
        Ok(())
    }

    /// Appends one byte.
    ///
    /// # Errors
    /// [`Full`]
    pub fn u8(&mut self, value: u8) -> Result<(), Full> {
        self.put(&[value])
    }

    /// Appends two bytes, big-endian.
    ///
    /// # Errors
    /// [`Full`]
    pub fn u16(&mut self, value: u16) -> Result<(), Full> {
        self.put(&value.to_be_bytes())
    }

    /// Appends four bytes, big-endian.
    ///
    /// # Errors
    /// [`Full`]
    pub fn u32(&mut self, value: u32) -> Result<(), Full> {
        self.put(&value.to_be_bytes())
    }

    /// Appends bytes behind their length of two bytes: a TPM2B.
    ///
    /// # Errors
    /// [`Full`], also for more than 65,535 bytes.
    pub fn sized16(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.u16(u16::try_from(bytes.len()).map_err(|_| Full)?)?;
        self.put(bytes)
    }

    /// Appends what `contents` writes, behind its length of one byte.
    ///
    /// # Errors
    /// [`Full`], also for more than 255 bytes.
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

    /// Appends what `contents` writes, behind its length of two bytes.
    ///
    /// # Errors
    /// [`Full`], also for more than 65,535 bytes.
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

    /// Appends what `contents` writes, behind its length of three bytes.
    ///
    /// # Errors
    /// [`Full`], also for more than 16,777,215 bytes.
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

    /// Writes the length of what stands from `start` on into the `width` bytes before it.
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

    /// What has been written.
    #[must_use]
    pub fn finish(self) -> &'a mut [u8] {
        let len = self.len;
        self.out.get_mut(..len).unwrap_or_default()
    }
}
