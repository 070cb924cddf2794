//! Random bytes of the microcontroller alone.

use embassy_rp::clocks::RoscRng;
use sha2::{Digest, Sha256};

/// Returns a seed of 256 bits from the jitter of the ring oscillator.
///
/// The RP2040 has no random number generator, only a bit that shows the state of the ring oscillator (RP2040 datasheet, section
/// 2.17.7, which warns of its use for security). Its raw bits are biased, and correlated where they are read faster than the
/// oscillator swings. So 1024 groups of 8 bits are read with pauses between them, and hashed with SHA-256: if each group holds half
/// a bit of entropy, that is twice as many bits as the seed has.
///
/// This half bit is an assumption, and an attacker who cools, heats or irradiates the part may lower it. Mix in the TPM's random
/// numbers ([`chanbind_tpm_spi::Tpm::random`]): a hash of both is as good as the better of the two. Until the first encrypted
/// session the TPM's numbers can be read on the bus: the salt of that session depends on this seed alone.
///
/// Takes 5 ms. The oscillator must run beside the crystal, as it does after [`embassy_rp::init`] with its defaults.
///
/// # Errors
/// [`Stuck`]
pub(crate) fn seed() -> Result<[u8; 32], Stuck> {
    let mut hash = Sha256::new();
    let mut last = None;
    let mut same = 0_u32;
    for _ in 0..GROUPS {
        let group = RoscRng::next_u8();
        if last.replace(group) == Some(group) {
            same = same.saturating_add(1);
            if same >= LONGEST_REPETITION {
                return Err(Stuck);
            }
        } else {
            same = 0;
        }
        hash.update([group]);
        cortex_m::asm::delay(PAUSE);
    }
    Ok(hash.finalize().into())
}

/// The ring oscillator gives the same bits again and again: it does not run, or it is synchronous with the processor.
#[derive(Debug, Clone, Copy, defmt::Format)]
pub(crate) struct Stuck;

/// With half a bit of entropy in each group, twice as many as a seed of 256 bits needs.
const GROUPS: u32 = 1024;

/// Repetitions of one group that a good source shows once in 2^32 seeds or less (NIST SP 800-90B, section 4.4.1, with half a bit
/// in each group, over [`GROUPS`] groups).
const LONGEST_REPETITION: u32 = 84;

/// 5 us at 125 MHz: some 30 swings at 6.5 MHz, and not a multiple of one.
const PAUSE: u32 = 613;
