//! The IP stack on the board's Ethernet: DHCP, DNS, TCP, UDP.

use crate::lan9118::{self, Lan9118};
use embassy_executor::{SpawnError, Spawner};
use embassy_net::{Config, Runner, Stack, StackResources};
use embassy_time::{Duration, Ticker};
use static_cell::StaticCell;

/// The maximum number of sockets; DHCP and DNS use one each.
const SOCKETS: usize = 6;
/// The interval at which QEMU is made to poll its sockets.
const TICK: Duration = Duration::from_millis(5);

/// The reason why the network could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
#[non_exhaustive]
pub enum Error {
    /// The chip cannot be used.
    Chip(lan9118::Error),
    /// The network has been started before.
    AlreadyStarted,
}

impl From<lan9118::Error> for Error {
    fn from(error: lan9118::Error) -> Self {
        Self::Chip(error)
    }
}

impl From<SpawnError> for Error {
    fn from(_: SpawnError) -> Self {
        // Each task has memory for one instance, so only a second start can fail.
        Self::AlreadyStarted
    }
}

/// Starts the IP stack, which requests an address by DHCP: [`Stack::wait_config_up`] waits for it. Can be called once.
///
/// `seed` must be random, so that ports and TCP sequence numbers cannot be guessed.
///
/// # Errors
/// [`Error`] if the chip cannot be used or the stack has been started before.
pub fn start(spawner: Spawner, seed: u64) -> Result<Stack<'static>, Error> {
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let chip = Lan9118::open()?;
    // The chip can be opened only once, so this line runs only once.
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

/// Keeps QEMU's main loop running with a timer of the guest. Without it, QEMU notices data on a socket of the host only after
/// half a second to a second, which affects the emulated network and the first bytes on the SPI wire. A real board does not need
/// this.
#[embassy_executor::task]
async fn tick() -> ! {
    let mut ticker = Ticker::every(TICK);
    loop {
        ticker.next().await;
    }
}
