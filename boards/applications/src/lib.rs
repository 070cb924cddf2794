#![doc = include_str!("../README.md")]
#![no_std]

mod messages;
#[cfg(feature = "mqtt")]
pub mod mqtt;
pub mod readings;
mod sensor;

#[cfg(feature = "mqtt")]
pub use mqtt::MqttReadings;
pub use readings::Readings;
pub use sensor::{Sensor, SimulatedSensor};
