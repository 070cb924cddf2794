//! The FIFO interface of a TPM on SPI: TCG PC Client Platform TPM Profile (PTP), chapter 6.
//!
//! [`Tis`] exchanges whole commands and responses. A state machine without I/O selects the transactions; async and blocking
//! callers share it. A transaction that fails is repeated where that is safe: registers are read and written again, a command is
//! sent again from its first byte if it has not been executed, and a response is requested again.

mod builder;
mod error;
mod machine;
mod pins;
mod register;
mod transport;

pub use builder::{KNOWN_VENDORS, OpenFailure, TisBuilder};
pub use error::{Awaited, TisError};
pub use pins::{InterruptPin, NoPin, ResetPin};
#[cfg(feature = "embassy-sync")]
pub use transport::LockedBus;
pub use transport::{
    BusOrPin, DEFAULT_WAIT_LIMIT_MS, Data, ExclusiveBus, SharedBus, Transport, TransportError,
};

use crate::{chip::Chip, log};
use builder::GOOGLE;
use core::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};
use embedded_hal_async::delay::DelayNs;
use machine::{Action, Machine, Pins, TransferFailure};
use register::{Register, access, header};

/// A TPM chip on SPI, at one of its localities.
///
/// `T` is the transport ([`ExclusiveBus`], [`LockedBus`](self), [`SharedBus`]), `D` a delay, `R` the pin at its RST#, `I` the pin
/// at its PIRQ#.
pub struct Tis<T, D, R = NoPin, I = NoPin> {
    parts: Parts<T, D, R, I>,
    settings: Settings,
    did_vid: u32,
}

/// The parts of a [`Tis`]. [`Tis::release`] and [`TisBuilder::release`] return them.
#[derive(Debug)]
pub struct Parts<T, D, R = NoPin, I = NoPin> {
    /// The transport.
    pub transport: T,
    /// The delay.
    pub delay: D,
    /// The pin at RST#.
    pub reset: R,
    /// The pin at PIRQ#.
    pub interrupt: I,
}

/// A locality of the TPM (PTP section 6.2). Platforms use localities to distinguish their software components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names are the numbers of the localities")]
pub enum Locality {
    #[default]
    Zero,
    One,
    Two,
    Three,
    Four,
}

impl Locality {
    const fn number(self) -> u8 {
        match self {
            Self::Zero => 0,
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
            Self::Four => 4,
        }
    }
}

#[derive(Clone, Copy)]
struct Settings {
    locality: Locality,
    resets_at_open: bool,
    idle_us: u32,
    wake_us: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            locality: Locality::Zero,
            resets_at_open: true,
            idle_us: 5,
            wake_us: None,
        }
    }
}

/// The command TPM2_Shutdown(TPM_SU_CLEAR).
const SHUTDOWN: [u8; 12] = [0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x45, 0, 0];
/// Time limit of TPM2_Shutdown, in microseconds.
const SHUTDOWN_LIMIT: u32 = 2_000_000;
/// Pause before a transaction is repeated, in microseconds.
const BEFORE_REPEAT: u32 = 1_000;
/// Time in which a chip of Google wakes, in microseconds.
const GOOGLE_WAKES: u32 = 5_000;

impl<T: Transport, D: DelayNs, R: ResetPin, I: InterruptPin> Tis<T, D, R, I> {
    /// Returns the register DID_VID: the device in the upper half, its vendor in the lower.
    #[must_use]
    pub fn did_vid(&self) -> u32 {
        self.did_vid
    }

    /// Shuts the chip down and resets it by RST# if it has a reset pin, then searches for the chip again. A reset removes
    /// sessions and transient objects, and clears the PCRs.
    ///
    /// # Errors
    /// The [`TisError`]s of [`TisBuilder::open`].
    pub async fn reset(&mut self) -> Result<(), TisError<T::Error>> {
        let vendor = self.vendor();
        self.find(&[vendor], true).await
    }

    /// Relinquishes the locality, so that other software of the platform can use the chip. The next command requests it again.
    ///
    /// # Errors
    /// [`TisError::Transport`] if the transaction fails.
    pub async fn relinquish_locality(&mut self) -> Result<(), TisError<T::Error>> {
        let header = self.header(false, Register::Access, 1);
        let data = Data::Write(&[access::ACTIVE_LOCALITY]);
        let Parts {
            transport, delay, ..
        } = &mut self.parts;
        delay.delay_us(self.settings.idle_us).await;
        let done = transport.transfer(delay, header, data).await;
        done.map_err(TisError::Transport)
    }

    /// Returns the parts. Sessions and objects stay in the chip; [`crate::Tpm::close`] flushes them first.
    pub fn release(self) -> Parts<T, D, R, I> {
        self.parts
    }

