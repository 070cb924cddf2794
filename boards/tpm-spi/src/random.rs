//! Reading of random bytes from the chip's generator.

use crate::{
    command::{Command, Entities, GetRandom, Handle},
    frame::{Marshal, Shape},
};
use chanbind_core::wire::{Full, Truncated, Writer};

/// Random bytes from the chip's generator, read by one or more commands.
pub(crate) struct RandomJob<'d> {
    out: &'d mut [u8],
}

impl<'d> RandomJob<'d> {
    pub(crate) fn new(out: &'d mut [u8]) -> Self {
        Self { out }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.out.is_empty()
    }

    pub(crate) fn command(&self) -> GetRandom {
        GetRandom {
            bytes_requested: u16::try_from(self.out.len().min(RANDOM_AT_ONCE)).unwrap_or(1),
        }
    }

    /// Stores the bytes of one response. Fails if there are no bytes, or more than are needed.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), Truncated> {
        let out = core::mem::take(&mut self.out);
        let (now, later) = out
            .split_at_mut_checked(bytes.len())
            .filter(|(now, _)| !now.is_empty())
            .ok_or(Truncated)?;
        now.copy_from_slice(bytes);
        self.out = later;
        Ok(())
    }
}

impl Marshal for RandomJob<'_> {
    fn shape(&self) -> &'static Shape {
        Shape::of::<GetRandom>()
    }

    fn entities(&self) -> Entities<'_> {
        [None, None, None]
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        Command::parameters(&self.command(), out)
    }

    fn flushes(&self) -> Option<Handle> {
        None
    }
}

/// Maximum number of bytes in one command. Chips return 32 to 64 bytes at a time.
const RANDOM_AT_ONCE: usize = 32;
