//! Random bytes of the microcontroller alone.

use crate::Irqs;
use chanbind_core::crypto::sha256;
use embassy_rp::{
    Peri,
    peripherals::TRNG,
    trng::{Config, Trng},
};
use embassy_time::{Duration, with_timeout};

/// A seed of 256 bits from the RP2350's random number generator.
///
/// It samples a ring oscillator, takes the bias out of the bits, and tests them as it goes (RP2350 datasheet, section 12.12). Its
/// bits are not conditioned by any cipher or hash: 512 of them are, twice as many as the seed has, by SHA-256.
///
/// It takes some 6 ms.
///
/// # Errors
/// [`Stuck`]
pub(crate) async fn seed(trng: Peri<'_, TRNG>) -> Result<[u8; 32], Stuck> {
    let mut trng = Trng::new(trng, Irqs, Config::default());
    let mut bits = [0; 64];
    with_timeout(PATIENCE, trng.fill_bytes(&mut bits))
        .await
        .map_err(|_| Stuck)?;
    Ok(sha256(&bits))
}

/// The generator has failed its own tests, and gives nothing. It happens to a good one now and then: a reset starts it anew.
#[derive(Debug, Clone, Copy, defmt::Format)]
pub(crate) struct Stuck;

/// More than a hundred times what it should take.
const PATIENCE: Duration = Duration::from_secs(1);
