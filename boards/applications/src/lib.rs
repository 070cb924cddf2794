#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

pub mod readings;
mod sensor;

pub use readings::Readings;
pub use sensor::{Sensor, SimulatedSensor};
