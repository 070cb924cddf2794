//! One reader and one writer over byte slices, used by every format of this crate. Nothing here panics.

mod reader;
mod writer;

pub(crate) use reader::Reader;
pub(crate) use writer::Writer;

/// The bytes end before the value does, or a length does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truncated;

/// The caller's buffer is shorter than the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;
