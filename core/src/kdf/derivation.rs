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
    layout: Layout<'a>,
    input: &'a [u8],
    prf_len: usize,
    counter: u32,
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
        match self.first_counter(prf_len, out.len()) {
            Ok(counter) => Ok(Step::Prf(Pending {
                layout: *self,
                input,
                prf_len,
                counter,
                output: Output {
                    bytes: out,
                    filled: 0,
                },
            })),
            Err(error) => {
                wipe(out);
                Err(error)
            }
        }
    }

    #[inline]
    fn first_counter(&self, prf_len: usize, out_len: usize) -> Result<u32, KdfError> {
        if prf_len == 0 || prf_len > MAX_PRF_LEN {
            return Err(KdfError::PrfLength);
        }
        let length_error = KdfError::OutputLength { actual: out_len };
        let blocks = u32::try_from(out_len.div_ceil(prf_len)).map_err(|_| length_error)?;
        let last_block = blocks.checked_sub(1).ok_or(length_error)?;
        match self {
            Self::Hmac if last_block == 0 => Ok(0),
            Self::Hmac => Err(length_error),
            Self::Counter { mode, .. } => {
                if mode
                    .start
                    .checked_add(last_block)
                    .is_none_or(|last| last > mode.width.max())
                    || bits(out_len).is_none()
                {
                    return Err(length_error);
                }
                Ok(mode.start)
            }
        }
    }
}

impl<'a> Pending<'a> {
    /// Returns the input for the next call of the PRF.
    #[must_use]
    #[inline]
    pub fn input(&self) -> PrfInput<'_> {
        match self.layout {
            Layout::Hmac => PrfInput::new(&[], &[], self.input, &[]),
            Layout::Counter { mode, fixed } => {
                let counter = self.counter.to_be_bytes();
                let counter = counter
                    .get(counter.len().saturating_sub(mode.width.bytes())..)
                    .unwrap_or_default();
                let length = bits(self.output.bytes.len())
                    .unwrap_or_default()
                    .to_be_bytes();
                let length: &[u8] = if mode.length_field { &length } else { &[] };
                match fixed {
                    FixedInput::Raw => PrfInput::new(counter, &[], self.input, length),
                    FixedInput::LabelAndContext { label } => {
                        PrfInput::labelled(counter, label, self.input, length)
                    }
                }
            }
        }
    }

    /// Takes an output of the PRF and returns the next state.
    ///
    /// # Errors
    /// [`KdfError::PrfLength`] if `block` does not have the announced length; the caller's buffer is then wiped.
    #[inline]
    pub fn answer(mut self, block: &[u8]) -> Result<Step<'a>, KdfError> {
        if block.len() != self.prf_len {
            return Err(KdfError::PrfLength);
        }
        self.output.append(block);
        if self.output.is_complete() {
            return Ok(Step::Done);
        }
        self.counter = self.counter.wrapping_add(1);
        Ok(Step::Prf(self))
    }
}

/// The partially derived key. Wiped when dropped before it is complete.
struct Output<'a> {
    bytes: &'a mut [u8],
    filled: usize,
}

impl Output<'_> {
    #[inline]
    fn append(&mut self, block: &[u8]) {
        let room = self.bytes.get_mut(self.filled..).unwrap_or_default();
        let len = room.len().min(block.len());
        if let (Some(to), Some(from)) = (room.get_mut(..len), block.get(..len)) {
            to.copy_from_slice(from);
            self.filled = self.filled.saturating_add(len);
        }
    }

    #[inline]
    fn is_complete(&self) -> bool {
        self.filled == self.bytes.len()
    }
}

impl Drop for Output<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_complete() {
            wipe(self.bytes);
        }
    }
}

#[inline]
fn bits(bytes: usize) -> Option<u32> {
    u32::try_from(bytes).ok()?.checked_mul(8)
}
