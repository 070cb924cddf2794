//! A discrete TPM 2.0 on SPI, for firmware: Infineon SLB9670 and SLB9672, ST ST33, Nuvoton NPCT7xx and others that speak the
//! TCG's FIFO interface. No operating system, no allocator, no `unsafe`; async on `embedded-hal-async`, and [`blocking`].
//!
//! - [`tis`]: the wire, commands and responses through the chip's FIFO;
//! - [`command`]: TPM commands, marshalled into one buffer of the caller's, 512 bytes;
//! - [`session`]: passwords, and salted sessions that encrypt and authenticate what crosses the bus;
//! - [`Tpm`]: runs commands, keeps account of what is in the chip, and cleans up;
//! - [`key`]: HMAC and ECDSA keys that never leave the chip, as firmware uses them.
//!
//! The bus between microcontroller and TPM is not trusted: who reads it learns no keying material and no derived key, and who
//! changes what passes gets an error. What that rests on is the parent key's name, pinned when the device was provisioned. Whoever
//! can send to the TPM can also use a key that has no password, on data of their own: give keys one, from the
//! microcontroller's protected flash, where the bus is within an attacker's reach. It never crosses the bus.
//!
//! # One chip on one bus, from EKM to a one-time key
//!
//! ```
//! use chanbind_core::otp::{KeyingMaterial, OneTimeKey, Profile};
//! use chanbind_tpm_spi::{
//!     Contexts, ParentKey, Tpm,
//!     command::{Name, Template},
//!     key::{HmacKey, KeyBlobs, TpmKeys},
//!     session::AuthValue,
//!     tis::{ExclusiveBus, Tis},
//! };
//! use embedded_hal::digital::OutputPin;
//! use embedded_hal_async::{delay::DelayNs, spi::SpiBus};
//! use rand_core::{CryptoRng, RngCore};
//!
//! /// What `chanbind provision` gave: two blobs for this chip alone, and the name of the key that wraps them.
//! struct Identity {
//!     private: &'static [u8],
//!     public: &'static [u8],
//!     parent_name: [u8; 34],
//!     password: &'static [u8],
//! }
//!
//! async fn prove(
//!     spi: impl SpiBus,               // mode 0, at most 10 MHz
//!     chip_select: impl OutputPin,
//!     reset: impl OutputPin,
//!     delay: impl DelayNs,
//!     rng: impl CryptoRng + RngCore,
//!     identity: &Identity,
//!     material: &KeyingMaterial,      // of the TLS connection
//! ) -> Option<OneTimeKey> {
//!     let bus = ExclusiveBus::new(spi, chip_select);
//!     let chip = Tis::builder(bus, delay).reset_pin(reset).open().await.ok()?;
//!
//!     let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
//!     let tpm = Tpm::new(chip, &mut buffer, &mut contexts);
//!     let pinned = Name::new(&identity.parent_name).ok()?;
//!     let mut keys = TpmKeys::new(tpm, rng, ParentKey::Primary(Template::H2), pinned);
//!
//!     let blobs = KeyBlobs::new(identity.private, identity.public)?;
//!     let mut key = HmacKey::new(blobs, AuthValue::new(identity.password).ok()?).ok()?;
//!     let profile = Profile::default();
//!     OneTimeKey::derive_async(&profile, material, &mut keys.prf(&mut key)).await.ok()
//! }
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

pub mod blocking;
mod chip;
pub mod command;
mod contexts;
mod error;
mod frame;
pub mod key;
mod log;
mod parent;
pub mod session;
pub mod tis;
mod tpm;

pub use chip::Chip;
pub use contexts::Contexts;
pub use error::Error;
pub use parent::{Parent, ParentKey};
pub use tpm::{CloseFailure, Tpm};

pub(crate) use log::log;
