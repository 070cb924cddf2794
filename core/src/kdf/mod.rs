//! Key derivation in SP 800-108 counter mode over any PRF, and by a single call of the PRF.
//!
//! [`Layout::derivation`] is a state machine: it returns each input of the PRF and takes the PRF's output. The PRF can therefore
//! be computed by a TPM behind a slow bus, by an async driver or by an HMAC in software. [`derive()`] is the loop that drives it
//! with a blocking PRF.
//!
//! ```
//! use chanbind_core::kdf::{HmacSha256, Layout, derive};
//!
//! let mut key = [0; 32];
//! derive(&Layout::VAULT, b"keying material", &mut HmacSha256::new(b"my_api_key"), &mut key)?;
//! # Ok::<(), chanbind_core::kdf::DeriveError<core::convert::Infallible>>(())
//! ```
//!
//! The same derivation, driven by the caller:
//!
//! ```
//! use chanbind_core::kdf::{HmacSha256, Layout, Prf, Step};
//! # let mut remote_prf = HmacSha256::new(b"my_api_key");
//! let mut key = [0; 32];
//! let mut step = Layout::VAULT.derivation(b"keying material", 32, &mut key)?;
//! while let Step::Prf(pending) = step {
//!     let mut block = [0; 32];
//!     remote_prf.compute(&pending.input(), &mut block).unwrap();
//!     step = pending.answer(&block)?;
//! }
//! # Ok::<(), chanbind_core::kdf::KdfError>(())
//! ```

mod derivation;
mod layout;
mod prf;

pub(crate) use derivation::Progress;
pub use derivation::{Pending, Step};
pub use layout::{CounterMode, CounterWidth, FixedInput, Layout};
pub use prf::{HmacSha256, HmacSha384, HmacSha512, MAX_PRF_LEN, Prf, PrfInput};

use crate::crypto::SecretBytes;
use crate::error_messages;
use core::fmt;

/// Derives a key of `out.len()` bytes from `input` with a blocking PRF.
///
/// # Errors
/// [`DeriveError::Kdf`] if the layout cannot derive `out.len()` bytes or the PRF's output length is invalid,
/// [`DeriveError::Prf`] if the PRF fails. `out` is then zeroed, unless the PRF's output is longer than [`MAX_PRF_LEN`]: `out` is
/// then unchanged.
pub fn derive<P: Prf>(
    layout: &Layout<'_>,
    input: &[u8],
    prf: &mut P,
    out: &mut [u8],
) -> Result<(), DeriveError<P::Error>> {
    let mut buffer = SecretBytes::<MAX_PRF_LEN>::default();
    let block = buffer
        .get_mut(..prf.output_len())
        .ok_or(DeriveError::Kdf(KdfError::PrfLength))?;
    let mut step = layout
        .derivation(input, block.len(), out)
        .map_err(DeriveError::Kdf)?;
    while let Step::Prf(pending) = step {
        prf.compute(&pending.input(), block)
            .map_err(DeriveError::Prf)?;
        step = pending.answer(block).map_err(DeriveError::Kdf)?;
    }
    Ok(())
}

/// The error of a derivation, apart from errors of the PRF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KdfError {
    /// Zero bytes were requested, or more than the layout can derive before its counter or its length field overflows.
    OutputLength {
        /// The number of bytes that were requested.
        actual: usize,
    },
    /// The announced output length of the PRF is 0 or more than [`MAX_PRF_LEN`] bytes, or an output has another length.
    PrfLength,
}

error_messages! { KdfError {
    Self::OutputLength { actual } => "this layout cannot derive {} bytes: request at least 1 byte, and no more blocks than its counter can number", actual;
    Self::PrfLength => "the PRF's output has the wrong length: it must have the announced length, 1 to {} bytes", MAX_PRF_LEN;
}}

impl core::error::Error for KdfError {}

/// The error of [`derive()`]; `E` is the error of the PRF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeriveError<E> {
    /// The requested length or the PRF's output length is invalid.
    Kdf(KdfError),
    /// The PRF failed.
    Prf(E),
}

impl<E: fmt::Display> fmt::Display for DeriveError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kdf(error) => fmt::Display::fmt(error, f),
            Self::Prf(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for DeriveError<E> {}
