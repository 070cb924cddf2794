//! Transactions with a chip on SPI (PTP section 6.4.6): on an exclusive bus, on a bus that is locked for each transaction, and on
//! a bus whose chip select another driver controls.

use super::register::READY;
use chanbind_core::error_messages;
use core::fmt;
use embedded_hal::digital::OutputPin;
use embedded_hal_async::{
    delay::DelayNs,
    spi::{Operation, SpiBus, SpiDevice},
};

/// The default time for which a chip may delay one transaction by wait states, in milliseconds.
pub const DEFAULT_WAIT_LIMIT_MS: u32 = 750;

/// One transaction with a TPM on SPI: four header bytes, wait states, 1 to 64 data bytes.
///
/// The bus must use SPI mode 0, the most significant bit first, and at most the chip's maximum clock rate; every chip supports 10
/// MHz. [`crate::blocking`] adapts blocking buses.
#[allow(
    async_fn_in_trait,
    reason = "as in embedded-hal-async: executors of firmware do not need `Send` futures"
)]
pub trait Transport {
    /// The error of the bus.
    type Error: fmt::Debug;

    /// Sends the header, waits for the chip, and reads or writes the data. `delay` measures the time of wait states.
    ///
    /// # Errors
    /// [`TransportError`] if the bus or a pin fails, or the chip inserts more wait states than the transport accepts.
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
    /// The chip inserted wait states for longer than the transport's limit.
    WaitStates,
    /// The chip inserted a wait state, which [`SharedBus`] does not support. A bus that is pulled down and has no chip looks the
    /// same.
    WaitStateInserted,
    /// The bytes during the wait states were not those of a waiting chip: host and chip disagree about where the data begins.
    OutOfStep,
}

error_messages! { TransportError<E> where E: fmt::Debug {
    Self::Bus(error) => "the SPI bus failed: {:?}", error;
    Self::WaitStates => "the TPM inserted wait states for too long: check its power and wiring, or raise the transport's wait limit";
    Self::WaitStateInserted => "the TPM inserted a wait state, which an SpiDevice does not support: use ExclusiveBus or LockedBus, or a lower clock";
    Self::OutOfStep => "the TPM and the bus are out of step: check clock rate, wiring and noise";
}}

/// A bus with the TPM as its only device, and the TPM's chip select. Supports every chip.
pub struct ExclusiveBus<B, P> {
    bus: B,
    chip_select: P,
    waits: WaitStates,
}

impl<B: SpiBus, P: OutputPin> ExclusiveBus<B, P> {
    /// Creates a transport from the bus and the pin at the chip's CS#. The transport drives the pin low during a transaction.
    pub fn new(bus: B, chip_select: P) -> Self {
        Self {
            bus,
            chip_select,
            waits: WaitStates::default(),
        }
    }

    /// Sets the time for which the chip may delay one transaction by wait states, in milliseconds; the default is
    /// [`DEFAULT_WAIT_LIMIT_MS`].
    #[must_use]
    pub fn wait_limit_ms(mut self, millis: u32) -> Self {
        self.waits.limit_us = millis.saturating_mul(1000);
        self
    }

    /// Returns the bus and the chip select.
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

/// A bus that the TPM shares with other devices, behind an async mutex, and the TPM's chip select.
///
/// The bus is locked for one transaction including its wait states, so that every chip is supported. The other devices must lock
/// the bus the same way and leave it in SPI mode 0, at a clock rate that the TPM supports.
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
    /// Creates a transport from the mutex that guards the bus, and the pin at the chip's CS#.
    pub fn new(bus: &'b embassy_sync::mutex::Mutex<M, B>, chip_select: P) -> Self {
        Self {
            bus,
            chip_select,
            waits: WaitStates::default(),
        }
    }

    /// Sets the time for which the chip may delay one transaction by wait states, and so occupy the bus, in milliseconds; the
    /// default is [`DEFAULT_WAIT_LIMIT_MS`].
    #[must_use]
    pub fn wait_limit_ms(mut self, millis: u32) -> Self {
        self.waits.limit_us = millis.saturating_mul(1000);
        self
    }

