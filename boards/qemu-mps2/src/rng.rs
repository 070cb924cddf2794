//! A random seed from the host, for the emulated board only: the machine has no source of randomness.
//!
//! A real board uses its own source, a TRNG or the TPM. An attacker who can read this seed can decrypt data protected with it.

use crate::HostError;
use semihosting::{fs::File, io::Read};

/// Returns 32 bytes of the host's `/dev/urandom`, different ones for each call.
///
/// # Errors
/// [`HostError`] if the host refuses the request or has no such file.
pub fn seed() -> Result<[u8; 32], HostError> {
    let mut seed = [0; 32];
    File::open(c"/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}
