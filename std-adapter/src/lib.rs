//! The host side of chanbind.
#![forbid(unsafe_code)]

pub mod tpm;

pub use chanbind_core as core;
