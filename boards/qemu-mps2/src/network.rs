//! The IP stack on the board's Ethernet: DHCP, DNS, TCP, UDP.

use crate::lan9118::{self, Lan9118};
use embassy_executor::{SpawnError, Spawner};
use embassy_net::{Config, Runner, Stack, StackResources};
use embassy_time::{Duration, Ticker};
use static_cell::StaticCell;

/// Sockets at the same time; DHCP and DNS take one each.
const SOCKETS: usize = 6;
/// How often QEMU is given cause to look at its sockets.
const TICK: Duration = Duration::from_millis(5);

/// Why there is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
#[non_exhaustive]
pub enum Error {
    /// The chip cannot be used.
    Chip(lan9118::Error),
    /// It has been started before.
    AlreadyStarted,
}

impl From<lan9118::Error> for Error {
    fn from(error: lan9118::Error) -> Self {
        Self::Chip(error)
    }
}

impl From<SpawnError> for Error {
    fn from(_: SpawnError) -> Self {
        // A task can be spawned as often as there is memory for it, which is once here.
        Self::AlreadyStarted
    }
}

/// Starts the stack, which asks for an address by DHCP: [`Stack::wait_config_up`] waits for it. Once.
///
/// `seed` is random, so that ports and TCP sequence numbers cannot be guessed.
///
/// # Errors
/// [`Error`]
pub fn start(spawner: Spawner, seed: u64) -> Result<Stack<'static>, Error> {
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let chip = Lan9118::open()?;
    // The chip can be opened once, so this is reached once.
    let resources = RESOURCES.init_with(StackResources::new);
    let (stack, runner) =
        embassy_net::new(chip, Config::dhcpv4(Default::default()), resources, seed);
    spawner.spawn(run(runner)?);
    spawner.spawn(tick()?);
    Ok(stack)
}

#[embassy_executor::task]
async fn run(mut runner: Runner<'static, Lan9118>) -> ! {
    runner.run().await
}

/// A timer of the guest makes QEMU's main loop turn, which else notices only after half a second or a whole one that a socket of the
/// host has something: for the emulated network, and for the first bytes on the SPI wire. A real board needs nothing of the kind.
#[embassy_executor::task]
async fn tick() -> ! {
    let mut ticker = Ticker::every(TICK);
    loop {
        ticker.next().await;
    }
}
