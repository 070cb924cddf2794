//! The implementation by which a device verifies signatures.

use chanbind_core::crypto::ecdsa::{self, P256};

/// Returns ECDSA on P-256: in assembler with the feature `p256-cm4`, on processors that have its instructions.
pub(crate) fn p256() -> &'static dyn P256 {
    #[cfg(all(feature = "p256-cm4", target_arch = "arm"))]
    return ecdsa::CM4;
    #[cfg(not(all(feature = "p256-cm4", target_arch = "arm")))]
    ecdsa::RUST_CRYPTO
}
