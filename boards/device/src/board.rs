//! What boards have in common.

use crate::{ChipError, Event, Observer, config::Config};
use chanbind_core::crypto::sha256;
use embedded_hal::digital::StatefulOutputPin;

/// A LED that shows how it goes: it changes with each step, stays on while the gateway admits the device, and is off after a failure.
#[derive(Debug)]
pub struct StatusLed<P> {
    pin: P,
    was_admitted: bool,
}

impl<P: StatefulOutputPin> StatusLed<P> {
    /// At a pin that is high when the LED is on.
    pub fn new(pin: P) -> Self {
        Self {
            pin,
            was_admitted: false,
        }
    }
}

impl<P: StatefulOutputPin> Observer for StatusLed<P> {
    fn on_event<E: ChipError>(&mut self, event: &Event<E>) {
        // A LED that fails has nobody to tell.
        let _ = match event {
            Event::Admitted { .. } => {
                if !core::mem::replace(&mut self.was_admitted, true) {
                    #[cfg(feature = "defmt")]
                    defmt::info!(
                        "{=u64} us since the start",
                        embassy_time::Instant::now().as_micros()
                    );
                }
                self.pin.set_high()
            }
            Event::Failed(_) | Event::Closed | Event::Waiting { .. } => self.pin.set_low(),
            _ => self.pin.toggle(),
        };
    }
}

/// A MAC address for a part that has none of its own: locally administered, and the same each time for the same client id.
#[must_use]
pub fn mac_address(config: &Config<'_>) -> [u8; 6] {
    let [a, b, c, d, e, ..] = sha256(config.client_id.as_str().as_bytes());
    [0x02, a, b, c, d, e]
}
