//! The emulated board: QEMU's `mps2-an386`, a Cortex-M4F with LAN9118 Ethernet.
//!
//! What a program needs of the hardware is here, so that `main.rs` is the program alone. The TPM is at the end of UART2, which
//! QEMU connects to a socket ([`spi_wire`]); logs, exit code, seed and time of day go through semihosting, which a debugger
//! offers on a real part.
//!
//! - [`run`]: from reset to the first task;
//! - [`network`]: the IP stack on [`lan9118`];
//! - [`spi_wire`]: the bus and pins that a TPM driver asks for;
//! - [`rng`], [`clock`]: what the host knows and the machine does not;
//! - [`stack`], [`time::cycles`]: measurements;
//! - [`exit`]: how a program ends.
#![no_std]

pub mod clock;
mod exceptions;
mod executor;
pub mod exit;
mod host;
pub mod lan9118;
pub mod network;
mod registers;
pub mod rng;
pub mod spi_wire;
pub mod stack;
pub mod time;

// Linked for what they provide to others: the critical section, and the way of log messages to the host.
use cortex_m as _;
use defmt_semihosting as _;

pub use host::HostError;

use embassy_executor::Spawner;

/// Runs the program for ever: `start` spawns the first tasks. To be called first thing in `main`, once.
pub fn run(start: impl FnOnce(Spawner)) -> ! {
    stack::paint();
    time::start();
    executor::run(start)
}
