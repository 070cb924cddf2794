use super::Truncated;

/// Takes values from the front of a slice.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Truncated> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Truncated> {
        let (&first, tail) = self.rest.split_first().ok_or(Truncated)?;
        self.rest = tail;
        Ok(first)
    }

    /// One DER element with a single-byte tag: its tag and contents (X.690 section 8.1, definite and minimal lengths only).
    pub(crate) fn der(&mut self) -> Result<(u8, &'a [u8]), Truncated> {
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