    fn vendor(&self) -> u16 {
        let [low, high, ..] = self.did_vid.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    fn header(&self, read: bool, register: Register, len: usize) -> [u8; 4] {
        header(read, self.settings.locality.number(), register, len)
    }

    async fn find(&mut self, vendors: &[u16], resets: bool) -> Result<(), TisError<T::Error>> {
        let mut pins = Self::PINS;
        pins.reset &= resets;
        if pins.reset {
            // Shut down a chip that is still running: a reset without a shutdown counts as a failed authorization if a key with
            // dictionary attack protection was used (TPM 2.0 Part 1 section 19.8.6).
            self.parts.reset.set(false).map_err(TisError::Pin)?;
            let mut probe = Machine::probe(vendors, Self::PINS);
            if self.drive(&mut probe).await.is_ok() {
                let mut buffer = SHUTDOWN;
                let len = buffer.len();
                let mut shutdown = Machine::exchange(&mut buffer, len, SHUTDOWN_LIMIT, Self::PINS);
                // A chip that is not started, or is in failure mode, responds with an error. It can be reset all the same.
                let _ = self.drive(&mut shutdown).await;
            }
        }
        let mut machine = Machine::open(vendors, pins);
        self.drive(&mut machine).await?;
        self.did_vid = machine.did_vid();
        log!(debug, "TPM found, DID_VID {=u32:08x}", self.did_vid);
        Ok(())
    }

    /// Executes the actions of the state machine until it is done.
    async fn drive(&mut self, machine: &mut Machine<'_>) -> Result<(), TisError<T::Error>> {
        loop {
            match machine.step() {
                Ok(Action::Transfer) => {
                    let (register, data) = machine.transfer();
                    let (read, len) = match &data {
                        Data::Read(data) => (true, data.len()),
                        Data::Write(data) => (false, data.len()),
                    };
                    let header = self.header(read, register, len);
                    let Parts {
                        transport, delay, ..
                    } = &mut self.parts;
                    // Wait before each transaction, because the future of the previous one may have been dropped.
                    delay.delay_us(self.settings.idle_us).await;
                    match transport.transfer(delay, header, data).await {
                        Ok(()) => machine.transferred(),
                        Err(error) => {
                            let failed = match &error {
                                TransportError::WaitStates => TransferFailure::WaitStates,
                                TransportError::WaitStateInserted => {
                                    TransferFailure::WaitStateInserted
                                }
                                _ => TransferFailure::Other,
                            };
                            if !machine.transfer_failed(failed) {
                                return Err(TisError::Transport(error));
                            }
                            delay.delay_us(BEFORE_REPEAT).await;
                        }
                    }
                }
                Ok(Action::Pause) => self.parts.delay.delay_us(machine.pause()).await,
                Ok(Action::PauseOrInterrupt) => {
                    if I::IS_THERE {
                        let pause = self.parts.delay.delay_us(machine.pause());
                        match first(pause, self.parts.interrupt.low()).await {
                            None => {}
                            Some(is_low) => {
                                if is_low.is_err() {
                                    log!(
                                        warn,
                                        "the TPM's interrupt pin failed: polling the TPM instead"
                                    );
                                }
                                machine.interrupted();
                            }
                        }
                    }
                }
                Ok(Action::Reset(low)) => self.parts.reset.set(low).map_err(TisError::Pin)?,
                Ok(Action::Continue) => {}
                Ok(Action::Done) => return Ok(()),
                Err(fault) => return Err(TisError::new(fault, machine.did_vid())),
            }
        }
    }

    /// Wakes a chip that may sleep, by a transaction that it may lose.
    async fn wake(&mut self) {
        let is_google = self.vendor() == GOOGLE;
        let default = if is_google { GOOGLE_WAKES } else { 0 };
        let micros = self.settings.wake_us.unwrap_or(default);
        if micros > 0 {
            let header = self.header(true, Register::Access, 1);
            let Parts {
                transport, delay, ..
            } = &mut self.parts;
            delay.delay_us(self.settings.idle_us).await;
            let _ = transport
                .transfer(delay, header, Data::Read(&mut [0]))
                .await;
            delay.delay_us(micros).await;
        }
    }

    const PINS: Pins = Pins {
        reset: R::IS_THERE,
        interrupt: I::IS_THERE,
    };
}

impl<T: Transport, D: DelayNs, R: ResetPin, I: InterruptPin> Chip for Tis<T, D, R, I> {
    type Error = TisError<T::Error>;

    async fn exchange(
        &mut self,
        buffer: &mut [u8],
        command_len: usize,
        limit_ms: u32,
    ) -> Result<usize, Self::Error> {
        if command_len > buffer.len() || buffer.len() < 10 {
            return Err(TisError::CommandLength);
        }
        if R::IS_THERE {
            // A reset whose future was dropped may have left RST# low.
            self.parts.reset.set(false).map_err(TisError::Pin)?;
        }
        self.wake().await;
        let limit = limit_ms.saturating_mul(1000);
        let mut machine = Machine::exchange(buffer, command_len, limit, Self::PINS);
        self.drive(&mut machine).await?;
        Ok(machine.response_len())
    }

    async fn pause(&mut self, millis: u32) {
        self.parts.delay.delay_ms(millis).await;
    }

    async fn reset(&mut self) -> Result<(), Self::Error> {
        Tis::reset(self).await
    }
}

/// Runs both futures until one of them is done. Returns the output of `other` if it is done first, `None` otherwise.
async fn first<O>(one: impl Future<Output = ()>, other: impl Future<Output = O>) -> Option<O> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| {
        if let Poll::Ready(output) = other.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        one.as_mut().poll(context).map(|()| None)
    })
    .await
}
