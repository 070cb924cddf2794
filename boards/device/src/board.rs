//! Parts that boards have in common.

use crate::{ChipError, Event, Observer, config::Config};
use chanbind_core::crypto::sha256;
use embedded_hal::digital::StatefulOutputPin;

/// An LED that shows the state of a device: it changes with each step, stays on while the gateway admits the device, and is off after a failure.
#[derive(Debug)]
pub struct StatusLed<P> {
    pin: P,
    was_admitted: bool,
}

impl<P: StatefulOutputPin> StatusLed<P> {
    /// Creates an LED at a pin that is high when the LED is on.
    pub fn new(pin: P) -> Self {
        Self {
            pin,
            was_admitted: false,
        }
    }
}

impl<P: StatefulOutputPin> Observer for StatusLed<P> {
    fn on_event<E: ChipError>(&mut self, event: &Event<E>) {
        // The failure of an LED cannot be shown.
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

/// Returns a MAC address for a part that has none of its own: locally administered, and always the same for the same name.
#[must_use]
pub fn mac_address(config: &Config<'_>) -> [u8; 6] {
    let [a, b, c, d, e, ..] = sha256(config.name.as_bytes());
    [0x02, a, b, c, d, e]
}
