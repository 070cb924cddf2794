//! A smoke test of the board: an address by DHCP, random bytes of the TPM, what that cost.
#![no_std]
#![no_main]

use chanbind_board_qemu_mps2::{clock, exit, network, rng, run, spi_wire, stack, time};
use chanbind_tpm_spi::{
    Contexts, Tpm,
    tis::{ExclusiveBus, Tis},
};
use cortex_m_rt::entry;
use defmt::{Debug2Format, info, unwrap};
use embassy_executor::Spawner;
use embassy_time::{Delay, Instant};

#[entry]
fn main() -> ! {
    run(|spawner| spawner.spawn(unwrap!(program(spawner))))
}

#[embassy_executor::task]
async fn program(spawner: Spawner) {
    let [a, b, c, d, e, f, g, h, ..] = unwrap!(rng::seed());
    let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let stack = unwrap!(network::start(spawner, seed));
    stack.wait_config_up().await;
    let address = stack.config_v4().map(|config| config.address);
    info!(
        "up after {=u64} us with {}; it is {=u64}",
        Instant::now().as_micros(),
        Debug2Format(&address),
        unwrap!(clock::seconds_since_1970())
    );
    random().await;
    info!(
        "{=usize} of {=usize} bytes of stack",
        stack::high_water(),
        stack::size()
    );
    exit::exit(exit::SUCCESS)
}

/// Sixteen random bytes of the TPM.
async fn random() {
    let (bus, chip_select, reset) = spi_wire::open();
    let before = time::cycles();
    let chip = Tis::builder(ExclusiveBus::new(bus, chip_select), Delay)
        .reset_pin(reset)
        .open()
        .await;
    let chip = unwrap!(chip);
    info!("TPM {=u32:#010x}", chip.did_vid());
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    let mut bytes = [0; 16];
    unwrap!(tpm.random(&mut bytes).await);
    let microseconds = (time::cycles() - before) / time::CYCLES_PER_MICROSECOND;
    info!(
        "random {=[u8; 16]:02x} after {=u64} us",
        bytes, microseconds
    );
}
