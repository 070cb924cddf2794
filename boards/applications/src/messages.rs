//! The messages of the example applications, in JSON: readings that a device sends, and commands that it gets.
//!
//! ```json
//! {"number":1,"uptime_ms":1500,"millicelsius":20000}
//! {"interval_ms":250}
//! ```

use core::ops::RangeInclusive;
use embassy_time::{Duration, Instant};
use serde::{Deserialize, Serialize};

/// The longest reading in JSON, in bytes.
pub(crate) const MAX_READING_LEN: usize = 96;
/// The longest command in JSON, in bytes.
pub(crate) const MAX_COMMAND_LEN: usize = 64;
/// The intervals in milliseconds that a command may set. A gateway that is wrong must neither flood itself nor silence the device.
const INTERVALS: RangeInclusive<u32> = 100..=3_600_000;

/// A reading.
#[derive(Serialize)]
pub(crate) struct Reading {
    /// Counts the readings since the start. A reading that was not answered is sent again, with the same number.
    number: u32,
    /// The time of the measurement, in milliseconds since the start.
    uptime_ms: u64,
    /// The temperature.
    millicelsius: i32,
}

impl Reading {
    /// Creates a reading that was taken now.
    pub(crate) fn now(number: u32, millicelsius: i32) -> Self {
        Self {
            number,
            uptime_ms: Instant::now().as_millis(),
            millicelsius,
        }
    }

    /// Writes the reading in JSON, and returns its length.
    pub(crate) fn write(&self, out: &mut [u8; MAX_READING_LEN]) -> usize {
        // Every reading fits: its three numbers have 41 digits at most.
        serde_json_core::to_slice(self, out).unwrap_or(0)
    }
}

/// A command. A field that is absent, or unknown here, changes nothing.
#[derive(Deserialize)]
struct Command {
    /// The time from one reading to the next.
    #[serde(default)]
    interval_ms: Option<u32>,
}

/// Reads a command in JSON, logs it, and returns the interval that it sets, if it sets one that is allowed.
pub(crate) fn interval_of(command: &[u8]) -> Option<Duration> {
    let Ok((command, _)) = serde_json_core::from_slice::<Command>(command) else {
        defmt::warn!("event=command-malformed len={=usize}", command.len());
        return None;
    };
    let millis = command.interval_ms?;
    if !INTERVALS.contains(&millis) {
        defmt::warn!("event=command-refused interval_ms={=u32}", millis);
        return None;
    }
    defmt::info!("event=command interval_ms={=u32}", millis);
    Some(Duration::from_millis(u64::from(millis)))
}
