use super::{InterruptPin, Locality, NoPin, Parts, ResetPin, Settings, Tis, TisError, Transport};
use core::fmt;
use embedded_hal_async::delay::DelayNs;

/// The parts of a [`Tis`] and what is known of them, before the chip has been found.
pub struct TisBuilder<T, D, R = NoPin, I = NoPin> {
    pub(super) tis: Tis<T, D, R, I>,
    vendors: &'static [u16],
}

/// A chip that could not be opened, with everything that was given for it.
pub struct OpenFailure<T: Transport, D, R, I> {
    /// The reason.
    pub error: TisError<T::Error>,
    /// The builder as it was: to open again, or to release its parts.
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

/// The vendor whose chips sleep, and lose the transaction that wakes them.
pub(super) const GOOGLE: u16 = 0x1ae0;

impl<T: Transport, D: DelayNs> Tis<T, D> {
    /// Creates a builder for a chip without reset and interrupt pins, at locality 0. [`TisBuilder::open`] finds the chip.
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
    /// Adds the pin at RST#. The chip is reset when it is opened, so that nothing of an earlier run is left in it; before that it is told to
    /// shut down (TPM2_Shutdown), so that the reset does not count as a failed authorization.
    ///
    /// A reset clears the PCRs: where software before this firmware measured into them, add [`TisBuilder::without_reset_at_open`].
    pub fn reset_pin<P: ResetPin>(self, pin: P) -> TisBuilder<T, D, P, I> {
        self.with_parts(|parts| Parts {
            transport: parts.transport,
            delay: parts.delay,
            reset: pin,
            interrupt: parts.interrupt,
        })
    }

    /// Adds the pin at PIRQ#, which is low when a response is there: it is waited for, instead of polling the chip.
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

    /// Keeps the chip, and its PCRs, as they are when it is opened; the reset pin is then used by [`Tis::reset`] alone.
    #[must_use]
    pub fn without_reset_at_open(mut self) -> Self {
        self.tis.settings.resets_at_open = false;
        self
    }

    /// Sets another locality than 0, where chip and platform allow it.
    #[must_use]
    pub fn locality(mut self, locality: Locality) -> Self {
        self.tis.settings.locality = locality;
        self
    }

    /// Sets the vendors that are accepted instead of [`KNOWN_VENDORS`], by the lower half of DID_VID.
    #[must_use]
    pub fn vendors(mut self, vendors: &'static [u16]) -> Self {
        self.vendors = vendors;
        self
    }

    /// Sets the time between two transactions, in microseconds: 5 unless set.
    #[must_use]
    pub fn idle_us(mut self, micros: u32) -> Self {
        self.tis.settings.idle_us = micros;
        self
    }

    /// Wakes the chip before each command by a transaction that may be lost, and gives it so many microseconds. Without, chips of Google get
    /// 5,000, and others are not woken.
    #[must_use]
    pub fn wake_us(mut self, micros: u32) -> Self {
        self.tis.settings.wake_us = Some(micros);
        self
    }

    /// Resets the chip if there is a pin for that, waits for it, reads its vendor, and requests the locality.
    ///
    /// # Errors
    /// [`OpenFailure`] with [`TisError::NoChip`], [`TisError::WrongVendor`], [`TisError::NotTpm2`], [`TisError::LocalityTaken`], or an error
    /// of the bus; it has the builder too, so that no part is lost.
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

    /// As [`TisBuilder::open`], again and again until the chip is there. `failed` receives each reason and returns how many milliseconds to
    /// wait.
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

    /// Gives back what the builder was made of.
    pub fn release(self) -> Parts<T, D, R, I> {
        self.tis.parts
    }
}
