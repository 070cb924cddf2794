use super::{
    VERSION, VomError,
    document::{Message, message},
    reader::octets,
    types::{Definitions, TypeId, Types},
};
use crate::wire::Reader;

/// A stream of values, whose types are defined once. Its definitions take at most `LEN` bytes.
pub(crate) struct Stream<const LEN: usize> {
    definitions: Definitions,
    source: heapless::Vec<u8, LEN>,
    has_begun: bool,
}

impl<const LEN: usize> Stream<LEN> {
    pub(crate) const fn new() -> Self {
        Self {
            definitions: Definitions::new(),
            source: heapless::Vec::new(),
            has_begun: false,
        }
    }

    /// Forgets everything: another stream follows.
    pub(crate) fn clear(&mut self) {
        self.definitions = Definitions::new();
        self.source.clear();
        self.has_begun = false;
    }

    /// Reads definitions up to the next value that is complete, and returns its type and its bytes. `Ok(None)` if `bytes` ends before; the reader is
    /// then behind the last definition.
    pub(crate) fn next<'b>(
        &mut self,
        reader: &mut Reader<'b>,
    ) -> Result<Option<(TypeId, &'b [u8])>, VomError> {
        if !self.has_begun {
            match reader.rest().first() {
                None => return Ok(None),
                Some(&VERSION) => {}
                Some(_) => return Err(VomError::Version),
            }
            reader.u8()?;
            self.has_begun = true;
        }
        loop {
            let mut ahead = *reader;
            match message(&mut ahead) {
                Ok(Message::Definition { id, body }) => {
                    let start = self.source.len();
                    self.source
                        .extend_from_slice(body)
                        .map_err(|_| VomError::TooManyTypes)?;
                    self.definitions.add(id, start, body.len())?;
                    *reader = ahead;
                }
                Ok(Message::Value { id }) => {
                    if !self.types().is_composite(id)? {
                        return Err(VomError::WrongType);
                    }
                    // A count that is larger than the rest of the input is a value that is not complete yet.
                    let Ok(value) = octets(&mut ahead) else {
                        return Ok(None);
                    };
                    *reader = ahead;
                    return Ok(Some((id, value)));
                }
                Err(_) => return Ok(None),
            }
        }
    }

    /// Returns the types that have been defined.
    pub(crate) fn types(&self) -> Types<'_> {
        Types {
            definitions: &self.definitions,
            source: &self.source,
        }
    }
}
