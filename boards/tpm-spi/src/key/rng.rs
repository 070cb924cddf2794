use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, Error, RngCore, SeedableRng};

/// A ChaCha20 generator that is seeded from the TPM's generator through an encrypted session.
///
/// It serves code that needs a `rand_core` 0.6 generator, whose interface can neither wait for a chip nor report its failure.
/// Create a new one from time to time.
pub struct TpmRng(ChaCha20Rng);

impl TpmRng {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(*seed))
    }
}

impl Drop for TpmRng {
    fn drop(&mut self) {
        self.0 = ChaCha20Rng::from_seed([0; 32]);
        zeroize::optimization_barrier(&self.0);
    }
}

impl RngCore for TpmRng {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.fill_bytes(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.0.try_fill_bytes(dest)
    }
}

impl CryptoRng for TpmRng {}
