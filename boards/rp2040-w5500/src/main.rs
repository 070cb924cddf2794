//! A board with an RP2040, a W5500 on SPI0 as on WIZnet's W5500-EVB-Pico, and a TPM on SPI1: is everything there?
//!
//! | part | pins |
//! |---|---|
//! | W5500 | CLK 18, MOSI 19, MISO 16, CS# 17, RST# 20, INT# 21 |
//! | TPM | CLK 10, MOSI 11, MISO 12, CS# 13, RST# 14 |
//! | LED | 25 |
//!
//! Asks for an address by DHCP and the TPM for random bytes, logs both by defmt over RTT, and blinks.
#![no_std]
#![no_main]

mod rng;

use chanbind_tpm_spi::{
    Contexts, Tpm,
    tis::{ExclusiveBus, Tis},
};
use core::panic::PanicInfo;
use cortex_m::peripheral::SCB;
use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_net::StackResources;
use embassy_net_wiznet::{Device, InitError, Runner, State, chip::W5500};
use embassy_rp::{
    bind_interrupts, dma,
    gpio::{Input, Level, Output, Pull},
    peripherals::{DMA_CH0, DMA_CH1, DMA_CH2, DMA_CH3, SPI0},
    spi::{self, Spi},
};
use embassy_time::{Delay, Timer};
use embedded_hal_bus::spi::ExclusiveDevice;
// For its compare-and-swap, which others in the image use.
use portable_atomic as _;
use static_cell::StaticCell;

bind_interrupts!(struct Irqs {
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>, dma::InterruptHandler<DMA_CH1>,
        dma::InterruptHandler<DMA_CH2>, dma::InterruptHandler<DMA_CH3>;
});

type EthernetSpi = ExclusiveDevice<Spi<'static, SPI0, spi::Async>, Output<'static>, Delay>;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let p = embassy_rp::init(embassy_rp::config::Config::default());
    defmt::info!("chanbind on an RP2040");
    let seed = defmt::unwrap!(rng::seed());

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
    let ethernet = defmt::unwrap!(ExclusiveDevice::new(bus, chip_select, Delay).ok());
    static STATE: StaticCell<State<4, 4>> = StaticCell::new();
    let (device, runner) = match embassy_net_wiznet::new(
        MAC_ADDRESS,
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
            defmt::panic!("no W5500 on SPI0: its version reads {:02x}", actual)
        }
    };
    spawner.spawn(defmt::unwrap!(run_ethernet(runner)));

    let [a, b, c, d, e, f, g, h, ..] = seed;
    static RESOURCES: StaticCell<StackResources<4>> = StaticCell::new();
    let (stack, runner) = embassy_net::new(
        device,
        embassy_net::Config::dhcpv4(Default::default()),
        RESOURCES.init(StackResources::new()),
        u64::from_le_bytes([a, b, c, d, e, f, g, h]),
    );
    spawner.spawn(defmt::unwrap!(run_network(runner)));
    stack.wait_config_up().await;
    let address = stack.config_v4().map(|config| config.address);
    defmt::info!("address {}", address);

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
    let chip = defmt::unwrap!(
        Tis::builder(bus, Delay)
            .reset_pin(Output::new(p.PIN_14, Level::High))
            .open()
            .await
    );
    defmt::info!("TPM {:08x}", chip.did_vid());
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    let mut random = [0; 16];
    defmt::unwrap!(tpm.start().await);
    defmt::unwrap!(tpm.random(&mut random).await);
    defmt::info!("random {=[u8; 16]:02x}", random);
    defmt::info!("done");

    let mut led = Output::new(p.PIN_25, Level::Low);
    loop {
        led.toggle();
        Timer::after_millis(500).await;
    }
}

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

/// SPI mode 0 at a clock in hertz.
fn clock(frequency: u32) -> spi::Config {
    let mut config = spi::Config::default();
    config.frequency = frequency;
    config
}

/// Says why, and starts anew: a device that nobody watches should not stay as it is.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    defmt::error!("{}", defmt::Display2Format(info));
    // Time for a probe to fetch the message, and for a person to see that it comes again and again.
    cortex_m::asm::delay(CYCLES_PER_SECOND / 2);
    SCB::sys_reset()
}

/// Locally administered. One board on a network is enough for a look.
const MAC_ADDRESS: [u8; 6] = [0x02, 0, 0, 0, 0, 1];

const CYCLES_PER_SECOND: u32 = 125_000_000;
