//! The SPI bus of the TPM, carried by UART2, which QEMU connects to a socket of the host.
//!
//! Messages are those of the TIS emulator's `socket` module: a byte from `00` to `3f`, and that many bytes more one, are clocked, and
//! as many bytes come back; `80` and `81`, the chip select goes low and high; `82` and `83`, so does the reset pin. Each is sent
//! whole within one call, by the only executor there is; so bytes and edges reach the chip in the order of the calls.
//!
//! The UART holds one byte. An interrupt takes it out and wakes the task when its answer is complete. The other end answers in order
//! and loses nothing: what a dropped transfer did not wait for is counted, and those bytes are thrown away when they come.

mod inbox;

use crate::registers::{Interrupt, UART2};
use core::{
    convert::Infallible,
    sync::atomic::{AtomicBool, Ordering},
};
use embassy_time::{Duration, with_timeout};
use embedded_hal::digital::{self, OutputPin};
use embedded_hal_async::spi::{self, SpiBus};
use inbox::{Answer, CHUNK_LEN};

/// How long [`SpiBus::flush`] waits for answers that nobody wants any more: longer than a TPM works on a command, during which the
/// emulator may answer nothing.
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
    /// Reads which interrupts are pending; cleared by writing their bits.
    pub(super) const INTERRUPT: u16 = 0xc;
    pub(super) const BAUD_DIVISOR: u16 = 0x10;
}

/// STATE: the byte to be sent has not left yet.
const TRANSMIT_FULL: u32 = 1 << 0;
/// STATE: a byte has come.
const RECEIVE_FULL: u32 = 1 << 1;
/// CONTROL: sends, receives, and interrupts when a byte has come.
const ENABLE: u32 = 0b1011;
/// INTERRUPT: a byte has come.
const RECEIVED: u32 = 1 << 1;
/// The smallest that the UART works with; QEMU does not slow it down by it.
const DIVISOR: u32 = 16;

/// Takes UART2 into use.
///
/// # Panics
/// When called a second time.
pub fn open() -> (Bus, ChipSelect, Reset) {
    static OPENED: AtomicBool = AtomicBool::new(false);
    let opened_before = OPENED.swap(true, Ordering::SeqCst);
    assert!(!opened_before, "the SPI wire is opened once");
    UART2.write(register::BAUD_DIVISOR, DIVISOR);
    UART2.write(register::CONTROL, ENABLE);
    Interrupt::Uart2.enable();
    (Bus(()), ChipSelect(()), Reset(()))
}

/// The clock and the two data lines. Bytes that are only read are clocked with zeros.
///
/// A future of it that is dropped has sent whole messages or none, and leaves nothing for the next one to trip over.
pub struct Bus(());

/// The pin at the chip's CS#.
pub struct ChipSelect(());

/// The pin at the chip's RST#.
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

    /// Waits until nothing of a dropped transfer is under way.
    async fn flush(&mut self) -> Result<(), Infallible> {
        if with_timeout(FORGOTTEN_AFTER, inbox::stale_bytes())
            .await
            .is_err()
        {
            let lost = inbox::forget_stale_bytes();
            defmt::warn!("{=usize} bytes never came back on the SPI wire", lost);
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

/// Sends one byte. The wait is short: QEMU hands each byte to the socket at once, and the other end reads all the time.
fn send(byte: u8) {
    while UART2.read(register::STATE) & TRANSMIT_FULL != 0 {}
    UART2.write(register::DATA, byte.into());
}

/// Clocks up to [`CHUNK_LEN`] bytes, and puts those that come back in their place.
async fn exchange(bytes: &mut [u8]) {
    let Some(len) = bytes
        .len()
        .checked_sub(1)
        .and_then(|len| u8::try_from(len).ok())
    else {
        return;
    };
    let answer = Answer::expect(bytes.len());
    send(len);
    for byte in bytes.iter() {
        send(*byte);
    }
    answer.into(bytes).await;
}

/// UART2 has a byte.
pub(crate) fn on_interrupt() {
    UART2.write(register::INTERRUPT, RECEIVED);
    if UART2.read(register::STATE) & RECEIVE_FULL == 0 {
        return;
    }
    let [byte, ..] = UART2.read(register::DATA).to_le_bytes();
    inbox::accept(byte);
}
