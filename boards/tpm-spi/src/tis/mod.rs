//! The FIFO interface of a TPM on SPI: TCG PC Client Platform TPM Profile (PTP), chapter 6.
//!
//! [`Tis`] moves whole commands and responses. What happens on the bus is decided by one state machine that does no I/O itself;
//! async and blocking callers share it.

mod machine;
mod register;
mod transport;

pub use transport::{
    BusOrPin, Data, ExclusiveBus, MAX_WAIT_STATES, SharedBus, Transport, TransportError,
};

use crate::{chip::Chip, log};
use chanbind_core::words;
use core::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};
use embedded_hal::digital::{OutputPin, PinState};
use embedded_hal_async::{delay::DelayNs, digital::Wait};
use machine::{Action, Fault, Machine, Pins};
use register::{Register, access, header};

/// A TPM chip on SPI, at one of its localities.
///
/// `T` is the way to it ([`ExclusiveBus`], [`SharedBus`]), `D` a delay, `R` the pin at its RST#, `I` the pin at its PIRQ#.
pub struct Tis<T, D, R = NoPin, I = NoPin> {
    transport: T,
    delay: D,
    reset: R,
    interrupt: I,
    locality: u8,
    did_vid: u32,
}

/// How a [`Tis`] is put together: what the board has beside the bus.
pub struct TisBuilder<T, D, R = NoPin, I = NoPin> {
    tis: Tis<T, D, R, I>,
    vendors: &'static [u16],
}

/// Makers whose TPM 2.0 chips speak this interface, by the lower half of DID_VID (TCG Vendor ID Registry): Infineon, ST,
/// Nuvoton, Microchip and Nationz.
pub const KNOWN_VENDORS: &[u16] = &[0x15d1, 0x104a, 0x1050, 0x1114, 0x1b4e];

impl<T: Transport, D: DelayNs> Tis<T, D> {
    /// A chip without reset and interrupt pins, at locality 0; [`TisBuilder::open`] finds it.
    pub fn builder(transport: T, delay: D) -> TisBuilder<T, D> {
        TisBuilder {
            tis: Tis {
                transport,
                delay,
                reset: NoPin,
                interrupt: NoPin,
                locality: 0,
                did_vid: 0,
            },
            vendors: KNOWN_VENDORS,
        }
    }
}

impl<T: Transport, D: DelayNs, R: ResetPin, I: InterruptPin> TisBuilder<T, D, R, I> {
    /// The pin at RST#: the chip is reset when it is opened, so that nothing of an earlier run is left in it.
    pub fn reset_pin<P: ResetPin>(self, pin: P) -> TisBuilder<T, D, P, I> {
        let Tis {
            transport,
            delay,
            interrupt,
            locality,
            did_vid,
            ..
        } = self.tis;
        TisBuilder {
            tis: Tis {
                transport,
                delay,
                reset: pin,
                interrupt,
                locality,
                did_vid,
            },
            vendors: self.vendors,
        }
    }

    /// The pin at PIRQ#, low when a response is there: waited for instead of looking again and again.
    pub fn interrupt_pin<P: InterruptPin>(self, pin: P) -> TisBuilder<T, D, R, P> {
        let Tis {
            transport,
            delay,
            reset,
            locality,
            did_vid,
            ..
        } = self.tis;
        TisBuilder {
            tis: Tis {
                transport,
                delay,
                reset,
                interrupt: pin,
                locality,
                did_vid,
            },
            vendors: self.vendors,
        }
    }

    /// Another locality than 0: 1 to 4, where chip and platform allow it. There are no higher ones; they count as 4.
    #[must_use]
    pub fn locality(mut self, locality: u8) -> Self {
        self.tis.locality = locality.min(4);
        self
    }

    /// The makers that are accepted instead of [`KNOWN_VENDORS`], by the lower half of DID_VID.
    #[must_use]
    pub fn vendors(mut self, vendors: &'static [u16]) -> Self {
        self.vendors = vendors;
        self
    }

    /// Resets the chip if there is a pin for that, waits for it, reads who made it, and asks for the locality.
    ///
    /// # Errors
    /// [`TisError::NoChip`], [`TisError::WrongVendor`], [`TisError::NotTpm2`], [`TisError::LocalityTaken`], and those of the bus.
    pub async fn open(mut self) -> Result<Tis<T, D, R, I>, TisError<T::Error>> {
        self.tis.find(self.vendors).await?;
        Ok(self.tis)
    }

