// The first definition of a link counts: here items lead to their documentation, and in the README to docs.rs.
//! [`exporter`]: crate::exporter
//! [`binding`]: crate::binding
//! [`kdf`]: crate::kdf
//! [`proof`]: crate::proof
//! [`otp`]: crate::otp
//! [`crypto`]: crate::crypto
//! [`wire`]: crate::wire
//!
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "authenticator")]
pub mod authenticator;
pub mod binding;
#[cfg(feature = "blessing")]
pub mod blessing;
pub mod crypto;
#[doc(hidden)]
pub mod der;
mod error_messages;
pub mod exporter;
pub mod http_auth;
pub mod kdf;
#[cfg(feature = "mutual")]
pub mod mutual;
pub mod otp;
pub mod proof;
pub mod wire;
#[cfg(feature = "x509")]
pub mod x509;
