//! The FIFO interface of a TPM on SPI: TCG PC Client Platform TPM Profile (PTP), chapter 6.
//!
//! [`Tis`] moves whole commands and responses. What happens on the bus is decided by one state machine that does no I/O itself;
//! async and blocking callers share it.

mod exchange;
mod register;
mod transport;

pub use transport::{
    BusOrPin, ExclusiveBus, MAX_WAIT_STATES, SharedBus, Transport, TransportError,
};

use crate::{chip::Chip, log};
use core::{
    convert::Infallible,
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};
use embedded_hal::digital::{ErrorType, OutputPin};
use embedded_hal_async::{delay::DelayNs, digital::Wait};
use exchange::{Action, Exchange, Fault, TIMEOUT_A};
use register::{INT_ENABLE, Register, access, header, status_upper};

/// A TPM chip on SPI, at one of its localities.
///
/// `T` is the way to it ([`ExclusiveBus`], [`SharedBus`]), `D` a delay, `R` the pin at its RST#, `I` the pin at its PIRQ#.
pub struct Tis<T, D, R = NoPin, I = NoPin> {
    transport: T,
    delay: D,
    reset: Option<R>,
    interrupt: Option<I>,
    locality: u8,
    did_vid: u32,
    /// The last exchange did not come to its end: the chip may be in any state.
    unknown: bool,
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
                reset: None,
                interrupt: None,
                locality: 0,
                did_vid: 0,
                unknown: true,
            },
            vendors: KNOWN_VENDORS,
        }
    }
}

impl<T: Transport, D: DelayNs, R: OutputPin, I: Wait> TisBuilder<T, D, R, I> {
    /// The pin at RST#: the chip is reset when it is opened, so that nothing of an earlier run is left in it.
    pub fn reset_pin<P: OutputPin>(self, pin: P) -> TisBuilder<T, D, P, I> {
        let Tis {
            transport,
            delay,
            interrupt,
            locality,
            did_vid,
            unknown,
            ..
        } = self.tis;
        TisBuilder {
            tis: Tis {
                transport,
                delay,
                reset: Some(pin),
                interrupt,
                locality,
                did_vid,
                unknown,
            },
            vendors: self.vendors,
        }
    }

    /// The pin at PIRQ#, low when a response is there: waited for instead of looking again and again.
    pub fn interrupt_pin<P: Wait>(self, pin: P) -> TisBuilder<T, D, R, P> {
        let Tis {
            transport,
            delay,
            reset,
            locality,
            did_vid,
            unknown,
            ..
        } = self.tis;
        TisBuilder {
            tis: Tis {
                transport,
                delay,
                reset,
                interrupt: Some(pin),
                locality,
                did_vid,
                unknown,
            },
            vendors: self.vendors,
        }
    }

    /// Another locality than 0: 1 to 4, where chip and platform allow it.
    #[must_use]
    pub fn locality(mut self, locality: u8) -> Self {
        self.tis.locality = locality & 7;
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
}

impl<T: Transport, D: DelayNs, R: OutputPin, I: Wait> Tis<T, D, R, I> {
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
        let [low, high] = self
            .did_vid
            .to_le_bytes()
            .first_chunk()
            .copied()
            .unwrap_or_default();
        let maker = u16::from_le_bytes([low, high]);
        self.unknown = true;
        self.reset_by_pin().await?;
        self.identify(|vendor| vendor == maker).await
    }

    /// Gives the locality back, for others of the platform; the next command asks for it again.
    ///
    /// # Errors
    /// Those of the bus.
    pub async fn relinquish_locality(&mut self) -> Result<(), TisError<T::Error>> {
        self.write(Register::Access, &[access::ACTIVE_LOCALITY])
            .await
    }

    async fn find(&mut self, vendors: &[u16]) -> Result<(), TisError<T::Error>> {
        self.reset_by_pin().await?;
        self.identify(|vendor| vendors.contains(&vendor)).await
    }

    async fn reset_by_pin(&mut self) -> Result<(), TisError<T::Error>> {
        if let Some(pin) = &mut self.reset {
            pin.set_low().map_err(|_| TisError::Pin)?;
            self.delay.delay_us(RESET_PULSE).await;
            pin.set_high().map_err(|_| TisError::Pin)?;
            self.delay.delay_us(AFTER_RESET).await;
        }
        Ok(())
    }

