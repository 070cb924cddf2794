//! VOM, the encoding of Vanadium's values: a decoder that follows the type definitions in the stream, and an encoder for the types of this module.
//!
//! The decoder reads what upstream's code writes since version 0x81. It is strict where upstream is not: integers must be minimal, the fields of a
//! struct must ascend, and nothing may follow a value. Types that none of Vanadium's security types use (any, type objects, incomplete types) are
//! rejected. The work is bounded by a multiple of the length of the input, and the memory by [`MAX_TYPES`].

mod definitions;
mod document;
mod reader;
#[cfg(feature = "blessing-channel")]
mod stream;
mod types;
mod writer;

pub(crate) use definitions::{
    BLESSINGS, BLESSINGS_TYPE, BOOL_TYPE, DISCHARGE, DISCHARGE_TYPE, FIRST_TYPE, PATTERNS,
    REQUIRED_FOR_BLESSINGS, REQUIRED_FOR_DISCHARGE, STRINGS_TYPE, THIRD_PARTY, TIME,
};
#[cfg(feature = "blessing-channel")]
pub(crate) use definitions::{FLOW, FLOW_TYPE};
pub(crate) use document::Document;
pub(crate) use reader::{octets, unsigned};
#[cfg(feature = "blessing-channel")]
pub(crate) use stream::Stream;
pub(crate) use types::Types;
pub(crate) use writer::Writer;

use crate::{error_messages, wire::Truncated};

/// The maximum number of type definitions in a stream. The longest stream of Vanadium's security types has 20.
pub const MAX_TYPES: usize = 32;

/// The error of decoding VOM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VomError {
    /// The encoding ends early, or is invalid.
    Malformed,
    /// The first byte is not 0x81.
    Version,
    /// The stream has more than [`MAX_TYPES`] type definitions.
    TooManyTypes,
    /// A type has more than 32 fields or labels.
    TooManyFields,
    /// Values are nested too deeply.
    TooDeep,
    /// The value has another type than the one that is expected.
    WrongType,
    /// The stream uses a feature that this decoder does not have.
    Unsupported,
    /// Bytes follow the value.
    Trailing,
}

error_messages! { VomError {
    Self::Malformed => "the VOM encoding is truncated or invalid";
    Self::Version => "the VOM encoding does not have version 0x81";
    Self::TooManyTypes => "the VOM stream has more than {} type definitions", MAX_TYPES;
    Self::TooManyFields => "a type in the VOM stream has more than 32 fields or labels";
    Self::TooDeep => "the VOM value is nested too deeply";
    Self::WrongType => "the VOM value has another type than the expected one";
    Self::Unsupported => "the VOM stream has types that no security value has";
    Self::Trailing => "bytes follow the VOM value";
}}

impl core::error::Error for VomError {}

impl From<Truncated> for VomError {
    fn from(_: Truncated) -> Self {
        Self::Malformed
    }
}

/// The first byte of a stream.
pub(crate) const VERSION: u8 = 0x81;

/// The byte after the last field of a struct.
pub(crate) const END: u8 = 0xe1;
