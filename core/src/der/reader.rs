use crate::wire::{self, Truncated};

/// Reads DER elements from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(wire::Reader<'a>);

/// The tag of an element: its identifier octet. Tags of several octets are not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub u8);

impl Tag {
    /// BOOLEAN
    pub const BOOLEAN: Self = Self(0x01);
    /// INTEGER
    pub const INTEGER: Self = Self(0x02);
    /// BIT STRING
    pub const BIT_STRING: Self = Self(0x03);
    /// OCTET STRING
    pub const OCTET_STRING: Self = Self(0x04);
    /// OBJECT IDENTIFIER
    pub const OBJECT_IDENTIFIER: Self = Self(0x06);
    /// UTF8String
    pub const UTF8_STRING: Self = Self(0x0c);
    /// PrintableString
    pub const PRINTABLE_STRING: Self = Self(0x13);
    /// SEQUENCE and SEQUENCE OF
    pub const SEQUENCE: Self = Self(0x30);
    /// SET and SET OF
    pub const SET: Self = Self(0x31);
    /// The context-specific tag `[0]` of a constructed element.
    pub const CONTEXT_0: Self = Self(0xa0);
    /// The context-specific tag `[1]` of a constructed element.
    pub const CONTEXT_1: Self = Self(0xa1);
    /// The context-specific tag `[3]` of a constructed element.
    pub const CONTEXT_3: Self = Self(0xa3);
}

