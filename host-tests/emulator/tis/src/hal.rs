//! The chip's pins and bus as parts of `embedded-hal` and `embedded-hal-async`.

use crate::{Emulator, emulator::Inner};
use embedded_hal::{
    digital,
    spi::{self, Operation},
};
use std::{convert::Infallible, future::poll_fn, task::Poll, thread, time::Duration};

/// The SPI bus. The chip does not receive bytes that are clocked while the chip select is high.
pub struct Bus(pub(crate) Emulator);

/// The pin at CS#.
pub struct ChipSelect(pub(crate) Emulator);

/// The bus and the chip select as one SPI device.
pub struct Device(pub(crate) Emulator);

/// The pin at RST#.
pub struct ResetPin(pub(crate) Emulator);

/// The pin at PIRQ#.
pub struct Interrupt(pub(crate) Emulator);

/// A delay that uses the emulator's clock.
pub struct Delay(pub(crate) Emulator);

impl spi::ErrorType for Bus {
    type Error = Infallible;
}

impl Bus {
    fn clock(&self, mut mosi: impl FnMut(usize) -> u8, miso: &mut [u8]) {
        let mut inner = self.0.inner();
        for (at, byte) in miso.iter_mut().enumerate() {
            *byte = inner.clock(mosi(at));
        }
    }

    fn send(&self, words: &[u8]) {
        let mut inner = self.0.inner();
        for &word in words {
            inner.clock(word);
        }
    }

    fn send_and_receive(&self, words: &mut [u8]) {
        let mut inner = self.0.inner();
        for word in words {
            *word = inner.clock(*word);
        }
    }
}

impl spi::SpiBus for Bus {
    fn read(&mut self, words: &mut [u8]) -> Result<(), Infallible> {
        self.clock(|_| 0, words);
        Ok(())
    }

    fn write(&mut self, words: &[u8]) -> Result<(), Infallible> {
        self.send(words);
        Ok(())
    }

    fn transfer(&mut self, read: &mut [u8], write: &[u8]) -> Result<(), Infallible> {
        self.clock(|at| write.get(at).copied().unwrap_or(0), read);
        self.send(write.get(read.len()..).unwrap_or_default());
        Ok(())
    }

    fn transfer_in_place(&mut self, words: &mut [u8]) -> Result<(), Infallible> {
        self.send_and_receive(words);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl embedded_hal_async::spi::SpiBus for Bus {
    async fn read(&mut self, words: &mut [u8]) -> Result<(), Infallible> {
        let (first, second) = words.split_at_mut(words.len() / 2);
        self.clock(|_| 0, first);
        yield_if_pending(&self.0).await;
        self.clock(|_| 0, second);
        Ok(())
    }

    async fn write(&mut self, words: &[u8]) -> Result<(), Infallible> {
        let (first, second) = words.split_at(words.len() / 2);
        self.send(first);
        yield_if_pending(&self.0).await;
        self.send(second);
        Ok(())
    }

    async fn transfer(&mut self, read: &mut [u8], write: &[u8]) -> Result<(), Infallible> {
        yield_if_pending(&self.0).await;
        spi::SpiBus::transfer(self, read, write)
    }

    async fn transfer_in_place(&mut self, words: &mut [u8]) -> Result<(), Infallible> {
        let (first, second) = words.split_at_mut(words.len() / 2);
        self.send_and_receive(first);
        yield_if_pending(&self.0).await;
        self.send_and_receive(second);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl spi::ErrorType for Device {
    type Error = Infallible;
}

impl spi::SpiDevice for Device {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
        let mut inner = self.0.inner();
        inner.select(true);
        for operation in operations {
            match operation {
                Operation::Read(words) => words.fill_with(|| inner.clock(0)),
                Operation::Write(words) => words.iter().for_each(|&word| {
                    inner.clock(word);
                }),
                Operation::TransferInPlace(words) => {
                    words.iter_mut().for_each(|word| *word = inner.clock(*word))
                }
                Operation::Transfer(read, write) => {
                    for at in 0..read.len().max(write.len()) {
                        let miso = inner.clock(write.get(at).copied().unwrap_or(0));
                        if let Some(word) = read.get_mut(at) {
                            *word = miso;
                        }
                    }
                }
                Operation::DelayNs(ns) => {
                    inner.pass(u64::from(*ns / 1000));
                }
            }
        }
        inner.select(false);
        Ok(())
    }
}

impl embedded_hal_async::spi::SpiDevice for Device {
    async fn transaction(
        &mut self,
        operations: &mut [Operation<'_, u8>],
    ) -> Result<(), Infallible> {
        yield_if_pending(&self.0).await;
        spi::SpiDevice::transaction(self, operations)
    }
}

impl digital::ErrorType for ChipSelect {
    type Error = Infallible;
}

impl digital::OutputPin for ChipSelect {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.inner().select(true);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.inner().select(false);
        Ok(())
    }
}

impl digital::ErrorType for ResetPin {
    type Error = Infallible;
}

impl digital::OutputPin for ResetPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.inner().hold_in_reset(true);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.inner().hold_in_reset(false);
        Ok(())
    }
}

impl digital::ErrorType for Interrupt {
    type Error = Infallible;
}

/// Waits for levels only. The emulator does not sample the pin, so that waiting for an edge waits for a level: low for any edge.
impl embedded_hal_async::digital::Wait for Interrupt {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        self.until(|inner| !inner.interrupts()).await
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        self.until(Inner::interrupts).await
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for_high().await
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for_low().await
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for_low().await
    }
}

impl Interrupt {
    async fn until(&self, mut holds: impl FnMut(&mut Inner) -> bool) -> Result<(), Infallible> {
        poll_fn(|context| {
            if holds(&mut self.0.inner()) {
                return Poll::Ready(Ok(()));
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }
}

/// The step of the virtual clock during a pause, in microseconds, so that an interrupt can end the pause.
const STEP: u64 = 10;

impl Delay {
    fn pass(&self, micros: u64) {
        let passed = self.0.inner().pass(micros);
        if !passed {
            thread::sleep(Duration::from_micros(micros));
        }
    }
}

impl embedded_hal::delay::DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        self.pass(u64::from(ns.div_ceil(1000)));
    }

    fn delay_us(&mut self, us: u32) {
        self.pass(u64::from(us));
    }

    fn delay_ms(&mut self, ms: u32) {
        self.pass(u64::from(ms) * 1000);
    }
}

impl embedded_hal_async::delay::DelayNs for Delay {
    async fn delay_ns(&mut self, ns: u32) {
        self.delay_us(ns.div_ceil(1000)).await;
    }

    async fn delay_us(&mut self, us: u32) {
        if !self.0.inner().pending {
            self.pass(u64::from(us));
            return;
        }
        let mut left = u64::from(us);
        while left > 0 {
            // Long pauses use longer steps: the event that may end them takes long, too.
            let step = left.min(STEP.max(u64::from(us) / 64));
            self.pass(step);
            left -= step;
            yield_if_pending(&self.0).await;
        }
    }

    async fn delay_ms(&mut self, ms: u32) {
        self.delay_us(ms.saturating_mul(1000)).await;
    }
}

/// Returns to the executor once, if [`Emulator::returns_to_the_executor`] is set.
async fn yield_if_pending(emulator: &Emulator) {
    let mut returned = !emulator.inner().pending;
    poll_fn(|context| {
        if std::mem::replace(&mut returned, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
