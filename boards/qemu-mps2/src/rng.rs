//! A seed from the host, for the emulated board only: the machine has no source of randomness.
//!
//! A real board takes its own (a TRNG, or the TPM's); who can read this seed reads what is encrypted with it.

use crate::HostError;
use semihosting::{fs::File, io::Read};

/// 32 bytes of the host's `/dev/urandom`, other ones at every call.
///
/// # Errors
/// [`HostError`], also on a host that has no such file
pub fn seed() -> Result<[u8; 32], HostError> {
    let mut seed = [0; 32];
    File::open(c"/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}
