// The first definition of a link counts: here items lead to their documentation, and in the README to docs.rs.
//! [`protocol`]: crate::protocol
//! [`client`]: crate::client
//! [`gateway`]: crate::gateway
//! [`proof`]: crate::proof
//! [`proxy`]: crate::proxy
//! [`tls`]: crate::tls
//! [`tpm`]: crate::tpm
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "the numbers here are lengths, counts and times on a host; chanbind-core parses those of the peer"
)]

pub mod client;
mod clock;
mod file_stamp;
pub mod gateway;
pub mod proof;
pub mod proxy;
pub mod tls;
pub mod tpm;
mod unique;

pub use chanbind_core as protocol;
