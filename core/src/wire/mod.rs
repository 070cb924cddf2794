//! One reader and one writer over byte slices, big-endian as TLS and TPM are. Nothing here panics.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

/// The bytes end before the value does, or a length does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncated;

/// The caller's buffer is shorter than the value, or the value is longer than its length field can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;
