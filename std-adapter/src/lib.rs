//! Proves who a device is and ties the proof to the one TLS channel it speaks on: the layer for hosts.
//!
//! The protocol itself, bytes in and bytes out, is [`core`] (the crate `chanbind-core`), which firmware uses too. Here are the
//! parts with I/O around it:
//!
//! - [`tpm`]: HMAC keys in a TPM 2.0, by tss-esapi;
//! - [`tls`]: rustls connections as channels;
//! - [`client`]: one connection to a gateway, and the proofs that go with its requests;
//! - [`gateway`]: the tower layer and the axum server that verify them;
//! - [`authenticator`]: certificates as proofs, by RFC 9261: whom to trust, who one is;
//! - [`proof`]: what both ends have to agree on.
//!
//! The command `chanbind` puts them together.
//!
//! Features, both on by default: `tpm`, which needs the system library tpm2-tss 2.4.6 or later, and `cli`, the command.
#![forbid(unsafe_code)]

pub mod authenticator;
pub mod client;
mod clock;
pub mod gateway;
pub mod proof;
pub mod tls;
pub mod tpm;

pub use chanbind_core as core;
