//! Proves who a device is and ties the proof to the one TLS channel it speaks on: the layer for hosts.
//!
//! The protocol itself, bytes in and bytes out, is [`protocol`] (the crate `chanbind-core`), which firmware uses too. This crate adds
//! the I/O around it:
//!
//! - [`tpm`]: keys in a TPM 2.0, by tss-esapi;
//! - [`tls`]: rustls connections as channels;
//! - [`proof`]: the kinds of proof, and what they share;
//! - [`client`]: one connection to a gateway, and the proof that goes with its requests;
//! - [`gateway`]: the tower layer and the axum server that verify proofs.
//!
//! The command `chanbind` is built from these.
//!
//! Features, both on by default: `tpm`, which needs the system library tpm2-tss 2.4.6 or later, and `cli`, the command.
#![forbid(unsafe_code)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "the numbers here are lengths, counts and times on a host; chanbind-core parses those of the peer"
)]

pub mod client;
mod clock;
pub mod gateway;
pub mod proof;
pub mod tls;
pub mod tpm;
mod unique;

pub use chanbind_core as protocol;
