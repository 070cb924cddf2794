//! The SPI bus of the TPM over UART2, which QEMU connects to a socket of the host.
//!
//! The messages are those of the `socket` module of the TIS emulator. A byte `n` from `00` to `3f` is followed by `n + 1` bytes
//! to be clocked, and as many bytes come back. `80` and `81` set the chip select low and high; `82` and `83` do the same for the
//! reset pin. Each message is sent within one call, and there is only one executor; therefore bytes and edges reach the chip in
//! the order of the calls.
//!
//! The UART holds one byte. An interrupt reads it, and wakes the task when its response is complete. The emulator responds in
//! order and loses nothing: the outstanding bytes of a dropped transfer are counted, and discarded when they arrive.

mod inbox;

use crate::registers::{Interrupt, UART2};
use core::{
    convert::Infallible,
    sync::atomic::{AtomicBool, Ordering},
};
use embassy_time::{Duration, with_timeout};
use embedded_hal::digital::{self, OutputPin};
use embedded_hal_async::spi::{self, SpiBus};
use inbox::{CHUNK_LEN, Response};

/// The time that [`SpiBus::flush`] waits for outstanding bytes of dropped transfers. It exceeds the duration of a TPM command,
/// during which the emulator may not respond.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5);

mod message {
    pub(super) const SELECT: u8 = 0x80;
    pub(super) const DESELECT: u8 = 0x81;
    pub(super) const RESET: u8 = 0x82;
    pub(super) const RUN: u8 = 0x83;
}

/// Offsets of a CMSDK UART's registers.
mod register {
    pub(super) const DATA: u16 = 0x0;
    pub(super) const STATE: u16 = 0x4;
    pub(super) const CONTROL: u16 = 0x8;
    /// Reads as the pending interrupts; cleared by writing their bits.
    pub(super) const INTERRUPT: u16 = 0xc;
    pub(super) const BAUD_DIVISOR: u16 = 0x10;
}

/// STATE: the byte to be sent has not been sent yet.
const TRANSMIT_FULL: u32 = 1 << 0;
/// STATE: a byte has been received.
const RECEIVE_FULL: u32 = 1 << 1;
/// CONTROL: enables transmitter, receiver and the interrupt for received bytes.
const ENABLE: u32 = 0b1011;
/// INTERRUPT: a byte has been received.
const RECEIVED: u32 = 1 << 1;
/// The smallest divisor that the UART supports; QEMU does not emulate the baud rate.
const DIVISOR: u32 = 16;

/// Initialises UART2, and returns the bus and its two pins.
///
/// # Panics
/// Panics when called a second time.
pub fn open() -> (Bus, ChipSelect, Reset) {
    static OPENED: AtomicBool = AtomicBool::new(false);
    let opened_before = OPENED.swap(true, Ordering::SeqCst);
    assert!(!opened_before, "the SPI wire can be opened only once");
    UART2.write(register::BAUD_DIVISOR, DIVISOR);
    UART2.write(register::CONTROL, ENABLE);
    Interrupt::Uart2.enable();
    (Bus(()), ChipSelect(()), Reset(()))
}

/// The clock and the two data lines. Reads send zeros.
///
/// Its futures can be dropped: whole messages or none have been sent then, and the next transfer is not affected.
pub struct Bus(());

/// The pin connected to CS# of the chip.
pub struct ChipSelect(());

/// The pin connected to RST# of the chip.
pub struct Reset(());

impl spi::ErrorType for Bus {
    type Error = Infallible;
}

impl SpiBus for Bus {
    async fn read(&mut self, words: &mut [u8]) -> Result<(), Infallible> {
        words.fill(0);
        self.transfer_in_place(words).await
    }

    async fn write(&mut self, words: &[u8]) -> Result<(), Infallible> {
        self.transfer(&mut [], words).await
    }

    async fn transfer(&mut self, read: &mut [u8], write: &[u8]) -> Result<(), Infallible> {
        let mut read = read.chunks_mut(CHUNK_LEN);
        let mut write = write.chunks(CHUNK_LEN);
        loop {
            let (into, from) = match (read.next(), write.next()) {
                (None, None) => return Ok(()),
                (into, from) => (into.unwrap_or_default(), from.unwrap_or_default()),
            };
            let mut both = [0; CHUNK_LEN];
            for (byte, from) in both.iter_mut().zip(from) {
                *byte = *from;
            }
            let (both, _) = both.split_at_mut(into.len().max(from.len()));
            exchange(both).await;
            for (into, byte) in into.iter_mut().zip(both) {
                *into = *byte;
            }
        }
    }

    async fn transfer_in_place(&mut self, words: &mut [u8]) -> Result<(), Infallible> {
        for chunk in words.chunks_mut(CHUNK_LEN) {
            exchange(chunk).await;
        }
        Ok(())
    }

    /// Waits until all outstanding bytes of dropped transfers have arrived.
    async fn flush(&mut self) -> Result<(), Infallible> {
        if with_timeout(FORGOTTEN_AFTER, inbox::stale_bytes())
            .await
            .is_err()
        {
            let lost = inbox::forget_stale_bytes();
            defmt::warn!("{=usize} bytes were not returned on the SPI wire", lost);
        }
        Ok(())
    }
}

impl digital::ErrorType for ChipSelect {
    type Error = Infallible;
}

impl OutputPin for ChipSelect {
    fn set_low(&mut self) -> Result<(), Infallible> {
        send(message::SELECT);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        send(message::DESELECT);
        Ok(())
    }
}

impl digital::ErrorType for Reset {
    type Error = Infallible;
}

impl OutputPin for Reset {
    fn set_low(&mut self) -> Result<(), Infallible> {
        send(message::RESET);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        send(message::RUN);
        Ok(())
    }
}

/// Sends one byte. The wait is short: QEMU passes each byte to the socket at once, and the emulator reads continuously.
fn send(byte: u8) {
    while UART2.read(register::STATE) & TRANSMIT_FULL != 0 {}
    UART2.write(register::DATA, byte.into());
}

/// Clocks up to [`CHUNK_LEN`] bytes, and replaces them with the bytes that come back.
async fn exchange(bytes: &mut [u8]) {
    let Some(len) = bytes
        .len()
        .checked_sub(1)
        .and_then(|len| u8::try_from(len).ok())
    else {
        return;
    };
    let response = Response::expect(bytes.len());
    send(len);
    for byte in bytes.iter() {
        send(*byte);
    }
    response.into(bytes).await;
}

/// Handles the interrupt of UART2 for a received byte.
pub(crate) fn on_interrupt() {
    UART2.write(register::INTERRUPT, RECEIVED);
    if UART2.read(register::STATE) & RECEIVE_FULL == 0 {
        return;
    }
    let [byte, ..] = UART2.read(register::DATA).to_le_bytes();
    inbox::accept(byte);
}
