use super::Truncated;

/// Takes values from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// From the first byte on.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether everything has been taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been taken yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`Truncated`]; nothing is taken then.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Truncated> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Truncated`]; nothing is taken then.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (head, tail) = self.rest.split_first_chunk().ok_or(Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Truncated`]
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(u8::from_be_bytes)
    }

    /// Two bytes, big-endian.
    ///
    /// # Errors
    /// [`Truncated`]
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    /// Three bytes, big-endian.
    ///
    /// # Errors
    /// [`Truncated`]
    pub fn u24(&mut self) -> Result<u32, Truncated> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// Four bytes, big-endian.
    ///
    /// # Errors
    /// [`Truncated`]
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    /// Bytes behind their length of two bytes: a TPM2B.
    ///
    /// # Errors
    /// [`Truncated`]
    pub fn sized16(&mut self) -> Result<&'a [u8], Truncated> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// Bytes behind their length of one byte.
    ///
    /// # Errors
    /// [`Truncated`]
    #[inline(never)]
    pub fn sized8(&mut self) -> Result<&'a [u8], Truncated> {
        let len = self.u8()?;
        self.take(usize::from(len))
    }

    /// Bytes behind their length of three bytes.
    ///
    /// # Errors
    /// [`Truncated`]
    #[inline(never)]
    pub fn sized24(&mut self) -> Result<&'a [u8], Truncated> {
        let len = usize::try_from(self.u24()?).map_err(|_| Truncated)?;
        self.take(len)
    }

    /// One DER element with a single-byte tag: its tag and contents (X.690 section 8.1, definite and minimal lengths only).
    ///
    /// # Errors
    /// [`Truncated`], also for lengths in another form.
    // Called from many places, and never where time counts.
    #[inline(never)]
    pub fn der(&mut self) -> Result<(u8, &'a [u8]), Truncated> {
        let tag = self.u8()?;
        let first = self.u8()?;
        let len = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let mut len = 0usize;
                for &byte in self.take(usize::from(first & 0x7f))? {
                    len = len
                        .checked_mul(256)
                        .and_then(|len| len.checked_add(usize::from(byte)))
                        .ok_or(Truncated)?;
                }
                let minimal = match first {
                    0x81 => 0x80,
                    0x82 => 0x100,
                    0x83 => 0x1_0000,
                    _ => 0x100_0000,
                };
                if len < minimal {
                    return Err(Truncated);
                }
                len
            }
            _ => return Err(Truncated),
        };
        Ok((tag, self.take(len)?))
    }
}
