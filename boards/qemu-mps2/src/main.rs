//! The firmware of the emulated board.
#![no_std]
#![no_main]

use chanbind_board_qemu_mps2::{clock, exit, network, rng, run, spi_wire, stack};
use chanbind_device::{
    ChipError, Clock, Event, Memory, Network, Observer, Parts, config::Config, config_of_image,
    find_tpm,
};
use chanbind_tpm_spi::tis::{ExclusiveBus, Tis};
use cortex_m_rt::entry;
use defmt::{error, info, unwrap};
use embassy_executor::Spawner;
use embassy_net::{
    dns::DnsSocket,
    tcp::client::{TcpClient, TcpClientState},
};
use embassy_time::{Delay, Instant};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use static_cell::ConstStaticCell;

#[entry]
fn main() -> ! {
    run(|spawner| spawner.spawn(unwrap!(program(spawner))))
}

#[embassy_executor::task]
async fn program(spawner: Spawner) {
    let config = match Config::parse(config_of_image!()) {
        Ok(config) => config,
        Err(error) => {
            error!("{}", error);
            exit::exit(exit::FAILURE)
        }
    };
    info!(
        "chanbind: client {=str} for {=str}:{=u16}",
        config.client_id.as_str(),
        config.host,
        config.port
    );
    let mut rng = ChaCha20Rng::from_seed(unwrap!(rng::seed()));

    let stack = unwrap!(network::start(spawner, rng.next_u64()));
    stack.wait_config_up().await;
    if let Some(network) = stack.config_v4() {
        info!("network up: {=[u8; 4]}", network.address.address().octets());
    }
    static TCP: ConstStaticCell<TcpClientState<1, 1024, 4096>> =
        ConstStaticCell::new(TcpClientState::new());
    let network = Network {
        tcp: TcpClient::new(stack, TCP.take()),
        dns: DnsSocket::new(stack),
    };

    let mut gauge = Gauge { is_read: false };
    let (bus, chip_select, reset) = spi_wire::open();
    let tpm = Tis::builder(ExclusiveBus::new(bus, chip_select), Delay).reset_pin(reset);
    let chip = find_tpm(tpm, &config, &mut gauge).await;
    info!("TPM found: DID_VID {=u32:08x}", chip.did_vid());

    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    let parts = Parts {
        network: &network,
        chip,
        rng,
        clock: HostClock,
        observer: gauge,
    };
    let Err(failure) = chanbind_device::run(&config, parts, MEMORY.take()).await;
    error!("{}", failure);
    exit::exit(exit::FAILURE)
}

struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> Option<u64> {
        clock::seconds_since_1970().ok()
    }
}

/// Reads time and stack once the device has been admitted.
struct Gauge {
    is_read: bool,
}

impl Observer for Gauge {
    fn happened<E: ChipError>(&mut self, event: &Event<E>) {
        if matches!(event, Event::Admitted { .. }) && !core::mem::replace(&mut self.is_read, true) {
            info!(
                "{=u64} us since the start, {=usize} of {=usize} bytes of stack used",
                Instant::now().as_micros(),
                stack::high_water(),
                stack::size()
            );
        }
    }
}
