//! Key derivation by SP 800-108 counter mode over any PRF, and by the bare PRF.
//!
//! The PRF is a request and an answer: [`Layout::derivation`] hands out what is to be computed and takes back the result, so
//! that a TPM behind a slow bus, an async driver and an HMAC in software drive the same code. [`derive()`] and
//! [`derive_async`] are those loops.
//!
//! ```
//! use chanbind_core::kdf::{HmacSha256, Layout, derive};
//!
//! let mut key = [0; 32];
//! derive(&Layout::VAULT, b"keying material", &mut HmacSha256::new(b"my_api_key"), &mut key)?;
//! # Ok::<(), chanbind_core::kdf::DeriveError<core::convert::Infallible>>(())
//! ```
//!
//! The same, with the PRF computed by whoever holds the key:
//!
//! ```
//! use chanbind_core::kdf::{HmacSha256, Layout, Prf, Step};
//! # let mut far_away = HmacSha256::new(b"my_api_key");
//! let mut key = [0; 32];
//! let mut step = Layout::VAULT.derivation(b"keying material", 32, &mut key)?;
//! while let Step::Prf(pending) = step {
//!     let mut block = [0; 32];
//!     far_away.compute(&pending.input(), &mut block).unwrap();
//!     step = pending.answer(&block)?;
//! }
//! # Ok::<(), chanbind_core::kdf::KdfError>(())
//! ```

mod derivation;
mod layout;
mod prf;

pub use derivation::{Pending, Step};
pub use layout::{CounterMode, CounterWidth, FixedInput, Layout};
pub use prf::{AsyncPrf, HmacSha256, HmacSha384, HmacSha512, MAX_PRF_LEN, Prf, PrfInput};

use crate::crypto::SecretBytes;
use core::fmt;

/// Derives a key of `out.len()` bytes from `input` with a PRF that answers at once.
///
/// # Errors
/// [`DeriveError`]; `out` is then all zeroes.
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

/// Derives a key of `out.len()` bytes from `input` with a PRF that has to be waited for.
///
/// # Errors
/// [`DeriveError`]; `out` is then all zeroes, also when the future is dropped after it was first polled.
pub async fn derive_async<P: AsyncPrf>(
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
            .await
            .map_err(DeriveError::Prf)?;
        step = pending.answer(block).map_err(DeriveError::Kdf)?;
    }
    Ok(())
}

/// What cannot be derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KdfError {
    /// No bytes were asked for, or more than the layout can give before its counter or its length field runs over.
    OutputLength {
        /// Bytes asked for.
        actual: usize,
    },
    /// The PRF's output length is 0 or over [`MAX_PRF_LEN`], or an answer of another length came.
    PrfLength,
}

impl fmt::Display for KdfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutputLength { actual } => write!(
                f,
                "{actual} bytes cannot be derived with this layout: ask for at least one and no more than its counter can number"
            ),
            Self::PrfLength => write!(
                f,
                "the PRF's answer has the wrong length: it must be the length announced, 1 to {MAX_PRF_LEN} bytes"
            ),
        }
    }
}

impl core::error::Error for KdfError {}

/// Why a derivation failed: for a reason of its own, or by the PRF's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeriveError<E> {
    /// The layout cannot give what was asked for.
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
