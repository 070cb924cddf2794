//! How much of the stack a program has used: what was not used still has the colour that it was painted with.
#![allow(
    unsafe_code,
    reason = "the unused stack is no Rust object, and its bounds are linker symbols"
)]

use core::ptr;
use cortex_m::register::msp;

/// An odd value that is no address of this machine, so that a program hardly writes it itself.
const PAINT: u32 = 0x5a3c_a5c3;
/// Bytes below the stack pointer that [`paint`] leaves alone.
const MARGIN: usize = 64;

unsafe extern "C" {
    /// The first byte above static memory, where the stack may grow to. By cortex-m-rt's linker script.
    static _stack_end: u32;
    /// The first byte above the stack, where it begins.
    static _stack_start: u32;
}

/// Bytes that there are for the stack: what static memory leaves of the RAM.
#[must_use]
pub fn size() -> usize {
    start() - end()
}

/// Bytes of the stack that are in use.
#[must_use]
pub fn used() -> usize {
    start() - msp::read() as usize
}

/// Paints what is not in use. To be called before anything that is to be measured.
#[inline(never)]
pub fn paint() {
    // The stack pointer has 32 bits, as an address here has.
    let used_from = msp::read() as usize;
    for address in (end()..used_from.saturating_sub(MARGIN)).step_by(size_of::<u32>()) {
        // SAFETY: aligned, above static memory and below the stack pointer, where nothing is while this loop runs: it calls
        // nothing, and an interrupt has left the stack again before the loop goes on.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT) }
    }
}

/// Bytes of the stack that have been in use at most, those of `main` and of interrupts included.
#[must_use]
pub fn high_water() -> usize {
    let untouched = (end()..start())
        .step_by(size_of::<u32>())
        // SAFETY: aligned, in RAM, and volatile: whatever is there is read as it is.
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
