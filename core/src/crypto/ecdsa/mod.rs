//! ECDSA on P-256 with SHA-256 (FIPS 186-5 section 6), behind a trait that hardware or assembler can stand behind.
//!
//! Verifying takes most of a handshake's time on a microcontroller: [`RUST_CRYPTO`] runs everywhere, `CM4` (feature `p256-cm4`) is
//! assembler for Cortex-M4. The Cortex-M33 has its instructions too, but rustc 1.95 does not assemble them for thumbv8m.

#[cfg(all(feature = "p256-cm4", target_arch = "arm"))]
mod cm4;
mod rust_crypto;
mod signature;

#[cfg(all(feature = "p256-cm4", target_arch = "arm"))]
pub use cm4::CM4;
pub use rust_crypto::RUST_CRYPTO;
pub use signature::{MAX_DER_LEN, Signature};

use core::fmt;

/// The length of a public key: `04`, x, y (SEC 1 section 2.3.3, uncompressed).
pub const PUBLIC_KEY_LEN: usize = 65;

/// ECDSA on P-256, verified.
pub trait P256: fmt::Debug + Send + Sync {
    /// Whether `signature` is one of the private key of `public_key` over `digest`; `false` also for points that are not on the
    /// curve and for scalars out of range.
    fn verify(
        &self,
        public_key: &[u8; PUBLIC_KEY_LEN],
        digest: &[u8; 32],
        signature: &Signature,
    ) -> bool;
}
