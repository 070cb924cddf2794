use super::{InterruptPin, Locality, NoPin, Parts, ResetPin, Settings, Tis, TisError, Transport};
use core::fmt;
use embedded_hal_async::delay::DelayNs;

/// Builds a [`Tis`] from its parts and settings. [`TisBuilder::open`] searches for the chip.
pub struct TisBuilder<T, D, R = NoPin, I = NoPin> {
    pub(super) tis: Tis<T, D, R, I>,
    vendors: &'static [u16],
}

/// The error of [`TisBuilder::open`], with the builder.
pub struct OpenFailure<T: Transport, D, R, I> {
    /// The reason why the chip could not be opened.
    pub error: TisError<T::Error>,
    /// The builder: open it again, or release its parts.
    pub builder: TisBuilder<T, D, R, I>,
}

impl<T: Transport, D, R, I> fmt::Debug for OpenFailure<T, D, R, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenFailure").field(&self.error).finish()
    }
}

impl<T: Transport, D, R, I> fmt::Display for OpenFailure<T, D, R, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: Transport, D, R, I> core::error::Error for OpenFailure<T, D, R, I> {}

/// Vendors whose TPM 2.0 chips have this interface, by the lower half of DID_VID (TCG Vendor ID Registry): Infineon, ST, Nuvoton,
/// Microchip, Nationz, Google (Cr50, Ti50) and SealSQ.
pub const KNOWN_VENDORS: &[u16] = &[0x15d1, 0x104a, 0x1050, 0x1114, 0x1b4e, GOOGLE, 0x2406];

/// The vendor whose chips sleep and lose the transaction that wakes them.
pub(super) const GOOGLE: u16 = 0x1ae0;

impl<T: Transport, D: DelayNs> Tis<T, D> {
    /// Creates a builder for a chip without reset and interrupt pins, at locality 0. Performs no I/O.
    pub fn builder(transport: T, delay: D) -> TisBuilder<T, D> {
        TisBuilder {
            tis: Tis {
                parts: Parts {
                    transport,
                    delay,
                    reset: NoPin,
                    interrupt: NoPin,
                },
                settings: Settings::default(),
                did_vid: 0,
            },
            vendors: KNOWN_VENDORS,
        }
    }
}

impl<T: Transport, D: DelayNs, R: ResetPin, I: InterruptPin> TisBuilder<T, D, R, I> {
    /// Adds the pin at RST#. The chip is then reset when it is opened, so that no state of an earlier run is left in it. Before
    /// the reset it is shut down (TPM2_Shutdown), so that the reset does not count as a failed authorization.
    ///
    /// A reset clears the PCRs: if software before this firmware has measured into them, also call
    /// [`TisBuilder::without_reset_at_open`].
    pub fn reset_pin<P: ResetPin>(self, pin: P) -> TisBuilder<T, D, P, I> {
        self.with_parts(|parts| Parts {
            transport: parts.transport,
            delay: parts.delay,
            reset: pin,
            interrupt: parts.interrupt,
        })
    }

    /// Adds the pin at PIRQ#, which is low when a response is available. The driver then waits for the pin instead of polling the
    /// chip.
    pub fn interrupt_pin<P: InterruptPin>(self, pin: P) -> TisBuilder<T, D, R, P> {
        self.with_parts(|parts| Parts {
            transport: parts.transport,
            delay: parts.delay,
            reset: parts.reset,
            interrupt: pin,
        })
    }

    fn with_parts<P, Q>(
        self,
        change: impl FnOnce(Parts<T, D, R, I>) -> Parts<T, D, P, Q>,
    ) -> TisBuilder<T, D, P, Q> {
        TisBuilder {
            tis: Tis {
                parts: change(self.tis.parts),
                settings: self.tis.settings,
                did_vid: 0,
            },
            vendors: self.vendors,
        }
    }

    /// Keeps the state of the chip, including its PCRs, when it is opened. The reset pin is then used by [`Tis::reset`] only.
    #[must_use]
    pub fn without_reset_at_open(mut self) -> Self {
        self.tis.settings.resets_at_open = false;
        self
    }

    /// Sets the locality; the default is 0. Chip and platform must allow other localities.
    #[must_use]
    pub fn locality(mut self, locality: Locality) -> Self {
        self.tis.settings.locality = locality;
        self
    }

    /// Sets the accepted vendors, as the lower halves of DID_VID; the default is [`KNOWN_VENDORS`].
    #[must_use]
    pub fn vendors(mut self, vendors: &'static [u16]) -> Self {
        self.vendors = vendors;
        self
    }

    /// Sets the minimum time between two transactions, in microseconds; the default is 5.
    #[must_use]
    pub fn idle_us(mut self, micros: u32) -> Self {
        self.tis.settings.idle_us = micros;
        self
    }

    /// Sets the time for waking the chip before each command, in microseconds: after a transaction that may be lost, the driver
    /// waits for this time. The default is 5,000 for chips of Google and 0, which disables waking, for others.
    #[must_use]
    pub fn wake_us(mut self, micros: u32) -> Self {
        self.tis.settings.wake_us = Some(micros);
        self
    }

    /// Resets the chip if it has a reset pin, waits until it responds, checks its vendor, and requests the locality.
    ///
    /// # Errors
    /// [`OpenFailure`] with [`TisError::NoChip`], [`TisError::WrongVendor`], [`TisError::NotTpm2`], [`TisError::LocalityTaken`],
    /// or an error of the bus or the reset pin. It also contains the builder.
    pub async fn open(mut self) -> Result<Tis<T, D, R, I>, OpenFailure<T, D, R, I>> {
        match self
            .tis
            .find(self.vendors, self.tis.settings.resets_at_open)
            .await
        {
            Ok(()) => Ok(self.tis),
            Err(error) => Err(OpenFailure {
                error,
                builder: self,
            }),
        }
    }

    /// Repeats [`TisBuilder::open`] until it succeeds. `failed` receives each error and returns the time to wait before the next
    /// attempt, in milliseconds.
    pub async fn open_when_there(
        mut self,
        mut failed: impl FnMut(TisError<T::Error>) -> u32,
    ) -> Tis<T, D, R, I> {
        let resets = self.tis.settings.resets_at_open;
        while let Err(error) = self.tis.find(self.vendors, resets).await {
            let millis = failed(error);
            self.tis.parts.delay.delay_ms(millis).await;
        }
        self.tis
    }

    /// Returns the parts of the builder.
    pub fn release(self) -> Parts<T, D, R, I> {
        self.tis.parts
    }
}
