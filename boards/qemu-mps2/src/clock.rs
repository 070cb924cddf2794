//! The time of day from the host, for the emulated board only: the machine has no calendar.

use crate::HostError;
use semihosting::sys::arm_compat::sys_time;

/// Seconds since 1970-01-01 00:00 UTC, until the year 2106.
///
/// # Errors
/// [`HostError`]
pub fn seconds_since_1970() -> Result<u64, HostError> {
    // usize has 32 bits here: nothing is lost.
    Ok(sys_time()? as u64)
}
