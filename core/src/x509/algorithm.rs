use super::{P256, SignatureScheme};
use crate::crypto::{
    ecdsa::{PUBLIC_KEY_LEN, Signature},
    sha256,
};
use rustls_pki_types::SignatureVerificationAlgorithm;

/// What signatures are verified with. Firmware has P-256 alone; a host has a library with more, whose algorithms it lends.
#[derive(Debug, Clone, Copy)]
pub struct Algorithms<'a> {
    /// Of signatures in certificates.
    pub certificates: &'a [&'a dyn SignatureVerificationAlgorithm],
    /// Of signatures by the leaf's key: each scheme with its algorithm.
    pub schemes: &'a [(SignatureScheme, &'a dyn SignatureVerificationAlgorithm)],
}

/// Whether a message has this ecdsa-with-SHA256 signature by a key on P-256.
#[inline(never)]
pub(super) fn is_signed(
    p256: &dyn P256,
    key: &[u8; PUBLIC_KEY_LEN],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let signature = Signature::from_der(signature);
    signature.is_ok_and(|signature| p256.verify(key, &sha256(message), &signature))
}
