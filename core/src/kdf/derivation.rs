use super::{FixedInput, KdfError, Layout, MAX_PRF_LEN, PrfInput};
use crate::crypto::wipe;

/// The state of a derivation.
#[must_use]
pub enum Step<'a> {
    /// The derivation waits for the PRF's output over [`Pending::input`].
    Prf(Pending<'a>),
    /// The derivation is complete, and the caller's buffer holds the derived key.
    Done,
}

/// A derivation that waits for an output of the PRF. If it is dropped, it wipes the caller's buffer.
pub struct Pending<'a> {
    progress: Progress<'a>,
    input: &'a [u8],
    output: Output<'a>,
}

impl<'a> Layout<'a> {
    /// Starts to derive `out.len()` bytes from `input`, with a PRF whose output has `prf_len` bytes.
    ///
    /// # Errors
    /// [`KdfError::OutputLength`] if the layout cannot derive that many bytes, [`KdfError::PrfLength`] if `prf_len` is 0 or more
    /// than [`MAX_PRF_LEN`]. `out` is then zeroed.
    #[inline]
    pub fn derivation(
        &self,
        input: &'a [u8],
        prf_len: usize,
        out: &'a mut [u8],
    ) -> Result<Step<'a>, KdfError> {
        let mut progress = Progress::new(*self, out.len());
        match progress.start(prf_len) {
            Ok(()) => Ok(Step::Prf(Pending {
                progress,
                input,
                output: Output {
                    bytes: out,
                    is_complete: false,
                },
            })),
            Err(error) => {
                wipe(out);
                Err(error)
            }
        }
    }
}

impl<'a> Pending<'a> {
    /// Returns the input for the next call of the PRF.
    #[must_use]
    #[inline]
    pub fn input(&self) -> PrfInput<'_> {
        self.progress.prf_input(self.input)
    }

    /// Takes an output of the PRF and returns the next state.
    ///
    /// # Errors
    /// [`KdfError::PrfLength`] if `block` does not have the announced length; the caller's buffer is then wiped.
    #[inline]
    pub fn answer(mut self, block: &[u8]) -> Result<Step<'a>, KdfError> {
        self.output.is_complete = self.progress.answer(block, self.output.bytes)?;
        if self.output.is_complete {
            return Ok(Step::Done);
        }
        Ok(Step::Prf(self))
    }
}

/// The progress of a derivation, without its input and output.
#[derive(Clone, Copy)]
pub(crate) struct Progress<'a> {
    layout: Layout<'a>,
    /// The length of the derived key.
    len: usize,
    filled: usize,
    /// The length of the PRF's answers; 0 until it is known.
    prf_len: usize,
    counter: u32,
}

impl<'a> Progress<'a> {
    /// Starts a derivation of `len` bytes whose PRF has an unknown length: that of its first answer.
    #[inline]
    pub(crate) fn new(layout: Layout<'a>, len: usize) -> Self {
        let counter = match layout {
            Layout::Hmac => 0,
            Layout::Counter { mode, .. } => mode.start,
        };
        Self {
            layout,
            len,
            filled: 0,
            prf_len: 0,
            counter,
        }
    }

    /// Fixes the length of the PRF's answers.
    #[inline]
    fn start(&mut self, prf_len: usize) -> Result<(), KdfError> {
        if prf_len == 0 || prf_len > MAX_PRF_LEN {
            return Err(KdfError::PrfLength);
        }
        let length_error = KdfError::OutputLength { actual: self.len };
        let blocks = u32::try_from(self.len.div_ceil(prf_len)).map_err(|_| length_error)?;
        let last_block = blocks.checked_sub(1).ok_or(length_error)?;
        let is_possible = match self.layout {
            Layout::Hmac => last_block == 0,
            Layout::Counter { mode, .. } => {
                let last = mode.start.checked_add(last_block);
                last.is_some_and(|last| last <= mode.width.max()) && bits(self.len).is_some()
            }
        };
        if !is_possible {
            return Err(length_error);
        }
        self.prf_len = prf_len;
        Ok(())
    }

    /// Returns the message of the next block.
    #[inline]
    pub(crate) fn prf_input<'b>(&'b self, input: &'b [u8]) -> PrfInput<'b> {
        match self.layout {
            Layout::Hmac => PrfInput::new(&[], &[], input, &[]),
            Layout::Counter { mode, fixed } => {
                let counter = self.counter.to_be_bytes();
                let counter = counter
                    .get(counter.len().saturating_sub(mode.width.bytes())..)
                    .unwrap_or_default();
                let length = bits(self.len).unwrap_or_default().to_be_bytes();
                let length: &[u8] = if mode.length_field { &length } else { &[] };
                match fixed {
                    FixedInput::Raw => PrfInput::new(counter, &[], input, length),
                    FixedInput::LabelAndContext { label } => {
                        PrfInput::labelled(counter, label, input, length)
                    }
                }
            }
        }
    }

    /// Appends a block to `out`, which has the length of the derived key. Returns true if the key is complete.
    #[inline]
    pub(crate) fn answer(&mut self, block: &[u8], out: &mut [u8]) -> Result<bool, KdfError> {
        if self.prf_len == 0 {
            self.start(block.len())?;
        }
        if block.len() != self.prf_len {
            return Err(KdfError::PrfLength);
        }
        let room = out.get_mut(self.filled..).unwrap_or_default();
        let len = room.len().min(block.len());
        if let (Some(to), Some(from)) = (room.get_mut(..len), block.get(..len)) {
            to.copy_from_slice(from);
            self.filled = self.filled.saturating_add(len);
        }
        self.counter = self.counter.wrapping_add(1);
        Ok(self.filled >= out.len())
    }
}

/// The partially derived key. Wiped when dropped before it is complete.
struct Output<'a> {
    bytes: &'a mut [u8],
    is_complete: bool,
}

impl Drop for Output<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_complete {
            wipe(self.bytes);
        }
    }
}

#[inline]
fn bits(bytes: usize) -> Option<u32> {
    u32::try_from(bytes).ok()?.checked_mul(8)
}
