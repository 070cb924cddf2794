use crate::slots::Id;
use rand_core::{CryptoRng, Error, RngCore};

/// The caller's random number generator. The first request for 32 bytes yields the random of the ClientHello, which is recorded.
pub(crate) struct TranscriptRng<'a, R> {
    rng: &'a mut R,
    slot: Id,
}

impl<'a, R: CryptoRng + RngCore> TranscriptRng<'a, R> {
    pub(crate) fn new(rng: &'a mut R, slot: Id) -> Self {
        Self { rng, slot }
    }
}

impl<R: RngCore> RngCore for TranscriptRng<'_, R> {
    fn next_u32(&mut self) -> u32 {
        self.rng.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.rng.next_u64()
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.rng.fill_bytes(dest);
        if let Ok(random) = <&[u8; 32]>::try_from(&*dest) {
            self.slot.note_random(random);
        }
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl<R: RngCore> CryptoRng for TranscriptRng<'_, R> {}
