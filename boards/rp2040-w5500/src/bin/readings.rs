//! The application `readings` on this board: `boards/applications` has its source.
#![no_std]
#![no_main]

use chanbind_applications::{Readings, SimulatedSensor};
use chanbind_board_rp_w5500::{BoardDevice, config_of_image, embassy_rp, start};
use defmt::unwrap;
use embassy_executor::Spawner;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let p = embassy_rp::init(embassy_rp::config::Config::default());
    start(spawner, p, config_of_image!(), |device| {
        spawner.spawn(unwrap!(run_device(device)));
    })
    .await;
}

/// The task of the device: one of its own, so that the variables of the set-up are no longer on the stack.
#[embassy_executor::task]
async fn run_device(device: &'static mut BoardDevice) {
    let mut readings = Readings::new(device.config(), SimulatedSensor::new());
    device.run_with(&mut readings).await;
}
