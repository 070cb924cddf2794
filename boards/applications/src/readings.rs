//! Sends a reading by POST at an interval, and obeys the command in the response.
//!
//! The device sends this to the configured path:
//!
//! ```json
//! {"number":1,"uptime_ms":1500,"millicelsius":20000}
//! ```
//!
//! The gateway may answer with a command, or with no content:
//!
//! ```json
//! {"interval_ms":250}
//! ```

use crate::Sensor;
use chanbind_device::{
    Application, Outgoing,
    config::Config,
    http::{HttpError, Request, Response},
};
use core::ops::RangeInclusive;
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::Read;
use serde::{Deserialize, Serialize};

/// The longest reading in JSON, in bytes.
const MAX_READING_LEN: usize = 96;
/// The longest command in JSON, in bytes.
const MAX_COMMAND_LEN: usize = 64;
/// The intervals in milliseconds that a command may set. A gateway that is wrong must neither flood itself nor silence the device.
const INTERVALS: RangeInclusive<u32> = 100..=3_600_000;

/// A reading, as it is sent.
#[derive(Serialize)]
struct Reading {
    /// Counts the readings since the start. A reading that was not answered is sent again, with the same number.
    number: u32,
    /// The time of the measurement, in milliseconds since the start.
    uptime_ms: u64,
    /// The temperature.
    millicelsius: i32,
}

/// A command of the gateway. A field that is absent, or unknown here, changes nothing.
#[derive(Deserialize)]
struct Command {
    /// The time from one reading to the next.
    #[serde(default)]
    interval_ms: Option<u32>,
}

/// An application that sends the readings of a sensor.
///
/// [`Device::run_with`](chanbind_device::Device::run_with) runs it: the application neither connects nor makes proofs.
pub struct Readings<'a, S> {
    path: &'a str,
    sensor: S,
    interval: Duration,
    /// The time at which the next reading is taken.
    due: Instant,
    number: u32,
    json: [u8; MAX_READING_LEN],
    /// The length of the reading in `json`; 0 if it has been answered.
    pending_len: usize,
}

impl<'a, S: Sensor> Readings<'a, S> {
    /// Creates an application that sends to the configured path, at first with the configured interval.
    pub fn new(config: &Config<'a>, sensor: S) -> Self {
        Self {
            path: config.path,
            sensor,
            interval: Duration::from_millis(u64::from(config.interval_ms)),
            due: Instant::now(),
            number: 0,
            json: [0; MAX_READING_LEN],
            pending_len: 0,
        }
    }

    /// Takes a reading, and keeps it until it has been answered.
    async fn take_reading(&mut self) {
        self.number = self.number.wrapping_add(1);
        let reading = Reading {
            number: self.number,
            uptime_ms: Instant::now().as_millis(),
            millicelsius: self.sensor.millicelsius().await,
        };
        // Every reading fits: its three numbers have 41 digits at most.
        self.pending_len = serde_json_core::to_slice(&reading, &mut self.json).unwrap_or(0);
    }

    fn obey(&mut self, command: &[u8]) {
        let command = match serde_json_core::from_slice::<Command>(command) {
            Ok((command, _)) => command,
            Err(_) => {
                defmt::warn!("event=command-malformed len={=usize}", command.len());
                return;
            }
        };
        if let Some(millis) = command.interval_ms {
            if INTERVALS.contains(&millis) {
                self.interval = Duration::from_millis(u64::from(millis));
                defmt::info!("event=command interval_ms={=u32}", millis);
            } else {
                defmt::warn!("event=command-refused interval_ms={=u32}", millis);
            }
        }
    }
}

impl<S: Sensor> Application for Readings<'_, S> {
    async fn next(&mut self) -> Outgoing<'_> {
        // A reading that was not answered, because the connection broke for example, is sent again, and at once: the device has already
        // waited. The gateway may get it twice, and recognises that by its number.
        if self.pending_len == 0 {
            Timer::at(self.due).await;
            self.take_reading().await;
        }
        Outgoing {
            request: Request::post(self.path).with_fields(&[("content-type", "application/json")]),
            content: self.json.get(..self.pending_len).unwrap_or_default(),
        }
    }

    async fn response<R: Read>(&mut self, response: &mut Response<'_, R>) -> Result<(), HttpError> {
        let mut buffer = [0; MAX_COMMAND_LEN];
        let command = response.read_to_end(&mut buffer).await?;
        // From here on the reading counts as answered.
        self.pending_len = 0;
        if !command.is_empty() {
            self.obey(command);
        }
        self.due = Instant::now() + self.interval;
        Ok(())
    }
}
