use core::fmt;

/// A TPM that takes a command and gives a response: [`crate::tis::Tis`], or a stand-in of a test.
#[allow(
    async_fn_in_trait,
    reason = "as in embedded-hal-async: the executor of a firmware needs no Send"
)]
pub trait Chip {
    /// The error of the transport.
    type Error: fmt::Debug;

    /// Sends the command that is the first `command_len` bytes of `buffer`, and puts the response in its place; gives the
    /// response's length. The chip is given `limit_ms` milliseconds to answer, then cancelled.
    ///
    /// # Errors
    /// As the way to the chip says. The future may be dropped; what the chip then does is ended by the next exchange.
    async fn exchange(
        &mut self,
        buffer: &mut [u8],
        command_len: usize,
        limit_ms: u32,
    ) -> Result<usize, Self::Error>;

    /// Waits, for a chip that asked to be asked again.
    async fn pause(&mut self, millis: u32);

    /// Resets the chip, as by its RST# pin, where that is possible; else does nothing.
    ///
    /// # Errors
    /// Those of the transport.
    async fn reset(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
