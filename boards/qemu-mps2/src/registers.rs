//! The machine's device registers and interrupts: the one module that knows addresses.
//!
//! Every device that is named here moves data by its registers alone, none reaches memory by itself; therefore reading and writing
//! them is safe, whatever the value.
#![allow(
    unsafe_code,
    reason = "device registers are reached by address, and interrupts are numbers"
)]

use core::ptr;
use cortex_m::{interrupt::InterruptNumber, peripheral::NVIC};

/// The registers of one device: 32 bits each, in 4 KiB.
#[derive(Clone, Copy)]
pub(crate) struct Device(usize);

/// CMSDK timer 0.
pub(crate) const TIMER0: Device = Device(0x4000_0000);
/// CMSDK timer 1.
pub(crate) const TIMER1: Device = Device(0x4000_1000);
/// CMSDK UART 2.
pub(crate) const UART2: Device = Device(0x4000_6000);
/// SMSC LAN9118.
pub(crate) const ETHERNET: Device = Device(0x4020_0000);

impl Device {
    /// Reads the register at this offset in bytes.
    pub(crate) fn read(self, offset: u16) -> u32 {
        let address = ptr::with_exposed_provenance::<u32>(self.address(offset));
        // SAFETY: `address` is aligned and within a device of this machine, where there is no Rust object.
        unsafe { address.read_volatile() }
    }

    /// Writes the register at this offset in bytes.
    pub(crate) fn write(self, offset: u16, value: u32) {
        let address = ptr::with_exposed_provenance_mut::<u32>(self.address(offset));
        // SAFETY: as in `read`; and no device here reaches memory by itself.
        unsafe { address.write_volatile(value) }
    }

    /// Aligned, and never outside the device.
    const fn address(self, offset: u16) -> usize {
        self.0 | (offset & 0xffc) as usize
    }
}

/// The interrupts in use, by number.
#[derive(Clone, Copy)]
#[repr(u16)]
pub(crate) enum Interrupt {
    /// UART2 has a byte.
    Uart2 = 4,
    /// Timer 0 has reached zero.
    Timer0 = 8,
    /// Timer 1 has reached zero.
    Timer1 = 9,
    /// The LAN9118 has something to say.
    Ethernet = 13,
}

impl Interrupt {
    /// The interrupt of this number, if it is in use.
    pub(crate) fn of(number: i16) -> Option<Self> {
        [Self::Uart2, Self::Timer0, Self::Timer1, Self::Ethernet]
            .into_iter()
            .find(|interrupt| i32::from(interrupt.number()) == i32::from(number))
    }

    /// Lets the processor take it from now on.
    pub(crate) fn enable(self) {
        // SAFETY: no critical section here is made of masked interrupts; all disable them globally.
        unsafe { NVIC::unmask(self) }
    }
}

// SAFETY: `number` is the value of the variant, which is one of the machine's interrupts, and never changes.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}
