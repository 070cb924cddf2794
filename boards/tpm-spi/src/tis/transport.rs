//! The two ways to a chip on SPI (PTP section 6.4.6): a bus of one's own, with the chip select held through wait states, and a
//! shared bus.

use super::register::READY;
use chanbind_core::words;
use core::fmt;
use embedded_hal::digital::OutputPin;
use embedded_hal_async::spi::{Operation, SpiBus, SpiDevice};

/// The most bytes that a chip may hold off one transaction.
pub const MAX_WAIT_STATES: usize = 100;

/// One transaction with a TPM on SPI: four header bytes, wait states, 1 to 64 data bytes.
///
/// SPI mode 0, most significant bit first, at most the chip's clock (10 MHz suits every chip). Blocking buses come in by
/// [`crate::blocking`].
#[allow(
    async_fn_in_trait,
    reason = "as in embedded-hal-async: the executor of a firmware needs no Send"
)]
pub trait Transport {
    /// Why the bus failed.
    type Error: fmt::Debug;

    /// Sends the header, and reads or writes the data.
    ///
    /// # Errors
    /// [`TransportError`]
    async fn transfer(
        &mut self,
        header: [u8; 4],
        data: Data<'_>,
    ) -> Result<(), TransportError<Self::Error>>;
}

/// The data bytes of a transaction.
#[derive(Debug)]
pub enum Data<'a> {
    /// To be read from the chip.
    Read(&'a mut [u8]),
    /// To be written to the chip.
    Write(&'a [u8]),
}

/// Why a transaction failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError<E> {
    /// The bus or a pin failed.
    Bus(E),
    /// The chip held the transaction off for more than [`MAX_WAIT_STATES`] bytes: is it there, and powered?
    WaitStates,
    /// The chip held the transaction off, which [`SharedBus`] cannot wait for: use [`ExclusiveBus`], or a lower clock. A bus that
    /// is pulled down with no chip on it looks the same.
    WaitStateInserted,
}

words! { TransportError<E> where E: fmt::Debug {
    Self::Bus(error) => "the SPI bus failed: {:?}", error;
    Self::WaitStates => "the TPM held a transaction off for more than {} bytes: is it there, and powered?", MAX_WAIT_STATES;
    Self::WaitStateInserted => "the TPM inserted a wait state, which a shared bus cannot wait for: give it a bus of its own (ExclusiveBus), or a lower clock";
}}

/// A bus that the TPM has for itself, and its chip select: right for every chip.
pub struct ExclusiveBus<B, P> {
    bus: B,
    chip_select: P,
}

impl<B: SpiBus, P: OutputPin> ExclusiveBus<B, P> {
    /// The bus, and the pin at the chip's CS, which is low for a transaction.
    pub fn new(bus: B, chip_select: P) -> Self {
        Self { bus, chip_select }
    }
}

impl<B: SpiBus, P: OutputPin> Transport for ExclusiveBus<B, P> {
    type Error = BusOrPin<B::Error, P::Error>;

    async fn transfer(
        &mut self,
        mut header: [u8; 4],
        data: Data<'_>,
    ) -> Result<(), TransportError<Self::Error>> {
        let bus = &mut self.bus;
        // What a transfer that was given up may still be sending goes out before the chip is selected.
        bus.flush().await.map_err(spi)?;
        self.chip_select.set_low().map_err(pin)?;
        let selected = Selected(&mut self.chip_select);
        // The header in one go, then single bytes until the chip is ready.
        let mut bytes = header.as_mut_slice();
        let mut tries = MAX_WAIT_STATES;
        loop {
            bus.transfer_in_place(bytes).await.map_err(spi)?;
            if bytes.last().is_some_and(|last| last & READY != 0) {
                break;
            }
            tries = tries.checked_sub(1).ok_or(TransportError::WaitStates)?;
            bytes = bytes.get_mut(..1).unwrap_or_default();
            bytes.fill(0);
        }
        match data {
            Data::Read(data) => bus.read(data).await,
            Data::Write(data) => bus.write(data).await,
        }
        .map_err(spi)?;
        bus.flush().await.map_err(spi)?;
        // Dropped after this, it sets the pin high once more, which does no harm.
        selected.0.set_high().map_err(pin)
    }
}

fn spi<S, P>(error: S) -> TransportError<BusOrPin<S, P>> {
    TransportError::Bus(BusOrPin::Spi(error))
}

fn pin<S, P>(error: P) -> TransportError<BusOrPin<S, P>> {
    TransportError::Bus(BusOrPin::ChipSelect(error))
}

/// What failed on an [`ExclusiveBus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BusOrPin<S, P> {
    /// The bus.
    Spi(S),
    /// The chip select.
    ChipSelect(P),
}

/// A chip that is selected; let go also on errors, and when the future that holds this is dropped.
struct Selected<'p, P: OutputPin>(&'p mut P);

impl<P: OutputPin> Drop for Selected<'_, P> {
    fn drop(&mut self) {
        let _ = self.0.set_high();
    }
}

/// A bus that others use too: for chips that insert no wait states at the clock in use, as many do up to 10 MHz or so.
pub struct SharedBus<D> {
    device: D,
}

impl<D: SpiDevice> SharedBus<D> {
    /// The TPM as a device of the bus.
    pub fn new(device: D) -> Self {
        Self { device }
    }
}

impl<D: SpiDevice> Transport for SharedBus<D> {
    type Error = D::Error;

    async fn transfer(
        &mut self,
        mut header: [u8; 4],
        data: Data<'_>,
    ) -> Result<(), TransportError<D::Error>> {
        let data = match data {
            Data::Read(data) => Operation::Read(data),
            Data::Write(data) => Operation::Write(data),
        };
        self.device
            .transaction(&mut [Operation::TransferInPlace(&mut header), data])
            .await
            .map_err(TransportError::Bus)?;
        let [_, _, _, last] = header;
        if last & READY == 0 {
            return Err(TransportError::WaitStateInserted);
        }
        Ok(())
    }
}
