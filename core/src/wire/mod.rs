//! A reader and a writer over byte slices, for the big-endian encodings of TLS and TPM. No function in this module panics.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

/// The input ends before the value does, or the encoding is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncated;

/// The caller's buffer is too short for the value, or the value is longer than its length field can express.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

crate::error_messages! { Full {
    Self => "the buffer is too short for the value";
}}

impl core::error::Error for Full {}