    async fn identify(&mut self, is_known: impl Fn(u16) -> bool) -> Result<(), TisError<T::Error>> {
        let value = self
            .poll_access(|value| value != 0xff && value & access::VALID != 0)
            .await?;
        if value == 0xff || value & access::VALID == 0 {
            return Err(TisError::NoChip { access: value });
        }
        let mut did_vid = [0; 4];
        self.read(Register::DidVid, &mut did_vid).await?;
        self.did_vid = u32::from_le_bytes(did_vid);
        let [low, high, ..] = did_vid;
        if !is_known(u16::from_le_bytes([low, high])) {
            return Err(TisError::WrongVendor {
                actual: self.did_vid,
            });
        }
        self.request_locality().await?;
        let mut status = [0; 4];
        self.read(Register::Status, &mut status).await?;
        let [_, _, _, upper] = status;
        if upper & status_upper::FAMILY_MASK != status_upper::FAMILY_TPM_2 {
            return Err(TisError::NotTpm2 { status: upper });
        }
        if self.interrupt.is_some() {
            self.write(Register::IntEnable, &INT_ENABLE).await?;
        }
        log!(debug, "TPM found, DID_VID {=u32:08x}", self.did_vid);
        Ok(())
    }

    async fn request_locality(&mut self) -> Result<(), TisError<T::Error>> {
        let mut value = [0];
        self.read(Register::Access, &mut value).await?;
        let [value] = value;
        if value != 0xff && value & access::BEEN_SEIZED != 0 {
            self.write(Register::Access, &[access::BEEN_SEIZED]).await?;
        }
        if value & access::GRANTED_MASK == access::GRANTED {
            return Ok(());
        }
        self.write(Register::Access, &[access::REQUEST_USE]).await?;
        let value = self
            .poll_access(|value| value & access::GRANTED_MASK == access::GRANTED)
            .await?;
        if value & access::GRANTED_MASK != access::GRANTED {
            return Err(TisError::LocalityTaken);
        }
        Ok(())
    }

    /// The access register as soon as it is as wanted, or as it is after time-out A.
    async fn poll_access(&mut self, wanted: impl Fn(u8) -> bool) -> Result<u8, TisError<T::Error>> {
        let mut waited = 0u32;
        loop {
            let mut value = [0];
            match self.read(Register::Access, &mut value).await {
                // A chip that comes up may hold transactions off; a bus that is pulled down does so for ever.
                Err(TisError::Transport(TransportError::WaitStates)) => value = [0],
                Err(TisError::Transport(TransportError::WaitStateInserted))
                    if waited < TIMEOUT_A => {}
                other => other?,
            }
            let [value] = value;
            if wanted(value) || waited >= TIMEOUT_A {
                return Ok(value);
            }
            self.delay.delay_us(ACCESS_PAUSE).await;
            waited = waited.saturating_add(ACCESS_PAUSE);
        }
    }

    async fn run(
        &mut self,
        buffer: &mut [u8],
        command_len: usize,
        limit_ms: u32,
    ) -> Result<usize, TisError<T::Error>> {
        if command_len > buffer.len() || buffer.len() < 10 {
            return Err(TisError::CommandLength);
        }
        let unknown = core::mem::replace(&mut self.unknown, true);
        let limit = limit_ms.saturating_mul(1000);
        let interrupt = self.interrupt.is_some();
        let mut exchange = Exchange::new(buffer, command_len, limit, unknown, interrupt);
        loop {
            match exchange.step()? {
                Action::Read(register, data) => self.read(register, data).await?,
                Action::Write(register, data) => self.write(register, data).await?,
                Action::RequestLocality => self.request_locality().await?,
                Action::Pause(micros) => self.delay.delay_us(micros).await,
                Action::PauseOrInterrupt(micros) => {
                    let delay = self.delay.delay_us(micros);
                    match &mut self.interrupt {
                        Some(pin) => first(delay, pin.wait_for_low()).await,
                        None => delay.await,
                    }
                }
                Action::Done(len) => {
                    self.unknown = false;
                    return Ok(len);
                }
            }
        }
    }

