//! A device that sends a reading on Vanadium's channel again and again, and takes the answer.
#![no_std]
#![no_main]

use chanbind_board_qemu_mps2::{Board, BoardDevice, config_of_image, run, stack, start};
use chanbind_device::{
    Failure, TransportError,
    vanadium::{Memory, Received},
};
use cortex_m_rt::entry;
use defmt::{info, unwrap};
use embassy_executor::Spawner;
use embassy_time::{Duration, Timer};
use static_cell::ConstStaticCell;

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
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    let memory = MEMORY.take();
    let interval = Duration::from_millis(u64::from(device.config().interval_ms));
    loop {
        if let Err(failure) = report(device, memory).await {
            device.recover(failure).await;
        }
        Timer::after(interval).await;
    }
}

/// Sends one reading on a connection of its own.
async fn report(
    device: &mut BoardDevice,
    memory: &mut Memory,
) -> Result<(), Failure<TransportError<Board>>> {
    let mut channel = device.dial(memory).await?;
    let flow = channel.open(b"23.5 C").await?;
    let Received { payload, .. } = channel.receive().await?;
    let text = core::str::from_utf8(payload).unwrap_or("not text");
    info!(
        "event=answer text={=str} stack={=usize}",
        text,
        stack::high_water()
    );
    channel.send(flow, b"", true).await?;
    channel.tear_down("done").await
}
