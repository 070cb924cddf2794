//! Random bytes of the microcontroller alone.

use chanbind_core::crypto::sha256;
use embassy_rp::{
    Peri, bind_interrupts,
    peripherals::TRNG,
    trng::{self, Config, Trng},
};
use embassy_time::{Duration, with_timeout};

bind_interrupts!(struct Irqs {
    TRNG_IRQ => trng::InterruptHandler<TRNG>;
});

/// Returns a seed of 256 bits from the RP2350's random number generator.
///
/// The generator samples a ring oscillator, removes the bias of the bits, and tests them (RP2350 datasheet, section 12.12). Its bits are
/// not conditioned by a cipher or hash: 512 of them, twice as many as the seed has, are hashed with SHA-256 here.
///
/// Takes about 6 ms.
///
/// # Errors
/// [`Stuck`]
pub(crate) async fn seed(trng: Peri<'_, TRNG>) -> Result<[u8; 32], Stuck> {
    let mut trng = Trng::new(trng, Irqs, Config::default());
    let mut bits = [0; 64];
    with_timeout(TIME_LIMIT, trng.fill_bytes(&mut bits))
        .await
        .map_err(|_| Stuck)?;
    Ok(sha256(&bits))
}

/// The generator has failed its own tests. This happens to a good one now and then: a reset starts it anew.
#[derive(Debug, Clone, Copy, defmt::Format)]
pub(crate) struct Stuck;

/// More than a hundred times the expected time.
const TIME_LIMIT: Duration = Duration::from_secs(1);
