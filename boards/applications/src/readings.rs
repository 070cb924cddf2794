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

use crate::{
    Sensor,
    messages::{MAX_COMMAND_LEN, MAX_READING_LEN, Reading, interval_of},
};
use chanbind_device::{
    Application, Outgoing,
    config::Config,
    http::{HttpError, Request, Response},
};
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::Read;

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
}

impl<S: Sensor> Application for Readings<'_, S> {
    async fn next(&mut self) -> Outgoing<'_> {
        // A reading that was not answered, because the connection broke for example, is sent again, and at once: the device has already
        // waited. The gateway may get it twice, and recognises that by its number.
        if self.pending_len == 0 {
            Timer::at(self.due).await;
            self.number = self.number.wrapping_add(1);
            let reading = Reading::now(self.number, self.sensor.millicelsius().await);
            self.pending_len = reading.write(&mut self.json);
        }
        Outgoing {
            request: Request::post(self.path).with_fields(&[("content-type", "application/json")]),
            content: self.json.get(..self.pending_len).unwrap_or_default(),
        }
    }

    async fn response<R: Read>(&mut self, response: &mut Response<'_, R>) -> Result<(), HttpError> {
        if !response.is_success() {
            // The gateway is not ready, or does not want the reading. The device waits, and sends it again.
            return Err(HttpError::Status(response.status()));
        }
        let mut buffer = [0; MAX_COMMAND_LEN];
        let command = response.read_to_end(&mut buffer).await?;
        // From here on the reading counts as answered.
        self.pending_len = 0;
        if !command.is_empty() {
            self.interval = interval_of(command).unwrap_or(self.interval);
        }
        self.due = Instant::now().saturating_add(self.interval);
        Ok(())
    }
}
