//! A driver for discrete TPM 2.0 chips on SPI, for firmware: Infineon SLB9670 and SLB9672, ST ST33, Nuvoton NPCT7xx and others
//! that implement the TCG's FIFO interface. It needs no operating system and no allocator, and contains no `unsafe` code. It is
//! async on `embedded-hal-async`; [`blocking`] adapts it to blocking buses.
//!
//! - [`tis`]: the transport, which moves commands and responses through the chip's FIFO;
//! - [`command`]: TPM commands, marshalled into one buffer that the caller provides, usually of 512 bytes;
//! - [`session`]: passwords, and salted sessions that encrypt and authenticate the traffic on the bus;
//! - [`Tpm`]: runs commands, tracks the sessions and objects in the chip, and flushes those that are no longer needed;
//! - [`key`]: HMAC and ECDSA keys that never leave the chip, for use by firmware.
//!
//! The bus between microcontroller and TPM is not trusted: with sessions, an attacker who reads it learns no keying material and
//! no derived key, and modified traffic results in an error. This relies on the name of the parent key, which is pinned when the
//! device is provisioned. An attacker who can send commands to the TPM can also use a key without a password, on data of their
//! choice: where the bus is within an attacker's reach, give the keys a password that is stored in the microcontroller's
//! protected flash. With a session, the password never crosses the bus.
//!
//! # Example: derive a one-time key from exported keying material, with one chip on one bus
//!
//! ```
//! use chanbind_core::{
//!     otp::{KeyDerivation, OneTimeKey},
//!     proof::KeyRequest,
//! };
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
//! /// The output of `chanbind provision`: two blobs that only this chip can load, and the name of the key that wraps them.
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
//!     mut derivation: KeyDerivation<'_>, // holds keying material that the TLS connection exported
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
//!     loop {
//!         let KeyRequest::Hmac(input) = derivation.request() else {
//!             return None;
//!         };
//!         let mut mac = [0; 32];
//!         keys.hmac(&mut key, &input.parts(), &mut mac).await.ok()?;
//!         if let Some(key) = derivation.answered(&mac).ok()? {
//!             return Some(key);
//!         }
//!     }
//! }
//! ```
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
