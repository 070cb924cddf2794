//! The application `mqtt` on the emulated board: `boards/applications` has its source.
#![no_std]
#![no_main]

use chanbind_applications::{MqttReadings, SimulatedSensor};
use chanbind_board_qemu_mps2::{BoardDevice, config_of_image, run, start};
use cortex_m_rt::entry;
use defmt::unwrap;
use embassy_executor::Spawner;

#[entry]
fn main() -> ! {
    run(|spawner| spawner.spawn(unwrap!(program(spawner))))
}

#[embassy_executor::task]
async fn program(spawner: Spawner) {
    start(spawner, config_of_image!(), |device| {
        spawner.spawn(unwrap!(run_device(device)));
    })
    .await;
}

/// The task of the device: one of its own, so that the variables of the set-up are no longer on the stack.
#[embassy_executor::task]
async fn run_device(device: &'static mut BoardDevice) {
    let mut readings = MqttReadings::new(device.config(), SimulatedSensor::new());
    readings.run(device).await;
}
