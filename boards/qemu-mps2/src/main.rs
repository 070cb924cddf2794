//! The firmware of the emulated board.
#![no_std]
#![no_main]

use chanbind_board_qemu_mps2::{clock, exit, network, rng, run, spi_wire, stack};
use chanbind_device::{
    ChipError, Clock, Device, Event, Generator, Memory, Network, Observer, Parts, Platform,
    config::Config, config_of_image, find_tpm,
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
use rand_core::RngCore;
use static_cell::{ConstStaticCell, StaticCell};

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
        "chanbind: {=str} for {=str}:{=u16}",
        config.name, config.host, config.port
    );
    let mut rng = Generator::from_seed(unwrap!(rng::seed()));

    let stack = unwrap!(network::start(spawner, rng.next_u64()));
    stack.wait_config_up().await;
    if let Some(network) = stack.config_v4() {
        info!("network up: {=[u8; 4]}", network.address.address().octets());
    }
    static TCP: ConstStaticCell<TcpClientState<1, 1024, 4096>> =
        ConstStaticCell::new(TcpClientState::new());
    static NETWORK: StaticCell<Net> = StaticCell::new();
    let network = NETWORK.init(Network {
        tcp: TcpClient::new(stack, TCP.take()),
        dns: DnsSocket::new(stack),
    });

    let mut observer = Gauge { is_read: false };
    let (bus, chip_select, reset) = spi_wire::open();
    let tpm = Tis::builder(ExclusiveBus::new(bus, chip_select), Delay).reset_pin(reset);
    let chip = find_tpm(tpm, &config, &mut observer).await;
    info!("TPM found: DID_VID {=u32:08x}", chip.did_vid());
    let parts = Parts {
        network,
        chip,
        rng,
        clock: HostClock,
        observer,
    };
    static CONFIG: StaticCell<Config<'static>> = StaticCell::new();
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    static DEVICE: StaticCell<ThisDevice> = StaticCell::new();
    match Device::new(CONFIG.init(config), parts, MEMORY.take()) {
        Ok(device) => spawner.spawn(unwrap!(run_device(DEVICE.init(device)))),
        Err(failure) => {
            error!("{}", failure);
            exit::exit(exit::FAILURE)
        }
    }
}

type Net = Network<TcpClient<'static, 1, 1024, 4096>, DnsSocket<'static>>;
type Tpm = Tis<ExclusiveBus<spi_wire::Bus, spi_wire::ChipSelect>, Delay, spi_wire::Reset>;

/// The types of this board.
struct Board;

impl Platform for Board {
    type Network = Net;
    type Chip = Tpm;
    type Rng = Generator;
    type Clock = HostClock;
    type Observer = Gauge;
}

type ThisDevice = Device<'static, Board>;

/// The task of the device: one of its own, so that the variables of the set-up are no longer on the stack.
#[embassy_executor::task]
async fn run_device(device: &'static mut ThisDevice) {
    device.run().await;
}

struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> Option<u64> {
        clock::seconds_since_1970().ok()
    }
}

/// Logs time and stack once the device has been admitted.
struct Gauge {
    is_read: bool,
}

impl Observer for Gauge {
    fn on_event<E: ChipError>(&mut self, event: &Event<E>) {
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
