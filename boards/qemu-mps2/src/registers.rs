//! The machine's device registers and interrupts. No other module contains addresses.
//!
//! All devices listed here transfer data only through their registers and have no DMA; therefore reading and writing any value is
//! safe.
#![allow(
    unsafe_code,
    reason = "device registers are accessed by address, and interrupts by number"
)]

use core::ptr;
use cortex_m::{interrupt::InterruptNumber, peripheral::NVIC};

/// The registers of one device: 32 bits each, in a block of 4 KiB.
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
        // SAFETY: as in `read`; and no device here has DMA.
        unsafe { address.write_volatile(value) }
    }

    /// Returns the address of a register, which is aligned and always within the device.
    fn address(self, offset: u16) -> usize {
        self.0 | usize::from(offset & 0xffc)
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
    /// The LAN9118 requests service.
    Ethernet = 13,
}

impl Interrupt {
    /// Returns the interrupt with this number, if it is in use.
    pub(crate) fn of(number: i16) -> Option<Self> {
        [Self::Uart2, Self::Timer0, Self::Timer1, Self::Ethernet]
            .into_iter()
            .find(|interrupt| i32::from(interrupt.number()) == i32::from(number))
    }

    /// Enables the interrupt in the interrupt controller.
    pub(crate) fn enable(self) {
        // SAFETY: no critical section of this program relies on a masked interrupt; all disable interrupts globally.
        unsafe { NVIC::unmask(self) }
    }
}

// SAFETY: `number` returns the value of the variant, which is one of the machine's interrupts and never changes.
unsafe impl InterruptNumber for Interrupt {
    #[allow(clippy::as_conversions, reason = "reads the value of the variant")]
    fn number(self) -> u16 {
        self as u16
    }
}