    async fn read(
        &mut self,
        register: Register,
        data: &mut [u8],
    ) -> Result<(), TisError<T::Error>> {
        let header = header(true, self.locality, register, data.len());
        self.transport
            .read(header, data)
            .await
            .map_err(TisError::Transport)
    }

    async fn write(&mut self, register: Register, data: &[u8]) -> Result<(), TisError<T::Error>> {
        let header = header(false, self.locality, register, data.len());
        self.transport
            .write(header, data)
            .await
            .map_err(TisError::Transport)
    }
}

impl<T: Transport, D: DelayNs, R: OutputPin, I: Wait> Chip for Tis<T, D, R, I> {
    type Error = TisError<T::Error>;

    async fn exchange(
        &mut self,
        buffer: &mut [u8],
        command_len: usize,
        limit_ms: u32,
    ) -> Result<usize, Self::Error> {
        self.run(buffer, command_len, limit_ms).await
    }

    async fn pause(&mut self, millis: u32) {
        self.delay.delay_ms(millis).await;
    }
}

/// What was waited for when the time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Awaited {
    /// The chip to be ready for a command: time-out C, then, after a cancel, B.
    Ready,
    /// Room for more of the command: time-out A.
    Room,
    /// The chip to have the whole command: time-out C.
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
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

impl<E> From<Fault> for TisError<E> {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Timeout(awaited) => Self::Timeout(awaited),
            Fault::Gone => Self::Gone,
            Fault::LocalityLost => Self::LocalityLost,
            Fault::ResponseSize(actual) => Self::ResponseSize { actual },
        }
    }
}

impl<E: fmt::Debug> fmt::Display for TisError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::Pin => f.write_str("the reset pin failed"),
            Self::NoChip { access } => write!(
                f,
                "no TPM answers (access register {access:02x}): look at power, wiring, chip select and reset"
            ),
            Self::WrongVendor { actual } => write!(
                f,
                "no TPM of a known maker answers (DID_VID {actual:08x}): look at chip select, SPI mode 0 and clock, or name the maker"
            ),
            Self::NotTpm2 { status } => {
                write!(f, "the chip is no TPM 2.0 (upper status byte {status:02x})")
            }
            Self::Timeout(awaited) => write!(f, "the TPM took too long (awaited: {awaited:?})"),
            Self::LocalityTaken => {
                f.write_str("another locality has the TPM and does not give it up")
            }
            Self::LocalityLost => f.write_str(
                "the TPM was seized by another locality, or reset, during a command: repeat it",
            ),
            Self::Gone => f.write_str("the TPM no longer answers: look at its power and reset"),
            Self::ResponseSize { actual } => write!(
                f,
                "the TPM's response cannot have {actual} bytes: give a larger buffer if it can, else suspect the bus"
            ),
            Self::CommandLength => {
                f.write_str("the buffer is too short for the command: 512 bytes do for every one")
            }
        }
    }
}

impl<E: fmt::Debug> core::error::Error for TisError<E> {}

/// A pin that the board does not have.
#[derive(Debug, Clone, Copy)]
pub struct NoPin;

impl ErrorType for NoPin {
    type Error = Infallible;
}

impl OutputPin for NoPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Wait for NoPin {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        core::future::pending().await
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        core::future::pending().await
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        core::future::pending().await
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        core::future::pending().await
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        core::future::pending().await
    }
}

/// Until one of the two is done. A pin that fails is one that is not waited for.
async fn first<E>(delay: impl Future<Output = ()>, pin: impl Future<Output = Result<(), E>>) {
    let (mut delay, mut pin) = (pin!(delay), pin!(pin));
    let mut failed = false;
    poll_fn(|context| {
        if !failed && let Poll::Ready(done) = pin.as_mut().poll(context) {
            failed = done.is_err();
            if !failed {
                return Poll::Ready(());
            }
        }
        delay.as_mut().poll(context)
    })
    .await;
}

/// Microseconds: longer than every chip's shortest.
const RESET_PULSE: u32 = 1_000;
/// Microseconds until a chip that was reset is spoken to.
const AFTER_RESET: u32 = 30_000;
/// Microseconds between two looks at the access register.
const ACCESS_PAUSE: u32 = 1_000;
