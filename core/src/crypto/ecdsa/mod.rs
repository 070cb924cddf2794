//! ECDSA on P-256 with SHA-256 (FIPS 186-5 section 6), behind a trait that hardware or assembly code can implement.
//!
//! On a microcontroller, signature verification takes most of the time of a handshake. `RUST_CRYPTO` (feature `x509`) runs on every
//! target; `CM4` (feature `p256-cm4`) is assembly code for Cortex-M4. A Cortex-M33 has the required instructions too, but rustc 1.95 does not
//! assemble them for thumbv8m.

#[cfg(all(feature = "p256-cm4", target_arch = "arm"))]
mod cm4;
mod point;
#[cfg(feature = "x509")]
mod rust_crypto;
mod signature;

#[cfg(all(feature = "p256-cm4", target_arch = "arm"))]
pub use cm4::CM4;
pub use point::PublicPoint;
#[cfg(feature = "x509")]
pub use rust_crypto::RUST_CRYPTO;
pub use signature::{MAX_DER_LEN, Signature};

use core::fmt;

/// The length of an uncompressed public key in bytes: `04`, x, y (SEC 1 section 2.3.3).
pub const PUBLIC_KEY_LEN: usize = 65;

/// An implementation of ECDSA signature verification on P-256.
pub trait P256: fmt::Debug + Send + Sync {
    /// Returns whether `signature` is a valid signature over `digest` by the private key of `public_key`. Returns `false` if the
    /// public key is not a point on the curve, or if a scalar of the signature is out of range.
    fn verify(
        &self,
        public_key: &[u8; PUBLIC_KEY_LEN],
        digest: &[u8; 32],
        signature: &Signature,
    ) -> bool;
}
