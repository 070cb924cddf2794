//! The device on this board: its parts, put together.

use crate::{clock, exit, network, rng, spi_wire, stack};
use chanbind_device::{
    ChipError, Clock, Device, Event, Generator, Memory, Network, Observer, Parts, Platform,
    config::Config, find_tpm,
};
use chanbind_tpm_spi::tis::{ExclusiveBus, Tis};
use defmt::{error, info, unwrap};
use embassy_executor::Spawner;
use embassy_net::{
    dns::DnsSocket,
    tcp::client::{TcpClient, TcpClientState},
};
use embassy_time::{Delay, Instant};
use rand_core::RngCore;
use static_cell::{ConstStaticCell, StaticCell};

/// Starts the network and the TPM with the configuration in the image ([`crate::config_of_image`]), and hands the device to `run`, which
/// spawns a task that runs it: with [`Device::run`] or, for an application of your own, with [`Device::run_with`].
pub async fn start(
    spawner: Spawner,
    config: &'static [u8],
    run: impl FnOnce(&'static mut BoardDevice),
) {
    let config = match Config::parse(config) {
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
    static DEVICE: StaticCell<BoardDevice> = StaticCell::new();
    match Device::new(CONFIG.init(config), parts, MEMORY.take()) {
        Ok(device) => run(DEVICE.init(device)),
        Err(failure) => {
            error!("{}", failure);
            exit::exit(exit::FAILURE)
        }
    }
}

type Net = Network<TcpClient<'static, 1, 1024, 4096>, DnsSocket<'static>>;
type Tpm = Tis<ExclusiveBus<spi_wire::Bus, spi_wire::ChipSelect>, Delay, spi_wire::Reset>;

/// The types of this board.
#[derive(Debug)]
pub struct Board;

impl Platform for Board {
    type Network = Net;
    type Chip = Tpm;
    type Rng = Generator;
    type Clock = HostClock;
    type Observer = Gauge;
}

/// The device of this board.
pub type BoardDevice = Device<'static, Board>;

/// The clock of the host.
#[derive(Debug, Clone, Copy)]
pub struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> Option<u64> {
        clock::seconds_since_1970().ok()
    }
}

/// Logs time and stack once the device has been admitted.
#[derive(Debug)]
pub struct Gauge {
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
