//! A reader of DER (X.690 section 10) and the object identifiers that this crate knows, for certificates, signatures, channel
//! bindings and authenticators.
//!
//! The reader is strict and total: any bytes give a value or an error, and the work is bounded by their number.

pub(crate) mod oid;
mod reader;

pub use reader::{Reader, Tag};
