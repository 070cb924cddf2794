//! The FIFO interface of a TPM on SPI: TCG PC Client Platform TPM Profile (PTP), chapter 6.
//!
//! [`Tis`] moves whole commands and responses. One state machine without I/O decides what happens on the bus; async and blocking callers
//! share it. A transaction that fails is repeated where that is safe: registers are read and written again, a command is sent again from
//! its first byte as long as it has not been executed, and a response is asked for again.

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
use machine::{Action, Failed, Machine, Pins};
use register::{Register, access, header};

/// A TPM chip on SPI, at one of its localities.
///
/// `T` is the transport ([`ExclusiveBus`], [`LockedBus`](self), [`SharedBus`]), `D` a delay, `R` the pin at its RST#, `I` the pin at its
/// PIRQ#.
pub struct Tis<T, D, R = NoPin, I = NoPin> {
    parts: Parts<T, D, R, I>,
    settings: Settings,
    did_vid: u32,
}

/// The parts of a [`Tis`]; [`Tis::release`] and [`TisBuilder::release`] give them back.
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

/// A locality of the TPM (PTP section 6.2), by which platforms tell their software apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "numbers")]
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

/// TPM2_Shutdown, TPM_SU_CLEAR
const SHUTDOWN: [u8; 12] = [0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x45, 0, 0];
/// Microseconds that it may take.
const SHUTDOWN_LIMIT: u32 = 2_000_000;
/// Microseconds before a transaction is repeated.
const BEFORE_REPEAT: u32 = 1_000;
/// Microseconds in which a chip of Google wakes.
const GOOGLE_WAKES: u32 = 5_000;

impl<T: Transport, D: DelayNs, R: ResetPin, I: InterruptPin> Tis<T, D, R, I> {
    /// Returns the register DID_VID: the device in the upper half, its vendor in the lower.
    #[must_use]
    pub fn did_vid(&self) -> u32 {
        self.did_vid
    }

    /// Shuts the chip down in order, drives RST# low if there is a pin for it, and finds the chip again. Sessions, transient objects and PCRs
    /// are then lost.
    ///
    /// # Errors
    /// [`TisError`], as [`TisBuilder::open`].
    pub async fn reset(&mut self) -> Result<(), TisError<T::Error>> {
        let vendor = self.vendor();
        self.find(&[vendor], true).await
    }

    /// Gives the locality back, for others of the platform; the next command requests it again.
    ///
    /// # Errors
    /// Those of the bus.
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

    /// Gives the parts back. The chip keeps what is in it: [`crate::Tpm::close`] flushes that first.
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
            // A chip that still runs is told to shut down: a reset without that counts as a failed authorization if one that is protected
            // against dictionary attacks was used (TPM 2.0 Part 1 section 19.8.6).
            self.parts.reset.set(false).map_err(TisError::Pin)?;
            let mut probe = Machine::probe(vendors, Self::PINS);
            if self.drive(&mut probe).await.is_ok() {
                let mut buffer = SHUTDOWN;
                let len = buffer.len();
                let mut shutdown = Machine::exchange(&mut buffer, len, SHUTDOWN_LIMIT, Self::PINS);
                // One that has not been started, or has failed, answers with an error, and can be reset as well.
                let _ = self.drive(&mut shutdown).await;
            }
        }
        let mut machine = Machine::open(vendors, pins);
        self.drive(&mut machine).await?;
        self.did_vid = machine.did_vid();
        log!(debug, "TPM found, DID_VID {=u32:08x}", self.did_vid);
        Ok(())
    }

    /// Does what the machine says.
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
                    // Before each, for what came before may have been given up.
                    delay.delay_us(self.settings.idle_us).await;
                    match transport.transfer(delay, header, data).await {
                        Ok(()) => machine.transferred(),
                        Err(error) => {
                            let failed = match &error {
                                TransportError::WaitStates => Failed::WaitStates,
                                TransportError::WaitStateInserted => Failed::WaitStateInserted,
                                _ => Failed::Other,
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
                                    log!(warn, "the TPM's interrupt pin failed: polling");
                                }
                                machine.interrupted();
                            }
                        }
                    }
                }
                Ok(Action::Reset(low)) => self.parts.reset.set(low).map_err(TisError::Pin)?,
                Ok(Action::Again) => {}
                Ok(Action::Done) => return Ok(()),
                Err(fault) => return Err(TisError::new(fault, machine.did_vid())),
            }
        }
    }

    /// Has a chip that sleeps lose a transaction that does not matter.
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
            // A reset that was given up may have left it low.
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

/// Runs until one of the two is done; returns the output of `other` if it is that one.
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
