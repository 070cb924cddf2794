//! Transactions with a chip on SPI (PTP section 6.4.6): on a bus of its own, on a bus that is locked for each transaction, and on a bus
//! whose chip select another driver controls.

use super::register::READY;
use chanbind_core::error_messages;
use core::fmt;
use embedded_hal::digital::OutputPin;
use embedded_hal_async::{
    delay::DelayNs,
    spi::{Operation, SpiBus, SpiDevice},
};

/// The time for which a chip may hold off one transaction by wait states, in milliseconds, unless the transport says otherwise.
pub const DEFAULT_WAIT_LIMIT_MS: u32 = 750;

/// One transaction with a TPM on SPI: four header bytes, wait states, 1 to 64 data bytes.
///
/// SPI mode 0, most significant bit first, at most the chip's clock (10 MHz suits every chip). Blocking buses are adapted by
/// [`crate::blocking`].
#[allow(
    async_fn_in_trait,
    reason = "as in embedded-hal-async: the executor of a firmware needs no Send"
)]
pub trait Transport {
    /// The error of the bus.
    type Error: fmt::Debug;

    /// Sends the header, and reads or writes the data. `delay` measures the time of wait states.
    ///
    /// # Errors
    /// [`TransportError`]
    async fn transfer(
        &mut self,
        delay: &mut impl DelayNs,
        header: [u8; 4],
        data: Data<'_>,
    ) -> Result<(), TransportError<Self::Error>>;
}

/// The data bytes of a transaction.
#[derive(Debug)]
pub enum Data<'a> {
    /// Bytes to read from the chip.
    Read(&'a mut [u8]),
    /// Bytes to write to the chip.
    Write(&'a [u8]),
}

/// The error of one transaction. [`super::Tis`] repeats what is safe to repeat before it reports one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError<E> {
    /// The bus or a pin failed.
    Bus(E),
    /// The chip held the transaction off for longer than the transport's limit.
    WaitStates,
    /// The chip held the transaction off, which [`SharedBus`] cannot wait for. A bus that is pulled down with no chip on it looks the same.
    WaitStateInserted,
    /// The bytes during wait states were not those of a chip that waits: host and chip disagree about where the data begin.
    OutOfStep,
}

error_messages! { TransportError<E> where E: fmt::Debug {
    Self::Bus(error) => "the SPI bus failed: {:?}", error;
    Self::WaitStates => "the TPM held a transaction off for too long: check its power and wiring, or raise the transport's wait limit";
    Self::WaitStateInserted => "the TPM inserted a wait state, which an SpiDevice cannot wait for: use ExclusiveBus or LockedBus, or a lower clock";
    Self::OutOfStep => "the TPM and the bus are out of step: check clock rate, wiring and noise";
}}

/// A bus that the TPM has to itself, and its chip select. Works with every chip.
pub struct ExclusiveBus<B, P> {
    bus: B,
    chip_select: P,
    waits: WaitStates,
}

impl<B: SpiBus, P: OutputPin> ExclusiveBus<B, P> {
    /// Creates a transport from the bus and the pin at the chip's CS#, which is low during a transaction.
    pub fn new(bus: B, chip_select: P) -> Self {
        Self {
            bus,
            chip_select,
            waits: WaitStates::default(),
        }
    }

    /// Sets the time for which the chip may hold off one transaction, in milliseconds; [`DEFAULT_WAIT_LIMIT_MS`] otherwise.
    #[must_use]
    pub fn wait_limit_ms(mut self, millis: u32) -> Self {
        self.waits.limit_us = millis.saturating_mul(1000);
        self
    }

    /// Gives bus and chip select back.
    pub fn release(self) -> (B, P) {
        (self.bus, self.chip_select)
    }
}

impl<B: SpiBus, P: OutputPin> Transport for ExclusiveBus<B, P> {
    type Error = BusOrPin<B::Error, P::Error>;

    async fn transfer(
        &mut self,
        delay: &mut impl DelayNs,
        header: [u8; 4],
        data: Data<'_>,
    ) -> Result<(), TransportError<Self::Error>> {
        let pin = &mut self.chip_select;
        self.waits
            .transfer(&mut self.bus, pin, delay, header, data)
            .await
    }
}

/// The part that failed: the bus or the chip select.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BusOrPin<S, P> {
    /// The bus.
    Spi(S),
    /// The chip select.
    ChipSelect(P),
}

/// A bus that other devices use too, behind an async mutex, and the TPM's chip select.
///
/// The bus is locked for one transaction with its wait states, which makes it right for every chip. The other devices must lock it the
/// same way and leave it in SPI mode 0 at a clock that suits the TPM.
#[cfg(feature = "embassy-sync")]
pub struct LockedBus<'b, M: embassy_sync::blocking_mutex::raw::RawMutex, B, P> {
    bus: &'b embassy_sync::mutex::Mutex<M, B>,
    chip_select: P,
    waits: WaitStates,
}

