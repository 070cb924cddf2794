//! Where the processor goes on interrupts and faults.
//!
//! There is no peripheral access crate for this machine, hence no table of interrupt handlers: all come to one function with their
//! number.
#![allow(
    unsafe_code,
    reason = "cortex-m-rt asks that exception handlers be unsafe functions"
)]

use crate::{exit, lan9118, registers::Interrupt, spi_wire, time};
use cortex_m_rt::{ExceptionFrame, exception};

#[exception]
// SAFETY: called by the processor alone; whatever it calls takes a critical section for what tasks use too.
unsafe fn DefaultHandler(number: i16) {
    match Interrupt::of(number) {
        Some(Interrupt::Uart2) => spi_wire::on_interrupt(),
        Some(Interrupt::Timer0 | Interrupt::Timer1) => time::on_interrupt(),
        Some(Interrupt::Ethernet) => lan9118::on_interrupt(),
        None => panic!("interrupt {number}, which nobody has enabled"),
    }
}

#[exception]
// SAFETY: called by the processor alone, and does not return.
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    exit::after(exit::HARD_FAULT, || {
        defmt::error!(
            "HardFault at {=u32:#010x}, called from {=u32:#010x}",
            frame.pc(),
            frame.lr()
        );
    })
}
