//! Proves the identity of a device and binds the proof to the one TLS connection on which it is sent.
//!
//! This crate is the protocol layer: bytes and state in, bytes and state out. It performs no I/O and has no allocator, clock or
//! random number generator of its own, so the same code runs in firmware, in a client and in the gateway that verifies the
//! proof. The crate `chanbind` is the layer above it for hosts with a TPM, TLS and HTTP; the crates under `boards` are the
//! layer above it for microcontrollers.
//!
//! - [`exporter`]: keying material that a TLS connection exports for a label and a context;
//! - [`binding`]: channel bindings, and one tag derived from them for each side;
//! - [`kdf`]: key derivation over a PRF that may be computed by a TPM;
//! - [`proof`]: what all kinds of proof share, with the client's side as one trait;
//! - [`otp`]: one-time passwords that are derived with it, their encoding and verification;
//! - `authenticator` (feature `authenticator`): TLS Exported Authenticators, RFC 9261;
//! - `x509` (feature `x509`): certificate paths, for TLS and for other messages that are signed with the key of a certificate;
//! - [`crypto`] and [`wire`]: primitives and encodings that the formats use, also used by the crates for TPMs and boards.
//!
//! # A one-time password on both ends of a connection
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
//! // The device. In production its HMAC key is in a TPM.
//! let device_end = ExporterSecret::sha256(&[7; 32]);
//! let key = OneTimeKey::derive(&profile, Purpose::ApiKey, client, &device_end, &mut HmacSha256::new(b"my_api_key"))?;
//! let mut header = [0; api_key::ENCODED_LEN];
//! let presented = api_key::encode(&key, &mut header);
//!
//! // The gateway, with the other end of the same TLS connection and its own copy of the HMAC key.
//! let gateway_end = ExporterSecret::sha256(&[7; 32]);
//! let expected = OneTimeKey::derive(&profile, Purpose::ApiKey, client, &gateway_end, &mut HmacSha256::new(b"my_api_key"))?;
//! api_key::verify(&expected, presented)?;
//!
//! // On another connection the same password is rejected.
//! let other_end = ExporterSecret::sha256(&[8; 32]);
//! let other = OneTimeKey::derive(&profile, Purpose::ApiKey, client, &other_end, &mut HmacSha256::new(b"my_api_key"))?;
//! assert!(api_key::verify(&other, presented).is_err());
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "authenticator")]
pub mod authenticator;
pub mod binding;
pub mod crypto;
#[doc(hidden)]
pub mod der;
mod error_messages;
pub mod exporter;
pub mod kdf;
pub mod otp;
pub mod proof;
pub mod wire;
#[cfg(feature = "x509")]
pub mod x509;
