use core::fmt;

/// A TPM that takes a command and gives a response: [`crate::tis::Tis`], or what a test puts in its place.
#[allow(
    async_fn_in_trait,
    reason = "as in embedded-hal-async: the executor of a firmware needs no Send"
)]
pub trait Chip {
    /// Why it could not be spoken with.
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
}
