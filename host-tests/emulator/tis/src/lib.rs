//! An emulated TPM 2.0 chip on SPI, in front of a TPM that executes the commands, usually a swtpm.
//!
//! The emulator follows the TCG PC Client Platform TPM Profile (PTP), not a driver: headers, wait states and chip select of the
//! SPI transport (section 6.4.6), localities (6.5.2), states, burst counts and status bits of the FIFO (6.5.3), and interrupts.
//! It ignores, refuses or answers with garbage what a real chip would, and records it as a [`Violation`], so that an incorrect
//! driver fails in a test and not in the field. A [`Script`] makes the chip misbehave.
//!
//! Tests in the same process use the `embedded-hal` and `embedded-hal-async` parts that [`Emulator`] provides, with a virtual
//! clock that only pauses and bytes advance. Emulated boards connect over a socket ([`socket`]), with the real clock.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "only tests use this crate"
)]

mod chip;
mod emulator;
mod hal;
mod script;
pub mod socket;
mod tpm;
mod wire;

pub use chip::Violation;
pub use emulator::{Counts, Emulator};
pub use hal::{Bus, ChipSelect, Delay, Device, Interrupt, ResetPin};
pub use script::{ChangeCommand, ChangeResponse, Duration, Event, Refusal, Script};
pub use tpm::{Computes, Swtpm};
