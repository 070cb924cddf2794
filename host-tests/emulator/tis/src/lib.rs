//! A TPM 2.0 chip on SPI, emulated in front of a TPM that computes, as a rule a swtpm.
//!
//! Written from the TCG PC Client Platform TPM Profile (PTP), not from a driver: headers, wait states and chip select of the SPI
//! transport (section 6.4.6), localities (6.5.2), the FIFO's states, burst counts and status bits (6.5.3), interrupts. What a
//! real chip would ignore, refuse or answer with garbage, this one does too, and writes it down as a [`Violation`], so that a
//! sloppy driver fails in a test and not in the field. A [`Script`] makes it misbehave.
//!
//! It is used in-process, by the parts that [`Emulator`] gives for `embedded-hal` and `embedded-hal-async`, with a clock that
//! only pauses and bytes move; or over a socket ([`socket`]), by emulated boards, with the clock on the wall.

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
