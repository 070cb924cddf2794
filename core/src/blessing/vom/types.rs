use super::{
    MAX_TYPES, VomError,
    reader::{boolean, count, index, octets, signed, unsigned},
};
use crate::wire::Reader;

/// The identifier of a type in a stream: built in, or defined there.
pub(crate) type TypeId = u64;

/// The built-in type byte.
const BYTE: TypeId = 2;
/// The built-in type string.
const STRING: TypeId = 3;
/// The first identifier of a type that a stream defines.
const FIRST_DEFINED: TypeId = 41;
/// The deepest nesting of values that is followed, and the longest chain of named types.
const MAX_DEPTH: u8 = 12;

/// The most fields of a struct or union, and labels of an enum. Vanadium's security types have six. It bounds the work for each byte of a value, because a
/// definition is read anew for each value of its type.
const MAX_FIELDS: usize = 32;

/// The type definitions of a stream, as places in its bytes.
pub(crate) struct Definitions(heapless::Vec<Place, MAX_TYPES>);

#[derive(Clone, Copy)]
struct Place {
    id: u32,
    start: u16,
    len: u16,
}

impl Definitions {
    pub(super) const fn new() -> Self {
        Self(heapless::Vec::new())
    }

    /// Remembers the definition of a type, whose body has this place.
    pub(super) fn add(&mut self, id: TypeId, start: usize, len: usize) -> Result<(), VomError> {
        let place = Place {
            id: u32::try_from(id).map_err(|_| VomError::Malformed)?,
            start: u16::try_from(start).map_err(|_| VomError::Malformed)?,
            len: u16::try_from(len).map_err(|_| VomError::Malformed)?,
        };
        if id < FIRST_DEFINED || self.0.iter().any(|known| known.id == place.id) {
            return Err(VomError::Malformed);
        }
        self.0.push(place).map_err(|_| VomError::TooManyTypes)
    }
}

/// The type definitions of a stream, with the bytes in which they are.
#[derive(Clone, Copy)]
pub(crate) struct Types<'a> {
    pub(super) definitions: &'a Definitions,
    pub(super) source: &'a [u8],
}