    /// As [`TisBuilder::open`], again and again until the chip is there. `failed` is told why it is not yet, and says how many
    /// milliseconds to wait.
    pub async fn open_when_there(
        mut self,
        mut failed: impl FnMut(TisError<T::Error>) -> u32,
    ) -> Tis<T, D, R, I> {
        while let Err(error) = self.tis.find(self.vendors).await {
            let millis = failed(error);
            self.tis.delay.delay_ms(millis).await;
        }
        self.tis
    }
}

impl<T: Transport, D: DelayNs, R: ResetPin, I: InterruptPin> Tis<T, D, R, I> {
    /// What the register DID_VID says: the device in the upper half, its maker in the lower.
    #[must_use]
    pub fn did_vid(&self) -> u32 {
        self.did_vid
    }

    /// Pulls RST#, if there is a pin for it, and finds the chip again. It has then lost all sessions and transient objects.
    ///
    /// # Errors
    /// As [`TisBuilder::open`].
    pub async fn reset(&mut self) -> Result<(), TisError<T::Error>> {
        let [low, high, ..] = self.did_vid.to_le_bytes();
        self.find(&[u16::from_le_bytes([low, high])]).await
    }

    /// Gives the locality back, for others of the platform; the next command asks for it again.
    ///
    /// # Errors
    /// Those of the bus.
    pub async fn relinquish_locality(&mut self) -> Result<(), TisError<T::Error>> {
        let header = header(false, self.locality, Register::Access, 1);
        self.transport
            .transfer(header, Data::Write(&[access::ACTIVE_LOCALITY]))
            .await
            .map_err(TisError::Transport)
    }

    async fn find(&mut self, vendors: &[u16]) -> Result<(), TisError<T::Error>> {
        let mut machine = Machine::open(vendors, Self::PINS);
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
                    let header = header(read, self.locality, register, len);
                    match self.transport.transfer(header, data).await {
                        // A chip that comes up may hold transactions off; a bus that is pulled down does so for ever.
                        Err(TransportError::WaitStates) if machine.looks_for_chip() => {}
                        Err(TransportError::WaitStateInserted)
                            if machine.looks_for_chip() && !machine.has_looked_enough() => {}
                        other => other.map_err(TisError::Transport)?,
                    }
                }
                Ok(Action::Pause) => self.delay.delay_us(machine.pause()).await,
                Ok(Action::PauseOrInterrupt) => {
                    if I::IS_THERE {
                        let pause = self.delay.delay_us(machine.pause());
                        if first(pause, self.interrupt.low()).await {
                            machine.interrupted();
                        }
                    }
                }
                Ok(Action::Reset(low)) => self.reset.set(low).map_err(|()| TisError::Pin)?,
                Ok(Action::Again) => {}
                Ok(Action::Done) => return Ok(()),
                Err(fault) => return Err(TisError::new(fault, machine.did_vid())),
            }
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
            self.reset.set(false).map_err(|()| TisError::Pin)?;
        }
        let limit = limit_ms.saturating_mul(1000);
        let mut machine = Machine::exchange(buffer, command_len, limit, Self::PINS);
        self.drive(&mut machine).await?;
        Ok(machine.response_len())
    }

    async fn pause(&mut self, millis: u32) {
        self.delay.delay_ms(millis).await;
    }
}

/// What was waited for when the time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Awaited {
    /// The chip to be ready for a command: time-out B, and once more after a cancel.
    Ready,
    /// Room for more of the command: time-out A, and twice more from its beginning.
    Room,
    /// The chip to have the whole command: time-out C, and twice more from its beginning.
    CommandTaken,
    /// The response to a command, by the command's duration; then, after a cancel, time-out B.
    Response,
    /// More of the response: time-out C.
    Rest,
    /// The chip to know that its response has been read: time-out C.
    ResponseTaken,
}

/// Why a chip on SPI could not be spoken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TisError<E> {
    /// The bus failed, or a transaction did.
    Transport(TransportError<E>),
    /// The reset pin failed.
    Pin,
    /// Nobody answers: look at power, wiring, chip select, and that the chip is not kept in reset.
    NoChip {
        /// What the access register read: ff on a bus that is pulled up, 00 on one that is pulled down.
        access: u8,
    },
    /// Somebody answers who is no TPM of an expected maker: is it the right chip select, SPI mode 0, and a clock that the
    /// wiring bears? [`TisBuilder::vendors`] takes other makers.
    WrongVendor {
        /// DID_VID as it was read.
        actual: u32,
    },
    /// The chip is a TPM 1.2.
    NotTpm2 {
        /// The upper byte of the status register.
        status: u8,
    },
    /// The chip did not do in time what it should; the next command begins by setting it right.
    Timeout(Awaited),
    /// Another locality has the chip and does not give it up.
    LocalityTaken,
    /// Another locality has seized the chip, or it was reset, in the middle of a command. The next command asks for it again.
    LocalityLost,
    /// The chip no longer answers.
    Gone,
    /// The response's size cannot be: shorter than a header, longer than the buffer, or not what the chip has.
    ResponseSize {
        /// Bytes that the response announced.
        actual: usize,
    },
    /// The command is longer than the buffer, or the buffer shorter than a response's header of 10 bytes.
    CommandLength,
}