#[cfg(feature = "embassy-sync")]
impl<'b, M: embassy_sync::blocking_mutex::raw::RawMutex, B: SpiBus, P: OutputPin>
    LockedBus<'b, M, B, P>
{
    /// Creates a transport from the mutex with the bus and the pin at the chip's CS#.
    pub fn new(bus: &'b embassy_sync::mutex::Mutex<M, B>, chip_select: P) -> Self {
        Self {
            bus,
            chip_select,
            waits: WaitStates::default(),
        }
    }

    /// Sets the time for which the chip may hold off one transaction, and with it the bus, in milliseconds;
    /// [`DEFAULT_WAIT_LIMIT_MS`] otherwise.
    #[must_use]
    pub fn wait_limit_ms(mut self, millis: u32) -> Self {
        self.waits.limit_us = millis.saturating_mul(1000);
        self
    }

    /// Gives the chip select back.
    pub fn release(self) -> P {
        self.chip_select
    }
}

#[cfg(feature = "embassy-sync")]
impl<M: embassy_sync::blocking_mutex::raw::RawMutex, B: SpiBus, P: OutputPin> Transport
    for LockedBus<'_, M, B, P>
{
    type Error = BusOrPin<B::Error, P::Error>;

    async fn transfer(
        &mut self,
        delay: &mut impl DelayNs,
        header: [u8; 4],
        data: Data<'_>,
    ) -> Result<(), TransportError<Self::Error>> {
        let mut bus = self.bus.lock().await;
        let pin = &mut self.chip_select;
        self.waits
            .transfer(&mut *bus, pin, delay, header, data)
            .await
    }
}

/// A device of a bus whose chip select another driver controls, for chips that insert no wait states at the clock in use.
pub struct SharedBus<D> {
    device: D,
}

impl<D: SpiDevice> SharedBus<D> {
    /// Creates a transport from the TPM as a device of the bus.
    pub fn new(device: D) -> Self {
        Self { device }
    }

    /// Gives the device back.
    pub fn release(self) -> D {
        self.device
    }
}

impl<D: SpiDevice> Transport for SharedBus<D> {
    type Error = D::Error;

    async fn transfer(
        &mut self,
        _: &mut impl DelayNs,
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

/// How wait states are waited for, and what is known of those of the chip.
struct WaitStates {
    limit_us: u32,
    /// How many transactions were out of step. A chip that is so in a row just has other bytes than 00 in its wait states.
    doubts: u8,
    /// Transactions without wait states since the last doubt.
    calm: u8,
}

impl Default for WaitStates {
    fn default() -> Self {
        Self {
            limit_us: DEFAULT_WAIT_LIMIT_MS.saturating_mul(1000),
            doubts: 0,
            calm: 0,
        }
    }
}

impl WaitStates {
    async fn transfer<B: SpiBus, P: OutputPin>(
        &mut self,
        bus: &mut B,
        chip_select: &mut P,
        delay: &mut impl DelayNs,
        mut header: [u8; 4],
        data: Data<'_>,
    ) -> Result<(), TransportError<BusOrPin<B::Error, P::Error>>> {
        // A transfer that was given up may still be sending: that goes out before the chip is selected.
        bus.flush().await.map_err(spi)?;
        chip_select.set_low().map_err(pin)?;
        let selected = Selected(chip_select);
        bus.transfer_in_place(&mut header).await.map_err(spi)?;
        let [.., mut byte] = header;
        if byte & READY != 0 {
            self.calm();
        } else {
            let (mut polls, mut waited, mut in_step) = (0u16, 0u32, true);
            while byte & READY == 0 {
                in_step &= byte == 0;
                polls = polls.saturating_add(1);
                if polls > POLLS_WITHOUT_PAUSE {
                    if waited >= self.limit_us {
                        return Err(TransportError::WaitStates);
                    }
                    let pause = (waited >> 3).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
                    delay.delay_us(pause).await;
                    waited = waited.saturating_add(pause);
                }
                let mut next = [0];
                bus.transfer_in_place(&mut next).await.map_err(spi)?;
                [byte] = next;
            }
            // A ready bit that was missed: what was taken for wait states was data.
            if !self.is_believed(in_step && byte == READY) {
                return Err(TransportError::OutOfStep);
            }
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

    fn calm(&mut self) {
        self.calm = self.calm.saturating_add(1);
        if self.calm >= CALM {
            self.doubts = 0;
        }
    }

    fn is_believed(&mut self, in_step: bool) -> bool {
        if in_step {
            self.doubts = 0;
        } else if self.doubts < MAX_DOUBTS {
            self.doubts = self.doubts.saturating_add(1);
            self.calm = 0;
            return false;
        }
        true
    }
}

/// Wait states that are polled without a pause: 80 us at 10 MHz, more than most chips ever insert.
const POLLS_WITHOUT_PAUSE: u16 = 100;
/// Pauses between further polls, in microseconds: an eighth of what has been waited.
const SHORTEST_PAUSE: u32 = 20;
const LONGEST_PAUSE: u32 = 1_000;
/// Transactions that may be out of step, with fewer than [`CALM`] between them that have no wait states, before that is taken for the
/// chip's way.
const MAX_DOUBTS: u8 = 2;
const CALM: u8 = 6;

fn spi<S, P>(error: S) -> TransportError<BusOrPin<S, P>> {
    TransportError::Bus(BusOrPin::Spi(error))
}

fn pin<S, P>(error: P) -> TransportError<BusOrPin<S, P>> {
    TransportError::Bus(BusOrPin::ChipSelect(error))
}

/// A selected chip; deselected on errors too, and when the future that holds this is dropped.
struct Selected<'p, P: OutputPin>(&'p mut P);

impl<P: OutputPin> Drop for Selected<'_, P> {
    fn drop(&mut self) {
        let _ = self.0.set_high();
    }
}