/// The structure of a type. Its name is not part of it.
enum Kind<'a> {
    Bool,
    Byte,
    /// Unsigned integers, floating-point numbers and enums, which are all encoded as unsigned integers; signed ones are too.
    Number,
    String,
    Array {
        element: TypeId,
        len: u64,
    },
    List {
        element: TypeId,
    },
    Set {
        key: TypeId,
    },
    Map {
        key: TypeId,
        element: TypeId,
    },
    /// The list of fields.
    Struct(Reader<'a>),
    Union(Reader<'a>),
    Optional {
        element: TypeId,
    },
}

/// Reads the fields of a struct. It returns whether it has read the value of this field: otherwise the value is skipped.
pub(crate) type FieldReader<'f, 'a, E> =
    dyn FnMut(&[u8], TypeId, &mut Reader<'a>) -> Result<bool, E> + 'f;

impl<'a> Types<'a> {
    /// Reads a byte string: a list or an array of bytes.
    pub(crate) fn bytes(self, id: TypeId, reader: &mut Reader<'a>) -> Result<&'a [u8], VomError> {
        match self.kind(id)? {
            Kind::List { element } if self.is_byte(element)? => octets(reader),
            Kind::Array { element, len } if self.is_byte(element)? => {
                self.start_array(reader)?;
                let len = usize::try_from(len).map_err(|_| VomError::Malformed)?;
                Ok(reader.take(len)?)
            }
            _ => Err(VomError::WrongType),
        }
    }

    /// Reads a string. Its bytes need not be UTF-8.
    pub(crate) fn string(self, id: TypeId, reader: &mut Reader<'a>) -> Result<&'a [u8], VomError> {
        match self.kind(id)? {
            Kind::String => octets(reader),
            _ => Err(VomError::WrongType),
        }
    }

    /// Reads a number that is not negative.
    #[cfg(feature = "blessing-channel")]
    pub(crate) fn unsigned(self, id: TypeId, reader: &mut Reader<'a>) -> Result<u64, VomError> {
        match self.kind(id)? {
            Kind::Number => unsigned(reader),
            _ => Err(VomError::WrongType),
        }
    }

    /// Reads a signed number.
    pub(crate) fn signed(self, id: TypeId, reader: &mut Reader<'a>) -> Result<i64, VomError> {
        match self.kind(id)? {
            Kind::Number => signed(reader),
            _ => Err(VomError::WrongType),
        }
    }

    /// Reads a bool.
    pub(crate) fn boolean(self, id: TypeId, reader: &mut Reader<'a>) -> Result<bool, VomError> {
        match self.kind(id)? {
            Kind::Bool => boolean(reader),
            _ => Err(VomError::WrongType),
        }
    }

    /// Reads the number of elements of a list, and returns it with their type.
    pub(crate) fn list(
        self,
        id: TypeId,
        reader: &mut Reader<'a>,
    ) -> Result<(usize, TypeId), VomError> {
        match self.kind(id)? {
            Kind::List { element } => Ok((count(reader)?, element)),
            _ => Err(VomError::WrongType),
        }
    }

    /// Reads a struct: calls `read` for each field that the value has.
    pub(crate) fn fields<E: From<VomError>>(
        self,
        id: TypeId,
        reader: &mut Reader<'a>,
        read: &mut FieldReader<'_, 'a, E>,
    ) -> Result<(), E> {
        let Kind::Struct(fields) = self.kind(id)? else {
            return Err(VomError::WrongType.into());
        };
        let mut last = None;
        while let Some(at) = index(reader, last)? {
            let (name, field) = nth_field(fields, at)?;
            if !read(name, field, reader)? {
                self.skip(field, reader, MAX_DEPTH)?;
            }
            last = Some(at);
        }
        Ok(())
    }

    /// Reads the choice of a union: the name of the field, and the type of the value that follows.
    pub(crate) fn choice(
        self,
        id: TypeId,
        reader: &mut Reader<'a>,
    ) -> Result<(&'a [u8], TypeId), VomError> {
        let Kind::Union(fields) = self.kind(id)? else {
            return Err(VomError::WrongType);
        };
        let at = unsigned(reader)?;
        nth_field(fields, at)
    }

    /// Skips a value.
    #[cfg(feature = "blessing-channel")]
    pub(crate) fn skip_value(self, id: TypeId, reader: &mut Reader<'a>) -> Result<(), VomError> {
        self.skip(id, reader, MAX_DEPTH)
    }

    /// Returns whether main values of this type are preceded by their length.
    pub(super) fn is_composite(self, id: TypeId) -> Result<bool, VomError> {
        Ok(!matches!(
            self.kind(id)?,
            Kind::Bool | Kind::Byte | Kind::Number | Kind::String
        ))
    }

    fn is_byte(self, id: TypeId) -> Result<bool, VomError> {
        Ok(matches!(self.kind(id)?, Kind::Byte))
    }

    /// Reads the byte before the elements of an array.
    fn start_array(self, reader: &mut Reader<'_>) -> Result<(), VomError> {
        match reader.u8()? {
            0 => Ok(()),
            _ => Err(VomError::Malformed),
        }
    }

    /// Skips a value, whose parts are nested at most so deep.
    fn skip(self, id: TypeId, reader: &mut Reader<'a>, depth: u8) -> Result<(), VomError> {
        let depth = depth.checked_sub(1).ok_or(VomError::TooDeep)?;
        match self.kind(id)? {
            Kind::Bool => boolean(reader).map(|_| ()),
            Kind::Byte => reader.u8().map(|_| ()).map_err(VomError::from),
            Kind::Number => unsigned(reader).map(|_| ()),
            Kind::String => octets(reader).map(|_| ()),
            Kind::Array { element, len } => {
                self.start_array(reader)?;
                let len = usize::try_from(len).map_err(|_| VomError::Malformed)?;
                self.skip_all(&[element], len, reader, depth)
            }
            Kind::List { element } | Kind::Set { key: element } => {
                let count = count(reader)?;
                self.skip_all(&[element], count, reader, depth)
            }
            Kind::Map { key, element } => {
                let count = count(reader)?;
                self.skip_all(&[key, element], count, reader, depth)
            }
            Kind::Struct(fields) => {
                let mut last = None;
                while let Some(at) = index(reader, last)? {
                    let (_, field) = nth_field(fields, at)?;
                    self.skip(field, reader, depth)?;
                    last = Some(at);
                }
                Ok(())
            }
            Kind::Union(fields) => {
                let at = unsigned(reader)?;
                let (_, field) = nth_field(fields, at)?;
                self.skip(field, reader, depth)
            }
            Kind::Optional { element } => {
                if reader.rest().first() == Some(&NIL) {
                    reader.u8()?;
                    return Ok(());
                }
                self.skip(element, reader, depth)
            }
        }
    }

    /// Skips these values, `count` times. Each takes one byte at least.
    fn skip_all(
        self,
        ids: &[TypeId],
        count: usize,
        reader: &mut Reader<'a>,
        depth: u8,
    ) -> Result<(), VomError> {
        if count > reader.rest().len() {
            return Err(VomError::Malformed);
        }
        for _ in 0..count {
            for id in ids {
                self.skip(*id, reader, depth)?;
            }
        }
        Ok(())
    }

    /// Returns the structure of a type.
    fn kind(self, id: TypeId) -> Result<Kind<'a>, VomError> {
        let mut id = id;
        for _ in 0..MAX_DEPTH {
            match self.definition(id)? {
                Definition::Kind(kind) => return Ok(kind),
                Definition::Named { base } => id = base,
            }
        }
        Err(VomError::TooDeep)
    }

    fn definition(self, id: TypeId) -> Result<Definition<'a>, VomError> {
        if id < FIRST_DEFINED {
            return Ok(Definition::Kind(match id {
                1 => Kind::Bool,
                BYTE => Kind::Byte,
                STRING => Kind::String,
                4..=11 | 16 => Kind::Number,
                39 => Kind::List { element: BYTE },
                40 => Kind::List { element: STRING },
                _ => return Err(VomError::Unsupported),
            }));
        }
        let mut places = self.definitions.0.iter();
        let place = places
            .find(|place| u64::from(place.id) == id)
            .ok_or(VomError::WrongType)?;
        let start = usize::from(place.start);
        let body = self.source.get(start..).unwrap_or_default();
        let body = body.get(..usize::from(place.len)).unwrap_or_default();
        parse_definition(body)
    }
}

/// The byte of an optional value that is absent.
const NIL: u8 = 0xe0;

enum Definition<'a> {
    Kind(Kind<'a>),
    /// A name for another type.
    Named {
        base: TypeId,
    },
}

/// Parses the body of a type definition: a value of the union wireType.
fn parse_definition(body: &[u8]) -> Result<Definition<'_>, VomError> {
    let mut reader = Reader::new(body);
    let choice = unsigned(&mut reader)?;
    let (mut numbers, mut fields) = ([0; 2], Reader::new(&[]));
    let mut last = None;
    while let Some(at) = index(&mut reader, last)? {
        match (at, choice) {
            (0, _) => {
                octets(&mut reader)?;
            }
            (1, 6 | 7) => {
                fields = reader;
                skip_fields(&mut reader)?;
            }
            (1, 1) => {
                for _ in 0..field_count(&mut reader)? {
                    octets(&mut reader)?;
                }
            }
            (1 | 2, _) => {
                let place = numbers.get_mut(usize::from(at == 2));
                if let Some(number) = place {
                    *number = unsigned(&mut reader)?;
                }
            }
            _ => return Err(VomError::Malformed),
        }
        last = Some(at);
    }
    if !reader.is_empty() {
        return Err(VomError::Malformed);
    }
    let [first, second] = numbers;
    Ok(Definition::Kind(match choice {
        0 => return Ok(Definition::Named { base: first }),
        1 => Kind::Number,
        2 => Kind::Array {
            element: first,
            len: second,
        },
        3 => Kind::List { element: first },
        4 => Kind::Set { key: first },
        5 => Kind::Map {
            key: first,
            element: second,
        },
        6 => Kind::Struct(fields),
        7 => Kind::Union(fields),
        8 => Kind::Optional { element: first },
        _ => return Err(VomError::Unsupported),
    }))
}

/// Reads a field of a struct or a union: its name and its type.
fn field<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], TypeId), VomError> {
    let (mut name, mut id) = (&[][..], 0);
    let mut last = None;
    while let Some(at) = index(reader, last)? {
        match at {
            0 => name = octets(reader)?,
            1 => id = unsigned(reader)?,
            _ => return Err(VomError::Malformed),
        }
        last = Some(at);
    }
    Ok((name, id))
}

fn skip_fields(reader: &mut Reader<'_>) -> Result<(), VomError> {
    for _ in 0..field_count(reader)? {
        field(reader)?;
    }
    Ok(())
}

/// Reads the number of fields or labels.
fn field_count(reader: &mut Reader<'_>) -> Result<usize, VomError> {
    let count = count(reader)?;
    if count > MAX_FIELDS {
        return Err(VomError::TooManyFields);
    }
    Ok(count)
}

/// Returns a field from the list of fields.
fn nth_field(mut fields: Reader<'_>, nth: u64) -> Result<(&[u8], TypeId), VomError> {
    let all = field_count(&mut fields)?;
    for at in 0..all {
        let field = field(&mut fields)?;
        if u64::try_from(at) == Ok(nth) {
            return Ok(field);
        }
    }
    Err(VomError::Malformed)
}
