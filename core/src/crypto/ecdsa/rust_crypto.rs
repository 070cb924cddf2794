use super::{P256, PUBLIC_KEY_LEN, Signature};
use p256::{
    FieldBytes,
    ecdsa::{self, VerifyingKey, signature::hazmat::PrehashVerifier},
};

/// The implementation by the crate `p256`, for every target.
pub static RUST_CRYPTO: &dyn P256 = &RustCrypto;

#[derive(Debug)]
struct RustCrypto;

impl P256 for RustCrypto {
    fn verify(
        &self,
        public_key: &[u8; PUBLIC_KEY_LEN],
        digest: &[u8; 32],
        signature: &Signature,
    ) -> bool {
        let Ok(key) = VerifyingKey::from_sec1_bytes(public_key) else {
            return false;
        };
        let (r, s): (FieldBytes, FieldBytes) = (signature.r.into(), signature.s.into());
        ecdsa::Signature::from_scalars(r, s)
            .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok())
    }
}
