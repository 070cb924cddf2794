use super::{P256, SignatureScheme};
use crate::crypto::{
    ecdsa::{PUBLIC_KEY_LEN, Signature},
    sha256,
};
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

/// What signatures are verified with. Firmware has P-256 alone; a host has a library with more, whose algorithms it lends.
#[derive(Debug, Clone, Copy)]
pub struct Algorithms<'a> {
    /// Of signatures in certificates.
    pub certificates: &'a [&'a dyn SignatureVerificationAlgorithm],
    /// Of signatures by the leaf's key: each scheme with its algorithm.
    pub schemes: &'a [(SignatureScheme, &'a dyn SignatureVerificationAlgorithm)],
}

/// ecdsa-with-SHA256 by a key on P-256, as webpki asks for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct EcdsaP256Sha256(pub(super) &'static dyn P256);

impl SignatureVerificationAlgorithm for EcdsaP256Sha256 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let public_key: &[u8; PUBLIC_KEY_LEN] =
            public_key.try_into().map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        if self.0.verify(public_key, &sha256(message), &signature) {
            Ok(())
        } else {
            Err(InvalidSignature)
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}
