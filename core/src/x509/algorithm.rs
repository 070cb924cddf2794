use super::{P256, SignatureScheme};
use crate::crypto::{
    ecdsa::{PUBLIC_KEY_LEN, Signature},
    sha256,
};
use rustls_pki_types::SignatureVerificationAlgorithm;

/// Algorithms that verify signatures, for a host whose cryptographic library supports more than P-256.
#[derive(Debug, Clone, Copy)]
pub struct Algorithms<'a> {
    /// The algorithms for signatures in certificates.
    pub certificates: &'a [&'a dyn SignatureVerificationAlgorithm],
    /// The algorithms for signatures by the leaf's key, each with its scheme.
    pub schemes: &'a [(SignatureScheme, &'a dyn SignatureVerificationAlgorithm)],
}

/// Returns whether `signature` is a valid ecdsa-with-SHA256 signature over `message` by `key`, which is on P-256.
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
