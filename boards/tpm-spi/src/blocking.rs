//! Adapters that make the driver usable with blocking buses, without an executor.
//!
//! Wrap the drivers of `embedded-hal` in [`Bus`] or [`Device`] and [`Delay`], and each call in [`run`]. The futures are then
//! ready when they are first polled.
//!
//! ```
//! use chanbind_tpm_spi::{Contexts, Tpm, blocking, tis::{ExclusiveBus, Tis}};
//! # use embedded_hal::{delay::DelayNs, digital::OutputPin, spi::SpiBus};
//! # fn example(spi: impl SpiBus, chip_select: impl OutputPin, delay: impl DelayNs) -> Option<[u8; 16]> {
//! let bus = ExclusiveBus::new(blocking::Bus(spi), chip_select);
//! let chip = blocking::run(Tis::builder(bus, blocking::Delay(delay)).open()).ok()?;
//!
//! let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
//! let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
//! let mut random = [0; 16];
//! blocking::run(async {
//!     tpm.start().await?;
//!     tpm.random(&mut random).await
//! }).ok()?;
//! # Some(random)
//! # }
//! ```

use crate::{
    chip::Chip,
    tis::{ExclusiveBus, NoPin, ResetPin, SharedBus, Tis, Transport},
};
use core::{
    future::Future,
    hint::spin_loop,
    pin::pin,
    task::{Context, Poll, Waker},
};
use embedded_hal::{
    delay::DelayNs,
    digital::OutputPin,
    spi::{ErrorType, Operation, SpiBus, SpiDevice},
};

/// Runs a future to completion on the calling thread. Futures of this crate over the adapters of this module are ready at the
/// first poll; any other future is polled in a busy loop.
pub fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        spin_loop();
    }
}

/// A chip whose futures are ready when they are first polled: one that uses the adapters of this module.
pub trait BlockingChip: Chip {}

/// A transport whose futures are ready when they are first polled.
pub trait BlockingTransport: Transport {}

impl<B: SpiBus, P: OutputPin> BlockingTransport for ExclusiveBus<Bus<B>, P> {}
impl<D: SpiDevice> BlockingTransport for SharedBus<Device<D>> {}
impl<T: BlockingTransport, D: DelayNs, R: ResetPin> BlockingChip for Tis<T, Delay<D>, R, NoPin> {}

/// A blocking SPI bus, adapted to `embedded-hal-async`.
#[derive(Debug)]
pub struct Bus<B>(pub B);

impl<B: SpiBus> ErrorType for Bus<B> {
    type Error = B::Error;
}

impl<B: SpiBus> embedded_hal_async::spi::SpiBus for Bus<B> {
    async fn read(&mut self, words: &mut [u8]) -> Result<(), B::Error> {
        self.0.read(words)
    }

    async fn write(&mut self, words: &[u8]) -> Result<(), B::Error> {
        self.0.write(words)
    }

    async fn transfer(&mut self, read: &mut [u8], write: &[u8]) -> Result<(), B::Error> {
        self.0.transfer(read, write)
    }

    async fn transfer_in_place(&mut self, words: &mut [u8]) -> Result<(), B::Error> {
        self.0.transfer_in_place(words)
    }

    async fn flush(&mut self) -> Result<(), B::Error> {
        self.0.flush()
    }
}

/// A device on a blocking SPI bus, adapted to `embedded-hal-async`.
#[derive(Debug)]
pub struct Device<D>(pub D);

impl<D: SpiDevice> ErrorType for Device<D> {
    type Error = D::Error;
}

impl<D: SpiDevice> embedded_hal_async::spi::SpiDevice for Device<D> {
    async fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), D::Error> {
        self.0.transaction(operations)
    }
}

/// A blocking delay, adapted to `embedded-hal-async`.
#[derive(Debug)]
pub struct Delay<D>(pub D);

impl<D: DelayNs> embedded_hal_async::delay::DelayNs for Delay<D> {
    async fn delay_ns(&mut self, ns: u32) {
        self.0.delay_ns(ns);
    }

    async fn delay_us(&mut self, us: u32) {
        self.0.delay_us(us);
    }

    async fn delay_ms(&mut self, ms: u32) {
        self.0.delay_ms(ms);
    }
}
