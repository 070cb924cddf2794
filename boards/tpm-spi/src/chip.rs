use core::fmt;

/// A TPM that exchanges a command for a response: [`crate::tis::Tis`], or a substitute in a test.
#[allow(
    async_fn_in_trait,
    reason = "as in embedded-hal-async: executors of firmware do not need `Send` futures"
)]
pub trait Chip {
    /// The error of the transport.
    type Error: fmt::Debug;

    /// Sends the first `command_len` bytes of `buffer` as a command, stores the response at the front of `buffer`, and returns the
    /// length of the response in bytes. If the chip does not respond within `limit_ms` milliseconds, the command is cancelled.
    ///
    /// The future may be dropped; the next exchange then ends the command that the chip still runs.
    ///
    /// # Errors
    /// The error of the transport.
    async fn exchange(
        &mut self,
        buffer: &mut [u8],
        command_len: usize,
        limit_ms: u32,
    ) -> Result<usize, Self::Error>;

    /// Waits for this many milliseconds, before a command that the chip asked to send again.
    async fn pause(&mut self, millis: u32);

    /// Resets the chip, for example by its RST# pin. Does nothing where a reset is not possible.
    ///
    /// # Errors
    /// The error of the transport.
    async fn reset(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
