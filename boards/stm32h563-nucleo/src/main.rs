//! The firmware of ST's NUCLEO-H563ZI, with the Ethernet that is on it and a TPM on the Arduino connector.
//!
//! | part | pins |
//! |---|---|
//! | Ethernet, RMII | REF_CLK PA1, CRS_DV PA7, RXD0 PC4, RXD1 PC5, TXD0 PG13, TXD1 PB15, TX_EN PG11, MDIO PA2, MDC PC1 |
//! | TPM | CLK PA5 (D13), MISO PG9 (D12), MOSI PB5 (D11), CS# PD14 (D10), RST# PD15 (D9) |
//! | LED | LD1, PB0: changes with each step, stays on while the gateway admits the device, off after a failure |
#![no_std]
#![no_main]

use chanbind_device::{
    Generator, Memory, Network, NoClock, Parts, Platform, StatusLed, config::Config,
    config_of_image, find_tpm, mac_address,
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
use embassy_stm32::{
    bind_interrupts, dma,
    eth::{self, Ethernet, GenericPhy, PacketQueue, Sma},
    gpio::{Level, Output, Speed},
    peripherals::{ETH, ETH_SMA, GPDMA1_CH0, GPDMA1_CH1, RNG},
    rcc::{
        HSIPrescaler, Hsi48Config, Pll, PllDiv, PllMul, PllPreDiv, PllSource, Sysclk, VoltageScale,
    },
    rng::{self, Rng},
    spi::{self, Spi},
    time::Hertz,
};
use embassy_time::Delay;
use rand_core::RngCore;
use static_cell::{ConstStaticCell, StaticCell};

bind_interrupts!(struct Irqs {
    ETH => eth::InterruptHandler;
    RNG => rng::InterruptHandler<RNG>;
    GPDMA1_CHANNEL0 => dma::InterruptHandler<GPDMA1_CH0>;
    GPDMA1_CHANNEL1 => dma::InterruptHandler<GPDMA1_CH1>;
});

type Device = Ethernet<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let p = embassy_stm32::init(clocks());
    let config = match Config::parse(config_of_image!()) {
        Ok(config) => config,
        Err(error) => defmt::panic!("{}", error),
    };
    info!(
        "chanbind: {=str} for {=str}:{=u16}",
        config.name, config.host, config.port
    );
    let mut seed = [0; 32];
    let mut generator = Rng::new(p.RNG, Irqs);
    unwrap!(generator.async_fill_bytes(&mut seed).await);
    let mut rng = Generator::from_seed(seed);
    let mut led = StatusLed::new(Output::new(p.PB0, Level::Low, Speed::Low));

    static PACKETS: ConstStaticCell<PacketQueue<4, 4>> = ConstStaticCell::new(PacketQueue::new());
    let device = Ethernet::new(
        PACKETS.take(),
        p.ETH,
        Irqs,
        p.PA1,
        p.PA7,
        p.PC4,
        p.PC5,
        p.PG13,
        p.PB15,
        p.PG11,
        mac_address(&config),
        p.ETH_SMA,
        p.PA2,
        p.PC1,
    );
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
        p.PA5,
        p.PB5,
        p.PG9,
        p.GPDMA1_CH0,
        p.GPDMA1_CH1,
        Irqs,
        tpm_bus(),
    );
    let chip_select = Output::new(p.PD14, Level::High, Speed::High);
    let bus = ExclusiveBus::new(bus, chip_select);
    let reset = Output::new(p.PD15, Level::High, Speed::Low);
    let tpm = Tis::builder(bus, Delay).reset_pin(reset);
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
    static DEVICE: StaticCell<ThisDevice> = StaticCell::new();
    match chanbind_device::Device::new(CONFIG.init(config), parts, MEMORY.take()) {
        Ok(device) => spawner.spawn(unwrap!(run_device(DEVICE.init(device)))),
        Err(failure) => defmt::panic!("{}", failure),
    }
}

type Net = Network<TcpClient<'static, 1, 1024, 4096>, DnsSocket<'static>>;
type TpmBus =
    ExclusiveBus<Spi<'static, embassy_stm32::mode::Async, spi::mode::Master>, Output<'static>>;
type Tpm = Tis<TpmBus, Delay, Output<'static>>;

/// The types of this board.
struct Board;

impl Platform for Board {
    type Network = Net;
    type Chip = Tpm;
    type Rng = Generator;
    type Clock = NoClock;
    type Observer = StatusLed<Output<'static>>;
}

type ThisDevice = chanbind_device::Device<'static, Board>;

/// The task of the device: one of its own, so that the variables of the set-up are no longer on the stack.
#[embassy_executor::task]
async fn run_device(device: &'static mut ThisDevice) {
    device.run().await;
}

#[embassy_executor::task]
async fn run_network(mut runner: embassy_net::Runner<'static, Device>) -> ! {
    runner.run().await
}

/// 250 MHz from the oscillator within: the one outside is the debugger's, which has no power where the board is not fed by it.
/// The PHY has its own.
fn clocks() -> embassy_stm32::Config {
    let mut config = embassy_stm32::Config::default();
    config.rcc.hsi = Some(HSIPrescaler::DIV1);
    // The random number generator's.
    config.rcc.hsi48 = Some(Hsi48Config::default());
    config.rcc.voltage_scale = VoltageScale::Scale0;
    config.rcc.pll1 = Some(Pll {
        source: PllSource::HSI,
        prediv: PllPreDiv::DIV16,
        mul: PllMul::MUL125,
        divp: Some(PllDiv::DIV2),
        // 20 MHz for SPI1, which at least halves it.
        divq: Some(PllDiv::DIV25),
        divr: None,
    });
    config.rcc.sys = Sysclk::PLL1_P;
    config
}

/// SPI mode 0, at a clock that suits every TPM.
fn tpm_bus() -> spi::Config {
    let mut config = spi::Config::default();
    config.frequency = Hertz(10_000_000);
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

const CYCLES_PER_SECOND: u32 = 250_000_000;
