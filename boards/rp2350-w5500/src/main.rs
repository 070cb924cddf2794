//! The firmware of a board with an RP2350, W5500 Ethernet and a TPM on SPI: `boards/rp-w5500` has its pins.
#![no_std]
#![no_main]

use chanbind_board_rp_w5500::{config_of_image, embassy_rp, start};
use embassy_executor::Spawner;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let p = embassy_rp::init(embassy_rp::config::Config::default());
    start(spawner, p, config_of_image!()).await;
}
