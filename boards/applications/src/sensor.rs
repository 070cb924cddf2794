//! The sensor of the example applications.

/// A thermometer.
#[allow(async_fn_in_trait, reason = "devices run their futures on one core")]
pub trait Sensor {
    /// Measures a temperature, in thousandths of a degree Celsius.
    async fn millicelsius(&mut self) -> i32;
}

/// A thermometer of boards that have none: the temperature rises from 20 to 25 degrees, again and again.
#[derive(Debug, Clone, Copy)]
pub struct SimulatedSensor(i32);

impl SimulatedSensor {
    /// Creates a simulated sensor.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }
}

impl Default for SimulatedSensor {
    fn default() -> Self {
        Self::new()
    }
}

impl Sensor for SimulatedSensor {
    async fn millicelsius(&mut self) -> i32 {
        let rise = self.0;
        self.0 = rise.saturating_add(125).checked_rem(5_000).unwrap_or(0);
        rise.saturating_add(20_000)
    }
}
