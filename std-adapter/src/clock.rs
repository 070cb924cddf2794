use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the seconds since 1970-01-01T00:00:00Z, or 0 if the clock is set to an earlier time.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