    /// Returns the chip select.
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

/// A device on a bus whose chip select another driver controls, for chips that insert no wait states at the clock rate in use.
pub struct SharedBus<D> {
    device: D,
}

impl<D: SpiDevice> SharedBus<D> {
    /// Creates a transport from the TPM's device on the bus.
    pub fn new(device: D) -> Self {
        Self { device }
    }

    /// Returns the device.
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

/// Waits for wait states to end, and detects transactions that are out of step.
struct WaitStates {
    limit_us: u32,
    /// Number of transactions that were out of step. If several in a row are, the chip merely sends other bytes than 00 as wait
    /// states.
    out_of_step: u8,
    /// Number of transactions without wait states since the last one that was out of step.
    without_waits: u8,
}

impl Default for WaitStates {
    fn default() -> Self {
        Self {
            limit_us: DEFAULT_WAIT_LIMIT_MS.saturating_mul(1000),
            out_of_step: 0,
            without_waits: 0,
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
        // A dropped transfer may still be sending: complete it before the chip is selected.
        bus.flush().await.map_err(spi)?;
        chip_select.set_low().map_err(pin)?;
        let selected = Selected(chip_select);
        bus.transfer_in_place(&mut header).await.map_err(spi)?;
        let [.., mut byte] = header;
        if byte & READY != 0 {
            self.record_without_waits();
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
            // Out of step, the ready bit may have been missed: the bytes read as wait states were then data.
            if !self.accepts_wait_states(in_step && byte == READY) {
                return Err(TransportError::OutOfStep);
            }
        }
        match data {
            Data::Read(data) => bus.read(data).await,
            Data::Write(data) => bus.write(data).await,
        }
        .map_err(spi)?;
        bus.flush().await.map_err(spi)?;
        // Dropping `selected` sets the pin high once more, which is harmless.
        selected.0.set_high().map_err(pin)
    }

    /// Records a transaction without wait states.
    fn record_without_waits(&mut self) {
        self.without_waits = self.without_waits.saturating_add(1);
        if self.without_waits >= RESET_AFTER {
            self.out_of_step = 0;
        }
    }

    /// Records a transaction with wait states. Returns false if it must be treated as out of step.
    fn accepts_wait_states(&mut self, in_step: bool) -> bool {
        if in_step {
            self.out_of_step = 0;
        } else if self.out_of_step < MAX_OUT_OF_STEP {
            self.out_of_step = self.out_of_step.saturating_add(1);
            self.without_waits = 0;
            return false;
        }
        true
    }
}

/// Number of wait states that are polled without a pause: 80 us at 10 MHz, more than most chips insert.
const POLLS_WITHOUT_PAUSE: u16 = 100;
/// Limits of the pause between further polls, in microseconds. The pause is an eighth of the time waited so far.
const SHORTEST_PAUSE: u32 = 20;
const LONGEST_PAUSE: u32 = 1_000;
/// Number of transactions that fail as out of step before the bytes are accepted as wait states of the chip. The count restarts
/// after [`RESET_AFTER`] transactions without wait states.
const MAX_OUT_OF_STEP: u8 = 2;
const RESET_AFTER: u8 = 6;

fn spi<S, P>(error: S) -> TransportError<BusOrPin<S, P>> {
    TransportError::Bus(BusOrPin::Spi(error))
}

fn pin<S, P>(error: P) -> TransportError<BusOrPin<S, P>> {
    TransportError::Bus(BusOrPin::ChipSelect(error))
}

/// A selected chip. Dropping it deselects the chip, also after an error or when the future is dropped.
struct Selected<'p, P: OutputPin>(&'p mut P);

impl<P: OutputPin> Drop for Selected<'_, P> {
    fn drop(&mut self) {
        let _ = self.0.set_high();
    }
}
