//! Proves who a device is and ties the proof to the one TLS channel it speaks on.
//!
//! This crate is the protocol layer: bytes and state in, bytes and state out. It has no I/O, no allocator, no clock and no
//! random numbers of its own, so that the same code runs in a firmware, in a client and in the gateway that verifies. The
//! crate `chanbind` is the pleasant layer above it on a host with TPM, TLS and HTTP; the crates under `boards` are the same
//! for microcontrollers.
//!
//! - [`exporter`]: what a channel offers, keying material for a label and a context;
//! - [`binding`]: channel bindings, and one value of them for each side;
//! - [`kdf`]: key derivation over a PRF that may live in a TPM;
//! - [`token`]: the one-time password that comes of it, made and verified;
//! - `authenticator` (feature `authenticator`): TLS Exported Authenticators, RFC 9261;
//! - [`x509`] (feature `x509`): certificate paths, for TLS and for what else is signed with a certificate's key;
//! - [`crypto`] and [`wire`]: what the formats stand on, and what the crates for TPMs and boards use too.
//!
//! # A one-time password, both ends
//!
//! ```
//! use chanbind_core::{
//!     exporter::ExporterSecret,
//!     kdf::HmacSha256,
//!     otp::{ClientId, OneTimeKey, Profile, Purpose, api_key},
//! };
//!
//! let profile = Profile::default();
//! let client = ClientId::new("client1")?;
//!
//! // The device: its HMAC key would be in a TPM.
//! let device_end = ExporterSecret::sha256(&[7; 32]);
//! let key = OneTimeKey::derive(&profile, Purpose::ApiKey, client, &device_end, &mut HmacSha256::new(b"my_api_key"))?;
//! let mut header = [0; api_key::ENCODED_LEN];
//! let presented = api_key::encode(&key, &mut header);
//!
//! // The gateway: the other end of the same TLS connection, and its copy of the HMAC key.
//! let gateway_end = ExporterSecret::sha256(&[7; 32]);
//! let expected = OneTimeKey::derive(&profile, Purpose::ApiKey, client, &gateway_end, &mut HmacSha256::new(b"my_api_key"))?;
//! api_key::verify(&expected, presented)?;
//!
//! // On another connection the same password is worth nothing.
//! let other_end = ExporterSecret::sha256(&[8; 32]);
//! let other = OneTimeKey::derive(&profile, Purpose::ApiKey, client, &other_end, &mut HmacSha256::new(b"my_api_key"))?;
//! assert!(api_key::verify(&other, presented).is_err());
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used,
    )
)]

#[cfg(feature = "authenticator")]
pub mod authenticator;
pub mod binding;
pub mod crypto;
mod error_messages;
pub mod exporter;
pub mod kdf;
pub mod otp;
pub mod wire;
#[cfg(feature = "x509")]
pub mod x509;
