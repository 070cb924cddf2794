//! Measurement of stack usage: unused stack is filled with a pattern, which remains where the stack was never used.
#![allow(
    unsafe_code,
    reason = "the unused stack is not a Rust object, and its bounds are linker symbols"
)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "addresses have 32 bits, and the linker script places the start of the stack above its end"
)]

use core::ptr;
use cortex_m::register::msp;

/// The pattern: an odd value that is not an address of this machine, so that a program is unlikely to write it itself.
const PAINT: u32 = 0x5a3c_a5c3;
/// The number of bytes below the stack pointer that [`paint`] does not overwrite.
const MARGIN: usize = 64;

unsafe extern "C" {
    /// The first byte above static memory, the lower limit of the stack. Defined by the linker script of cortex-m-rt.
    static _stack_end: u32;
    /// The first byte above the stack, from which it grows downwards.
    static _stack_start: u32;
}

/// Returns the size of the stack in bytes, which is the RAM that static memory does not occupy.
#[must_use]
pub fn size() -> usize {
    start() - end()
}

/// Returns the number of bytes of the stack that are in use.
#[must_use]
pub fn used() -> usize {
    start() - msp::read() as usize
}

/// Fills the unused stack with the pattern. Must be called before the code to be measured.
#[inline(never)]
pub fn paint() {
    // The stack pointer has 32 bits, like usize on this machine.
    let used_from = msp::read() as usize;
    for address in (end()..used_from.saturating_sub(MARGIN)).step_by(size_of::<u32>()) {
        // SAFETY: the address is aligned, above static memory and below the stack pointer, where there is no data while this loop
        // runs: it calls no function, and an interrupt has released its part of the stack before the loop continues.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT) }
    }
}

/// Returns the maximum number of bytes of the stack that have been in use since [`paint`], including `main` and interrupts.
#[must_use]
pub fn high_water() -> usize {
    let untouched = (end()..start())
        .step_by(size_of::<u32>())
        // SAFETY: the address is aligned and in RAM, and a volatile read returns the value in memory as it is.
        .take_while(|&address| unsafe {
            ptr::with_exposed_provenance::<u32>(address).read_volatile() == PAINT
        })
        .count();
    size() - untouched * size_of::<u32>()
}

fn end() -> usize {
    (&raw const _stack_end).expose_provenance()
}

fn start() -> usize {
    (&raw const _stack_start).expose_provenance()
}
