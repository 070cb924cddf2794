//! The emulated board: QEMU's `mps2-an386`, a Cortex-M4F with LAN9118 Ethernet.
//!
//! This crate contains the support for the hardware; `main.rs` and `bin` are applications. The TPM is connected to UART2, which QEMU
//! connects to a socket ([`spi_wire`]). Logs, exit code, seed and time of day use semihosting, which a debugger provides on real
//! hardware.
//!
//! - [`run`]: the start from reset to the first task;
//! - [`start`]: the device, from all parts of the board;
//! - [`network`]: the IP stack on [`lan9118`];
//! - [`spi_wire`]: the bus and pins that a TPM driver requires;
//! - [`rng`], [`clock`]: random numbers and time of day from the host, which the machine lacks;
//! - [`stack`], [`time::cycles`]: measurements;
//! - [`exit`]: the end of a program.
#![no_std]

pub mod benchmark;
pub mod clock;
mod device;
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

// Linked for the symbols that they provide to other crates: the critical section, and the transport of log messages to the host.
use cortex_m as _;
use defmt_semihosting as _;

pub use chanbind_device::config_of_image;
pub use device::{Board, BoardDevice, Gauge, HostClock, start};
pub use host::HostError;

use embassy_executor::Spawner;

/// Runs the program forever: `start` spawns the first tasks. Must be called once, as the first statement of `main`.
///
/// # Panics
/// Panics when called a second time.
pub fn run(start: impl FnOnce(Spawner)) -> ! {
    stack::paint();
    time::start();
    executor::run(start)
}
