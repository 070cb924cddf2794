use crate::event::{ChipError, Event};
use chanbind_tpm_spi::Chip;
use embedded_nal_async::{Dns, TcpConnect};
use rand_core::{CryptoRng, RngCore};

/// The types of a board.
///
/// ```
/// # use chanbind_device::{Generator, Network, NoClock, Platform};
/// # fn example<Tcp: embedded_nal_async::TcpConnect, Resolver: embedded_nal_async::Dns, Tpm: chanbind_tpm_spi::Chip<Error: chanbind_device::ChipError>>() {
/// struct Board<Tcp, Resolver, Tpm>(core::marker::PhantomData<(Tcp, Resolver, Tpm)>);
///
/// impl<Tcp, Resolver, Tpm> Platform for Board<Tcp, Resolver, Tpm>
/// # where Tcp: embedded_nal_async::TcpConnect, Resolver: embedded_nal_async::Dns, Tpm: chanbind_tpm_spi::Chip<Error: chanbind_device::ChipError>
/// {
///     type Network = Network<Tcp, Resolver>;
///     type Chip = Tpm;
///     type Rng = Generator;
///     type Clock = NoClock;
///     type Observer = ();
/// }
/// # }
/// ```
pub trait Platform {
    /// TCP and DNS.
    type Network: TcpConnect + Dns;
    /// The TPM's transport.
    type Chip: Chip<Error: ChipError>;
    /// The random number generator.
    type Rng: CryptoRng + RngCore;
    /// The clock.
    type Clock: Clock;
    /// The observer of events.
    type Observer: Observer;
}

/// The error of the platform's TPM transport.
pub type TransportError<P> = <<P as Platform>::Chip as Chip>::Error;

/// The parts of a board.
pub struct Parts<'a, P: Platform> {
    /// TCP and DNS.
    pub network: &'a P::Network,
    /// The TPM, found by [`crate::find_tpm`] for example.
    pub chip: P::Chip,
    /// Unpredictable random numbers; those of the TPM are mixed in.
    pub rng: P::Rng,
    /// The time.
    pub clock: P::Clock,
    /// Is told all events.
    pub observer: P::Observer,
}

/// A clock with the time of day.
pub trait Clock {
    /// Returns the seconds since 1970-01-01T00:00:00Z, if the time is known.
    fn now(&self) -> Option<u64>;
}

/// The clock of a board that has none.
#[derive(Debug, Clone, Copy)]
pub struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Option<u64> {
        None
    }
}

/// An observer of events, for example an LED. With the feature `defmt`, events are also logged.
pub trait Observer {
    /// Takes an event.
    fn on_event<E: ChipError>(&mut self, event: &Event<E>);
}

/// Ignores all events.
impl Observer for () {
    fn on_event<E: ChipError>(&mut self, _: &Event<E>) {}
}

impl<O: Observer> Observer for &mut O {
    fn on_event<E: ChipError>(&mut self, event: &Event<E>) {
        (**self).on_event(event);
    }
}
