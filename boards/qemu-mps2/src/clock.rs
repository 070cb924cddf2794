//! The host's time of day, for the emulated board only: the machine has no calendar.

use crate::HostError;
use semihosting::sys::arm_compat::sys_time;

/// Returns the seconds since 1970-01-01 00:00 UTC, until the year 2106.
///
/// # Errors
/// [`HostError`] if the host refuses the request.
#[allow(
    clippy::as_conversions,
    reason = "usize has 32 bits on this machine, so the conversion is lossless"
)]
pub fn seconds_since_1970() -> Result<u64, HostError> {
    Ok(sys_time()? as u64)
}
