use super::{HmacKey, TpmKeys};
use crate::{
    blocking::{self, BlockingChip},
    chip::Chip,
    error::Error,
};
use chanbind_core::{
    crypto::SecretBytes,
    kdf::{AsyncPrf, Prf, PrfInput},
};
use rand_core::{CryptoRng, RngCore};

/// An HMAC key in the chip as a PRF, with which `chanbind_core` derives keys: [`AsyncPrf`] for every chip, [`Prf`] for blocking
/// chips.
pub struct HmacPrf<'a, 'k, 'm, C, R> {
    pub(super) keys: &'a mut TpmKeys<'m, C, R>,
    pub(super) key: &'a mut HmacKey<'k, 'm>,
}

impl<C: Chip, R: CryptoRng + RngCore> AsyncPrf for HmacPrf<'_, '_, '_, C, R> {
    type Error = Error<C::Error>;

    fn output_len(&self) -> usize {
        32
    }

    async fn compute(&mut self, input: &PrfInput<'_>, out: &mut [u8]) -> Result<(), Self::Error> {
        let mut hmac = SecretBytes::<32>::default();
        self.keys.hmac(self.key, &input.parts(), &mut hmac).await?;
        for (to, from) in out.iter_mut().zip(hmac.iter()) {
            *to = *from;
        }
        Ok(())
    }
}

impl<C: BlockingChip, R: CryptoRng + RngCore> Prf for HmacPrf<'_, '_, '_, C, R> {
    type Error = Error<C::Error>;

    fn output_len(&self) -> usize {
        32
    }

    fn compute(&mut self, input: &PrfInput<'_>, out: &mut [u8]) -> Result<(), Self::Error> {
        blocking::run(AsyncPrf::compute(self, input, out))
    }
}