impl<E> TisError<E> {
    fn new(fault: Fault, did_vid: u32) -> Self {
        match fault {
            Fault::NoChip(access) => Self::NoChip { access },
            Fault::WrongVendor => Self::WrongVendor { actual: did_vid },
            Fault::NotTpm2(status) => Self::NotTpm2 { status },
            Fault::LocalityTaken => Self::LocalityTaken,
            Fault::LocalityLost => Self::LocalityLost,
            Fault::Gone => Self::Gone,
            Fault::Timeout(awaited) => Self::Timeout(awaited),
            Fault::ResponseSize(actual) => Self::ResponseSize { actual },
        }
    }
}

words! { TisError<E> where E: fmt::Debug {
    Self::Transport(error) => "{}", error;
    Self::Pin => "the reset pin failed: look at its configuration";
    Self::NoChip { access } => "no TPM answers (access register {:02x}): look at power, wiring, chip select and reset", access;
    Self::WrongVendor { actual } => "no TPM of a known maker answers (DID_VID {:08x}): look at chip select, SPI mode 0 and clock, or name the maker", actual;
    Self::NotTpm2 { status } => "the chip is no TPM 2.0 (upper status byte {:02x}): its maker may have a firmware that is", status;
    Self::Timeout(awaited) => "the TPM took too long (awaited: {:?}): try again, then reset it; suspect the bus if it stays so", awaited;
    Self::LocalityTaken => "another locality has the TPM and does not give it up: have its owner relinquish it, or reset the TPM";
    Self::LocalityLost => "the TPM was seized by another locality, or reset, during a command: repeat it";
    Self::Gone => "the TPM no longer answers: look at its power and reset";
    Self::ResponseSize { actual } => "the TPM's response cannot have {} bytes: give a larger buffer if it can, else suspect the bus", actual;
    Self::CommandLength => "the buffer is too short for the command: 512 bytes do for every one";
}}

impl<E: fmt::Debug> core::error::Error for TisError<E> {}

/// A pin at RST#, or [`NoPin`].
pub trait ResetPin {
    /// Whether the board has it.
    const IS_THERE: bool;

    /// Pulls it low, or lets it go.
    ///
    /// # Errors
    /// If the pin fails.
    #[allow(clippy::result_unit_err, reason = "why a pin failed helps nobody")]
    fn set(&mut self, low: bool) -> Result<(), ()>;
}

/// A pin at PIRQ#, or [`NoPin`].
#[allow(
    async_fn_in_trait,
    reason = "as in embedded-hal-async: the executor of a firmware needs no Send"
)]
pub trait InterruptPin {
    /// Whether the board has it.
    const IS_THERE: bool;

    /// Waits for it to be low; for ever, if it fails.
    async fn low(&mut self);
}

/// A pin that the board does not have.
#[derive(Debug, Clone, Copy)]
pub struct NoPin;

impl<P: OutputPin> ResetPin for P {
    const IS_THERE: bool = true;

    fn set(&mut self, low: bool) -> Result<(), ()> {
        self.set_state(PinState::from(!low)).map_err(|_| ())
    }
}

impl ResetPin for NoPin {
    const IS_THERE: bool = false;

    fn set(&mut self, _: bool) -> Result<(), ()> {
        Ok(())
    }
}

impl<P: Wait> InterruptPin for P {
    const IS_THERE: bool = true;

    async fn low(&mut self) {
        if self.wait_for_low().await.is_err() {
            core::future::pending().await
        }
    }
}

impl InterruptPin for NoPin {
    const IS_THERE: bool = false;

    async fn low(&mut self) {
        core::future::pending().await
    }
}

/// Until one of the two is done; whether it is the other.
async fn first(one: impl Future<Output = ()>, other: impl Future<Output = ()>) -> bool {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| {
        if other.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        one.as_mut().poll(context).map(|()| false)
    })
    .await
}