impl<'a> Reader<'a> {
    /// Creates a reader that starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(wire::Reader::new(bytes))
    }

    /// Returns whether all bytes have been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the tag of the next element, or `None` if no byte is left.
    #[must_use]
    pub fn next_tag(&self) -> Option<Tag> {
        self.0.rest().first().copied().map(Tag)
    }

    /// Reads one element and returns its tag and its contents. The tag must be a single byte; the length must be definite and
    /// minimal (X.690 sections 8.1 and 10.1).
    ///
    /// # Errors
    /// [`Truncated`] if the element is incomplete, or if its length is indefinite, not minimal or longer than four bytes.
    // Not inlined: it has many callers, none of which is time-critical.
    #[inline(never)]
    pub fn element(&mut self) -> Result<(Tag, &'a [u8]), Truncated> {
        let tag = Tag(self.0.u8()?);
        let first = self.0.u8()?;
        let len = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let mut len = 0usize;
                for &byte in self.0.take(usize::from(first & 0x7f))? {
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
        Ok((tag, self.0.take(len)?))
    }

    /// Reads one element with this tag and returns its contents.
    ///
    /// # Errors
    /// [`Truncated`] if the element has another tag, or under the conditions of [`Reader::element`].
    #[inline(never)]
    pub fn contents(&mut self, tag: Tag) -> Result<&'a [u8], Truncated> {
        match self.element()? {
            (found, contents) if found == tag => Ok(contents),
            _ => Err(Truncated),
        }
    }

    /// Reads one element with this tag and returns it with its tag and length.
    ///
    /// # Errors
    /// Fails under the same conditions as [`Reader::contents`].
    #[inline(never)]
    pub fn whole(&mut self, tag: Tag) -> Result<&'a [u8], Truncated> {
        let before = self.0.rest();
        self.contents(tag)?;
        let len = before.len().saturating_sub(self.0.rest().len());
        before.get(..len).ok_or(Truncated)
    }

    /// Reads a SEQUENCE and returns a reader of its contents.
    ///
    /// # Errors
    /// Fails under the same conditions as [`Reader::contents`].
    pub fn sequence(&mut self) -> Result<Self, Truncated> {
        self.contents(Tag::SEQUENCE).map(Self::new)
    }

    /// Reads a BIT STRING of whole bytes, such as a public key or a signature, and returns its bytes.
    ///
    /// # Errors
    /// [`Truncated`] if the number of bits is not a multiple of eight, or under the conditions of [`Reader::contents`].
    pub fn bit_string_of_bytes(&mut self) -> Result<&'a [u8], Truncated> {
        match self.contents(Tag::BIT_STRING)? {
            [0, bytes @ ..] => Ok(bytes),
            _ => Err(Truncated),
        }
    }

    /// Reads an INTEGER that is not negative and returns it as `N` bytes, most significant byte first.
    ///
    /// # Errors
    /// [`Truncated`] if the integer is negative, not in its minimal encoding (X.690 section 8.3.2) or too large for `N` bytes, or
    /// under the conditions of [`Reader::contents`].
    #[inline(never)]
    pub fn unsigned<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let magnitude = match self.contents(Tag::INTEGER)? {
            [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => rest,
            [0] => &[0],
            all @ [1..=0x7f, ..] => all,
            _ => return Err(Truncated),
        };
        let mut value = [0; N];
        let start = N.checked_sub(magnitude.len()).ok_or(Truncated)?;
        value
            .get_mut(start..)
            .unwrap_or_default()
            .copy_from_slice(magnitude);
        Ok(value)
    }

    /// Reads an AlgorithmIdentifier ::= SEQUENCE { algorithm OBJECT IDENTIFIER, parameters ANY OPTIONAL } (RFC 5280 section
    /// 4.1.1.2). Returns the contents of the OBJECT IDENTIFIER and a reader of the parameters.
    ///
    /// # Errors
    /// Fails under the same conditions as [`Reader::contents`].
    pub fn algorithm(&mut self) -> Result<(&'a [u8], Self), Truncated> {
        let mut fields = self.sequence()?;
        let oid = fields.contents(Tag::OBJECT_IDENTIFIER)?;
        Ok((oid, fields))
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, Tag, Truncated};

    extern crate std;

    fn element(bytes: &[u8]) -> Result<(Tag, &[u8]), Truncated> {
        Reader::new(bytes).element()
    }

    #[test]
    fn reads_lengths_of_every_form() {
        assert_eq!(element(&[0x04, 0]), Ok((Tag::OCTET_STRING, &[][..])));
        for (head, len) in [
            (&[0x04, 0x7f][..], 0x7f),
            (&[0x04, 0x81, 0x80], 0x80),
            (&[0x04, 0x82, 0x01, 0x00], 0x100),
            (&[0x04, 0x83, 0x01, 0x00, 0x00], 0x1_0000),
            (&[0x04, 0x84, 0x01, 0x00, 0x00, 0x00], 0x100_0000),
        ] {
            let mut bytes = head.to_vec();
            bytes.resize(head.len() + len, 7);
            assert_eq!(
                element(&bytes),
                Ok((Tag::OCTET_STRING, &bytes[head.len()..]))
            );
            bytes.pop();
            assert_eq!(element(&bytes), Err(Truncated));
        }
    }

    #[test]
    fn rejects_lengths_that_are_not_der() {
        for head in [
            // Indefinite, reserved, and longer than four bytes.
            &[0x04, 0x80][..],
            &[0x04, 0xff],
            &[0x04, 0x85, 0, 0, 0, 0, 1],
            // Not minimal.
            &[0x04, 0x81, 0x7f],
            &[0x04, 0x82, 0x00, 0xff],
            &[0x04, 0x83, 0x00, 0xff, 0xff],
            &[0x04, 0x84, 0x00, 0xff, 0xff, 0xff],
            // Longer than any input.
            &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            let bytes = [head, &[0; 0x1_0000]].concat();
            assert_eq!(element(&bytes), Err(Truncated), "{head:02x?}");
        }
        assert_eq!(element(&[]), Err(Truncated));
        assert_eq!(element(&[0x04]), Err(Truncated));
    }

    #[test]
    fn any_two_bytes_are_read_or_rejected() {
        for bytes in 0..=u16::MAX {
            let bytes = bytes.to_be_bytes();
            let reader = || Reader::new(&bytes);
            let is_sequence = bytes == [0x30, 0];
            assert_eq!(reader().element().is_ok(), bytes[1] == 0);
            assert_eq!(reader().whole(Tag::SEQUENCE).is_ok(), is_sequence);
            assert_eq!(reader().sequence().is_ok(), is_sequence);
            assert!(reader().bit_string_of_bytes().is_err());
            assert!(reader().unsigned::<4>().is_err());
            assert!(reader().algorithm().is_err());
        }
    }

    #[test]
    fn whole_includes_tag_and_length() {
        let mut reader = Reader::new(&[0x30, 2, 5, 0, 0x31, 0]);
        assert_eq!(reader.whole(Tag::SEQUENCE), Ok(&[0x30, 2, 5, 0][..]));
        assert_eq!(reader.next_tag(), Some(Tag::SET));
        assert_eq!(reader.whole(Tag::SEQUENCE), Err(Truncated));
    }

    #[test]
    fn bit_strings_of_bytes_have_no_unused_bits() {
        let read = |bytes| Reader::new(bytes).bit_string_of_bytes();
        assert_eq!(read(&[3, 1, 0]), Ok(&[][..]));
        assert_eq!(read(&[3, 2, 0, 9]), Ok(&[9][..]));
        assert_eq!(read(&[3, 0]), Err(Truncated));
        assert_eq!(read(&[3, 2, 1, 8]), Err(Truncated));
    }

    #[test]
    fn unsigned_integers_are_minimal_and_not_negative() {
        let read = |bytes| Reader::new(bytes).unsigned::<2>();
        assert_eq!(read(&[2, 1, 0]), Ok([0, 0]));
        assert_eq!(read(&[2, 1, 0x7f]), Ok([0, 0x7f]));
        assert_eq!(read(&[2, 2, 0, 0x80]), Ok([0, 0x80]));
        assert_eq!(read(&[2, 3, 0, 0xff, 0xfe]), Ok([0xff, 0xfe]));
        for refused in [
            &[2, 0][..],
            &[2, 1, 0x80],
            &[2, 2, 0, 0x7f],
            &[2, 2, 0, 0],
            &[2, 3, 1, 0, 0],
            &[2, 4, 0, 0x80, 0, 0],
            &[4, 1, 0],
        ] {
            assert_eq!(read(refused), Err(Truncated), "{refused:02x?}");
        }
    }
}
