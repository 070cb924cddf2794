// The first definition of a link counts: here items lead to their documentation, and in the README to docs.rs.
//! [`blocking`]: crate::blocking
//! [`tis`]: crate::tis
//! [`command`]: crate::command
//! [`session`]: crate::session
//! [`Tpm`]: crate::Tpm
//! [`key`]: crate::key
//!
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

pub mod blocking;
mod chip;
pub mod command;
mod contexts;
mod error;
mod frame;
pub mod key;
mod log;
mod parent;
mod random;
pub mod session;
pub mod tis;
mod tpm;

pub use chip::Chip;
pub use contexts::Contexts;
pub use error::Error;
pub use parent::{Parent, ParentKey};
pub use tpm::{CloseFailure, Tpm};

pub(crate) use log::log;
