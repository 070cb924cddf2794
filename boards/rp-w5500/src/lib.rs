//! The firmware of boards with an RP2040 or an RP2350 (a feature of the same name each), a W5500 on SPI0 as on WIZnet's W5500-EVB-Pico and
//! W5500-EVB-Pico2, and a TPM on SPI1.
//!
//! | part | pins |
//! |---|---|
//! | W5500 | CLK 18, MOSI 19, MISO 16, CS# 17, RST# 20, INT# 21 |
//! | TPM | CLK 10, MOSI 11, MISO 12, CS# 13, RST# 14 |
//! | LED | 25: changes with each step, stays on while the gateway admits the device, off after a failure |
//!
//! A board of your own with these parts is a crate with a `memory.x`, a build script, and a `main` like those of `boards/rp2040-w5500`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg_attr(feature = "rp2350", path = "rng_rp2350.rs")]
#[cfg_attr(not(feature = "rp2350"), path = "rng_rp2040.rs")]
mod rng;

pub use chanbind_device::config_of_image;
pub use embassy_executor;
pub use embassy_rp;

use chanbind_device::{
    Generator, Memory, Network, NoClock, Parts, Platform, StatusLed, config::Config, find_tpm,
    mac_address,
};
use chanbind_tpm_spi::tis::{ExclusiveBus, Tis};
use core::panic::PanicInfo;
use cortex_m::peripheral::SCB;
use defmt::{Display2Format, info, unwrap};
use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_net::{
    StackResources,
    dns::DnsSocket,
    tcp::client::{TcpClient, TcpClientState},
};
use embassy_net_wiznet::{Device, InitError, Runner, State, chip::W5500};
use embassy_rp::{
    Peripherals, bind_interrupts, dma,
    gpio::{Input, Level, Output, Pull},
    peripherals::{DMA_CH0, DMA_CH1, DMA_CH2, DMA_CH3, SPI0, SPI1},
    spi::{self, Spi},
};
use embassy_time::Delay;
use embedded_hal_bus::spi::ExclusiveDevice;
// For its compare-and-swap, which other crates in the image use on an RP2040.
use portable_atomic as _;
use rand_core::RngCore;
use static_cell::{ConstStaticCell, StaticCell};

bind_interrupts!(struct Irqs {
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>, dma::InterruptHandler<DMA_CH1>,
        dma::InterruptHandler<DMA_CH2>, dma::InterruptHandler<DMA_CH3>;
});

type EthernetSpi = ExclusiveDevice<Spi<'static, SPI0, spi::Async>, Output<'static>, Delay>;

/// Starts the board with the configuration in the image ([`config_of_image`]), and hands the device to `run`, which spawns a task that runs
/// it: with [`run`](chanbind_device::Device::run) or, for an application of your own, with
/// [`run_with`](chanbind_device::Device::run_with).
pub async fn start(
    spawner: Spawner,
    p: Peripherals,
    config: &'static [u8],
    run: impl FnOnce(&'static mut BoardDevice),
) {
    let config = match Config::parse(config) {
        Ok(config) => config,
        Err(error) => defmt::panic!("{}", error),
    };
    info!(
        "chanbind: {=str} for {=str}:{=u16}",
        config.name, config.host, config.port
    );
    #[cfg(feature = "rp2350")]
    let seed = rng::seed(p.TRNG).await;
    #[cfg(not(feature = "rp2350"))]
    let seed = rng::seed();
    let mut rng = Generator::from_seed(unwrap!(seed));
    let mut led = StatusLed::new(Output::new(p.PIN_25, Level::Low));

    let bus = Spi::new(
        p.SPI0,
        p.PIN_18,
        p.PIN_19,
        p.PIN_16,
        p.DMA_CH0,
        p.DMA_CH1,
        Irqs,
        clock(20_000_000),
    );
    let chip_select = Output::new(p.PIN_17, Level::High);
    let ethernet = unwrap!(ExclusiveDevice::new(bus, chip_select, Delay).ok());
    static STATE: StaticCell<State<4, 4>> = StaticCell::new();
    let (device, runner) = match embassy_net_wiznet::new(
        mac_address(&config),
        STATE.init(State::new()),
        ethernet,
        Input::new(p.PIN_21, Pull::Up),
        Output::new(p.PIN_20, Level::High),
    )
    .await
    {
        Ok(parts) => parts,
        Err(InitError::SpiError(_)) => defmt::panic!("SPI0 does not work"),
        Err(InitError::InvalidChipVersion { actual, .. }) => {
            defmt::panic!("no W5500 on SPI0: its version reads {=u8:02x}", actual)
        }
    };
    spawner.spawn(unwrap!(run_ethernet(runner)));

    static RESOURCES: StaticCell<StackResources<4>> = StaticCell::new();
    let (stack, runner) = embassy_net::new(
        device,
        embassy_net::Config::dhcpv4(Default::default()),
        RESOURCES.init(StackResources::new()),
        rng.next_u64(),
    );
    spawner.spawn(unwrap!(run_network(runner)));
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

    let bus = Spi::new(
        p.SPI1,
        p.PIN_10,
        p.PIN_11,
        p.PIN_12,
        p.DMA_CH2,
        p.DMA_CH3,
        Irqs,
        clock(10_000_000),
    );
    let bus = ExclusiveBus::new(bus, Output::new(p.PIN_13, Level::High));
    let tpm = Tis::builder(bus, Delay).reset_pin(Output::new(p.PIN_14, Level::High));
    let chip = find_tpm(tpm, &config, &mut led).await;
    info!("TPM found: DID_VID {=u32:08x}", chip.did_vid());

    let parts = Parts {
        network,
        chip,
        rng,
        clock: NoClock,
        observer: led,
    };
    static CONFIG: StaticCell<Config<'static>> = StaticCell::new();
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    static DEVICE: StaticCell<BoardDevice> = StaticCell::new();
    match chanbind_device::Device::new(CONFIG.init(config), parts, MEMORY.take()) {
        Ok(device) => run(DEVICE.init(device)),
        Err(failure) => defmt::panic!("{}", failure),
    }
}

type Net = Network<TcpClient<'static, 1, 1024, 4096>, DnsSocket<'static>>;
type TpmBus = ExclusiveBus<Spi<'static, SPI1, spi::Async>, Output<'static>>;
type Tpm = Tis<TpmBus, Delay, Output<'static>>;

/// The types of this board.
#[derive(Debug)]
pub struct Board;

impl Platform for Board {
    type Network = Net;
    type Chip = Tpm;
    type Rng = Generator;
    type Clock = NoClock;
    type Observer = StatusLed<Output<'static>>;
}

/// The device of this board.
pub type BoardDevice = chanbind_device::Device<'static, Board>;

#[embassy_executor::task]
async fn run_ethernet(
    runner: Runner<'static, W5500, EthernetSpi, Input<'static>, Output<'static>>,
) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn run_network(mut runner: embassy_net::Runner<'static, Device<'static>>) -> ! {
    runner.run().await
}

/// Returns SPI mode 0 at a clock in hertz.
fn clock(frequency: u32) -> spi::Config {
    let mut config = spi::Config::default();
    config.frequency = frequency;
    config
}

/// Logs the reason and restarts: a device without supervision must not stay stopped.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    defmt::error!("{}", Display2Format(info));
    // Time for a probe to fetch the message, and for a person to see that it comes again and again.
    cortex_m::asm::delay(CYCLES_PER_SECOND / 2);
    SCB::sys_reset()
}

const CYCLES_PER_SECOND: u32 = if cfg!(feature = "rp2350") {
    150_000_000
} else {
    125_000_000
};
