use crate::crypto::{HmacSha256State, wipe};
use core::{convert::Infallible, fmt};
use digest::Output;
use hmac::{Hmac, Mac};
use sha2::{Sha384, Sha512};
use zeroize::optimization_barrier;

/// The maximum length of a PRF output in bytes, which is that of HMAC-SHA-512.
pub const MAX_PRF_LEN: usize = 64;

/// A keyed pseudorandom function with a blocking interface. It takes `&mut self` because hardware serves one caller at a time.
pub trait Prf {
    /// The error of the implementation.
    type Error;

    /// Returns the length of an output: 1 to [`MAX_PRF_LEN`] bytes.
    fn output_len(&self) -> usize;

    /// Computes the PRF over `input` and writes the output to `out`, which has [`Prf::output_len`] bytes.
    ///
    /// # Errors
    /// [`Prf::Error`] if the implementation fails, for example because a TPM rejects the command.
    fn compute(&mut self, input: &PrfInput<'_>, out: &mut [u8]) -> Result<(), Self::Error>;
}

/// The input of a PRF, as parts that must be concatenated.
#[derive(Clone, Copy)]
pub struct PrfInput<'a> {
    counter: ([u8; 4], usize),
    label: &'a [u8],
    separator: &'static [u8],
    input: &'a [u8],
    length: ([u8; 4], usize),
}

impl<'a> PrfInput<'a> {
    /// Returns the parts in order. Some of them may be empty.
    #[must_use]
    #[inline]
    pub fn parts(&self) -> [&[u8]; 5] {
        [
            self.counter.0.get(..self.counter.1).unwrap_or_default(),
            self.label,
            self.separator,
            self.input,
            self.length.0.get(..self.length.1).unwrap_or_default(),
        ]
    }

    /// Returns the total length of all parts, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts()
            .iter()
            .fold(0usize, |sum, part| sum.saturating_add(part.len()))
    }

    /// Returns whether all parts are empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the concatenated parts to the front of `out`, for hardware that takes a single buffer. Returns `None` if `out` is
    /// shorter than [`PrfInput::len`].
    #[must_use]
    pub fn copy_to<'b>(&self, out: &'b mut [u8]) -> Option<&'b mut [u8]> {
        let out = out.get_mut(..self.len())?;
        let bytes = self.parts().into_iter().flatten();
        for (to, from) in out.iter_mut().zip(bytes) {
            *to = *from;
        }
        Some(out)
    }

    #[inline]
    pub(super) fn new(counter: &[u8], label: &'a [u8], input: &'a [u8], length: &[u8]) -> Self {
        Self {
            counter: short(counter),
            label,
            separator: &[],
            input,
            length: short(length),
        }
    }

    #[inline]
    pub(super) fn labelled(
        counter: &[u8],
        label: &'a [u8],
        input: &'a [u8],
        length: &[u8],
    ) -> Self {
        Self {
            separator: &[0],
            ..Self::new(counter, label, input, length)
        }
    }
}

/// Wraps an input that is already in one piece, for example that of a prover outside this crate.
impl<'a> From<&'a [u8]> for PrfInput<'a> {
    #[inline]
    fn from(input: &'a [u8]) -> Self {
        Self::new(&[], &[], input, &[])
    }
}

impl fmt::Debug for PrfInput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrfInput({} bytes, hidden)", self.len())
    }
}

/// Copies up to four bytes and returns them with their number.
#[inline]
fn short(bytes: &[u8]) -> ([u8; 4], usize) {
    let mut value = [0; 4];
    let mut len = 0usize;
    for (to, from) in value.iter_mut().zip(bytes) {
        *to = *from;
        len = len.saturating_add(1);
    }
    (value, len)
}

macro_rules! software_hmac {
    ($name:ident, $state:ty, $len:literal, $doc:literal) => {
        #[doc = $doc]
        ///
        /// The key is absorbed once, which saves two compressions of the hash for each output. Wiped when dropped.
        pub struct $name($state);

        impl Prf for $name {
            type Error = Infallible;

            fn output_len(&self) -> usize {
                $len
            }

            fn compute(&mut self, input: &PrfInput<'_>, out: &mut [u8]) -> Result<(), Infallible> {
                Prf::compute(&mut &*self, input, out)
            }
        }

        /// Allows several callers to share one key.
        impl Prf for &$name {
            type Error = Infallible;

            fn output_len(&self) -> usize {
                $len
            }

            fn compute(&mut self, input: &PrfInput<'_>, out: &mut [u8]) -> Result<(), Infallible> {
                let mut mac = self.mac(input.parts());
                if let Some(to) = out.get_mut(..$len) {
                    to.copy_from_slice(&mac);
                }
                wipe(&mut mac);
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(hidden)"))
            }
        }
    };
}

software_hmac!(
    HmacSha256,
    HmacSha256State,
    32,
    "HMAC-SHA-256 in software (RFC 2104), for example for the key of a gateway."
);
software_hmac!(
    HmacSha384,
    Hmac<Sha384>,
    48,
    "HMAC-SHA-384 in software (RFC 2104)."
);
software_hmac!(
    HmacSha512,
    Hmac<Sha512>,
    64,
    "HMAC-SHA-512 in software (RFC 2104)."
);

impl HmacSha256 {
    /// Creates a PRF from a key of any length. SP 800-107 requires entropy of at least half the length of the hash.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(HmacSha256State::new(key))
    }

    fn mac(&self, parts: [&[u8]; 5]) -> [u8; 32] {
        self.0.mac(parts)
    }
}

macro_rules! implement_with_hmac_crate {
    ($name:ident, $hash:ty) => {
        impl $name {
            /// Creates a PRF from a key of any length. SP 800-107 requires entropy of at least half the length of the hash.
            #[must_use]
            pub fn new(key: &[u8]) -> Self {
                // HMAC accepts keys of every length (RFC 2104 section 3), so the fallback is never used.
                Self(Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default())))
            }

            fn mac(&self, parts: [&[u8]; 5]) -> Output<$hash> {
                let mut mac = self.0.clone();
                for part in parts {
                    mac.update(part);
                }
                mac.finalize().into_bytes()
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                self.0 = Hmac::new(&Default::default());
                optimization_barrier(&self.0);
            }
        }
    };
}

implement_with_hmac_crate!(HmacSha384, Sha384);
implement_with_hmac_crate!(HmacSha512, Sha512);
