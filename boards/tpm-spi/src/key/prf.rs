use super::{HmacKey, TpmKeys};
use crate::{
    blocking::{self, BlockingChip},
    error::Error,
};
use chanbind_core::{
    crypto::SecretBytes,
    kdf::{Prf, PrfInput},
};
use rand_core::{CryptoRng, RngCore};

/// An HMAC key in a blocking chip as a PRF, with which `chanbind_core` derives keys. Async code answers the requests of core's state
/// machines with [`TpmKeys::hmac`].
pub struct HmacPrf<'a, 'k, 'm, C, R> {
    pub(super) keys: &'a mut TpmKeys<'m, C, R>,
    pub(super) key: &'a mut HmacKey<'k, 'm>,
}

impl<C: BlockingChip, R: CryptoRng + RngCore> Prf for HmacPrf<'_, '_, '_, C, R> {
    type Error = Error<C::Error>;

    fn output_len(&self) -> usize {
        32
    }

    fn compute(&mut self, input: &PrfInput<'_>, out: &mut [u8]) -> Result<(), Self::Error> {
        let mut hmac = SecretBytes::<32>::default();
        blocking::run(self.keys.hmac(self.key, &input.parts(), &mut hmac))?;
        for (to, from) in out.iter_mut().zip(hmac.iter()) {
            *to = *from;
        }
        Ok(())
    }
}
