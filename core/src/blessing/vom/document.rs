use super::{
    VERSION, VomError,
    reader::{octets, signed},
    types::{Definitions, TypeId, Types},
};
use crate::wire::Reader;

/// An encoding of one value, with the definitions of its types before it.
pub(crate) struct Document<'a> {
    definitions: Definitions,
    source: &'a [u8],
    id: TypeId,
    value: &'a [u8],
}

impl<'a> Document<'a> {
    /// Parses the definitions. The value is not looked at.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, VomError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(VomError::Version);
        }
        let mut definitions = Definitions::new();
        loop {
            match message(&mut reader)? {
                Message::Definition { id, body } => {
                    let end = bytes.len().saturating_sub(reader.rest().len());
                    definitions.add(id, end.saturating_sub(body.len()), body.len())?;
                }
                Message::Value { id } => {
                    let types = Types {
                        definitions: &definitions,
                        source: bytes,
                    };
                    let value = main_value(types, id, &mut reader)?;
                    return Ok(Self {
                        definitions,
                        source: bytes,
                        id,
                        value,
                    });
                }
            }
        }
    }

    /// Returns the types, the type of the value, and a reader of the value.
    pub(crate) fn value(&self) -> (Types<'_>, TypeId, Reader<'_>) {
        let types = Types {
            definitions: &self.definitions,
            source: self.source,
        };
        (types, self.id, Reader::new(self.value))
    }
}

/// A message of a stream.
pub(super) enum Message<'a> {
    /// The definition of a type.
    Definition {
        /// The type.
        id: TypeId,
        /// A value of the union wireType.
        body: &'a [u8],
    },
    /// A value follows.
    Value {
        /// Its type.
        id: TypeId,
    },
}

/// Reads the beginning of a message: all of a type definition, or the type of a value.
pub(super) fn message<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, VomError> {
    let id = signed(reader)?;
    if id > 0 {
        return Ok(Message::Value {
            id: id.unsigned_abs(),
        });
    }
    Ok(Message::Definition {
        id: id.unsigned_abs(),
        body: octets(reader)?,
    })
}

/// Reads the value of a message: the rest of the input, which must be all of it.
fn main_value<'a>(
    types: Types<'_>,
    id: TypeId,
    reader: &mut Reader<'a>,
) -> Result<&'a [u8], VomError> {
    if !types.is_composite(id)? {
        return Ok(reader.rest());
    }
    let value = octets(reader)?;
    if reader.is_empty() {
        Ok(value)
    } else {
        Err(VomError::Trailing)
    }
}
