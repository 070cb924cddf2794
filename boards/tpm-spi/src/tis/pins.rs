use embedded_hal::digital::{Error, ErrorKind, OutputPin, PinState};
use embedded_hal_async::digital::Wait;

/// The pin at RST#, or [`NoPin`].
pub trait ResetPin {
    /// True if the board connects it.
    const IS_THERE: bool;

    /// Drives the pin low or high.
    ///
    /// # Errors
    /// The error of the pin.
    fn set(&mut self, low: bool) -> Result<(), ErrorKind>;
}

/// The pin at PIRQ#, or [`NoPin`].
#[allow(
    async_fn_in_trait,
    reason = "as in embedded-hal-async: executors of firmware do not need `Send` futures"
)]
pub trait InterruptPin {
    /// True if the board connects it.
    const IS_THERE: bool;

    /// Waits until the pin is low.
    ///
    /// # Errors
    /// The error of the pin. The driver then polls the chip instead.
    async fn low(&mut self) -> Result<(), ErrorKind>;
}

/// A pin that the board does not connect.
#[derive(Debug, Clone, Copy)]
pub struct NoPin;

impl<P: OutputPin> ResetPin for P {
    const IS_THERE: bool = true;

    fn set(&mut self, low: bool) -> Result<(), ErrorKind> {
        self.set_state(PinState::from(!low))
            .map_err(|error| error.kind())
    }
}

impl ResetPin for NoPin {
    const IS_THERE: bool = false;

    fn set(&mut self, _: bool) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl<P: Wait> InterruptPin for P {
    const IS_THERE: bool = true;

    async fn low(&mut self) -> Result<(), ErrorKind> {
        self.wait_for_low().await.map_err(|error| error.kind())
    }
}

impl InterruptPin for NoPin {
    const IS_THERE: bool = false;

    async fn low(&mut self) -> Result<(), ErrorKind> {
        core::future::pending().await
    }
}
