//! Handlers of interrupts and faults.
//!
//! There is no peripheral access crate for this machine, hence no table of interrupt handlers: one function handles all
//! interrupts, by number.
#![allow(
    unsafe_code,
    reason = "cortex-m-rt requires exception handlers to be unsafe functions"
)]
#![allow(
    clippy::panic,
    reason = "an interrupt that no driver enabled is a bug in this crate"
)]

use crate::{exit, lan9118, registers::Interrupt, spi_wire, time};
use cortex_m_rt::{ExceptionFrame, exception};

#[exception]
// SAFETY: called only by the processor; the functions it calls access state shared with tasks in critical sections.
unsafe fn DefaultHandler(number: i16) {
    match Interrupt::of(number) {
        Some(Interrupt::Uart2) => spi_wire::on_interrupt(),
        Some(Interrupt::Timer0 | Interrupt::Timer1) => time::on_interrupt(),
        Some(Interrupt::Ethernet) => lan9118::on_interrupt(),
        None => panic!("unexpected interrupt {number}: no driver enabled it"),
    }
}

#[exception]
// SAFETY: called only by the processor, and does not return.
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    exit::after(exit::HARD_FAULT, || {
        defmt::error!(
            "HardFault at {=u32:#010x}, called from {=u32:#010x}",
            frame.pc(),
            frame.lr()
        );
    })
}
