//! The application that every firmware of chanbind is: it joins nothing and owns no pins, it is given a network, a TPM, random
//! numbers and a clock, and does one thing, for ever.
//!
//! ```text
//! TPM ready ── resolve ── TCP ── TLS, server verified ── export ── TPM2_HMAC ── GET ── 200 OK ── GET ── ...
//!     ▲            │        │               │               │          │          │                     │
//!     └────────────┴────────┴───────────────┴─── wait, twice as long each time ───┴─────────────────────┘
//! ```
//!
//! With the feature `authenticator` a device can have a certificate instead, and answer the gateway that asks for it: `GET ── 401 ──
//! TPM2_Sign ── GET ── 200 OK`.
//!
//! A proof goes to a server that has been verified, and to no other: it is made of the connection's own keying material, after
//! the handshake. Every failure is reported ([`Event`]), and tried again after a while ([`Backoff`]).
//!
//! A board makes a [`Device`] of its [`Parts`], and runs it; `boards/qemu-mps2` is one that can be looked at.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used,
    )
)]

mod backoff;
mod board;
#[cfg(feature = "authenticator")]
mod certified;
mod event;
mod generator;
mod http;
mod in_place;
mod network;
mod session;
mod tpm;

pub use backoff::Backoff;
pub use board::{StatusLed, mac_address};
pub use chanbind_device_config as config;
pub use event::{ChipError, Event, Failure, Step};
pub use generator::Generator;
pub use network::Network;
pub use tpm::find_tpm;

use chanbind_core::x509::Time;
use chanbind_device_config::{Config, Proof, TimeSource};
use chanbind_embedded_tls::Buffers;
#[cfg(feature = "authenticator")]
use chanbind_tpm_spi::key::SigningKey;
use chanbind_tpm_spi::{
    Chip, Contexts, ParentKey, Tpm,
    command::{Name, Template},
    key::{HmacKey, KeyBlobs, TpmKeys},
    session::AuthValue,
};
use core::{convert::Infallible, fmt};
use embassy_time::{Duration, Timer};
use embedded_nal_async::{Dns, TcpConnect};
use rand_core::{CryptoRng, RngCore};

/// What a board brings.
pub struct Parts<'a, N, C, R, K, O> {
    /// TCP and DNS.
    pub network: &'a N,
    /// The TPM, found.
    pub chip: C,
    /// Random numbers that nobody can guess; the TPM's are mixed in.
    pub rng: R,
    /// The time.
    pub clock: K,
    /// Told of everything that happens.
    pub observer: O,
}

/// What tells the time of day.
pub trait Clock {
    /// Seconds since 1970-01-01T00:00:00Z, if it is known.
    fn now(&self) -> Option<u64>;
}

/// A board without one.
#[derive(Debug, Clone, Copy)]
pub struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Option<u64> {
        None
    }
}

/// Who is told what happens: a LED, say. Logs are written beside it, where the feature `defmt` is on.
pub trait Observer {
    /// It has happened.
    fn on_event<E: ChipError>(&mut self, event: &Event<E>);
}

/// Nobody.
impl Observer for () {
    fn on_event<E: ChipError>(&mut self, _: &Event<E>) {}
}

impl<O: Observer> Observer for &mut O {
    fn on_event<E: ChipError>(&mut self, event: &Event<E>) {
        (**self).on_event(event);
    }
}

/// The longest content of a record that the gateway may send. With the feature `small-records` it is 2,048: set the gateway's
/// maximum fragment size accordingly (`chanbind gateway --max-fragment-size 2048`; rustls: `max_fragment_size`), and mind that its
/// certificates must fit one record.
pub const RECORD_LEN: usize = if cfg!(feature = "small-records") {
    2_048
} else {
    16_384
};

const READ_LEN: usize = Buffers::for_fragments(RECORD_LEN);

/// The memory of a device, beside what its futures take; for a `static`.
pub struct Memory {
    read: [u8; READ_LEN],
    write: [u8; 1024],
    tpm: [u8; 512],
    http: [u8; HEAD_LEN],
    #[cfg(feature = "authenticator")]
    scratch: certified::Scratch,
    contexts: Contexts,
}

/// The longest head of an answer, in bytes.
#[cfg(not(feature = "authenticator"))]
const HEAD_LEN: usize = 512;
#[cfg(feature = "authenticator")]
use certified::HEAD_LEN;

impl Memory {
    /// Empty.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        Self {
            read: [0; READ_LEN],
            write: [0; 1024],
            tpm: [0; 512],
            http: [0; HEAD_LEN],
            #[cfg(feature = "authenticator")]
            scratch: certified::Scratch::new(),
            contexts: Contexts::new(),
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

/// The configuration in the image: that of the file which `CHANBIND_CONFIG` named when it was built, or what was put in its place
/// since. For boards whose build script calls `chanbind_device_config::build::for_image`.
#[macro_export]
macro_rules! config_of_image {
    () => {{
        static CONFIG: [u8; $crate::config::CONFIG_LEN] =
            *include_bytes!(concat!(env!("OUT_DIR"), "/config.bin"));
        // What stands there when the image runs is not what the compiler sees.
        core::hint::black_box(&CONFIG).as_slice()
    }};
}

/// A device that is put together, to be run. It is kept where it does not move, in a `static` as a rule, and its future is small.
pub struct Device<'a, N, C, R, K, O>(session::Session<'a, N, C, R, K, O>);

impl<'a, N, C, R, K, O> Device<'a, N, C, R, K, O>
where
    N: TcpConnect + Dns,
    C: Chip<Error: ChipError>,
    R: CryptoRng + RngCore,
    K: Clock,
    O: Observer,
{
    /// Puts it together. Nothing is sent yet, to nobody.
    ///
    /// # Errors
    /// [`Failure::Config`] if the configuration's key is none, [`Failure::Proof`], and with the feature `authenticator` also
    /// `Failure::Certificate`.
    pub fn new(
        config: &'a Config<'a>,
        parts: Parts<'a, N, C, R, K, O>,
        memory: &'a mut Memory,
    ) -> Result<Self, Failure<C::Error>> {
        let Parts {
            network,
            chip,
            mut rng,
            clock,
            observer,
        } = parts;
        let mut seed = chanbind_core::crypto::SecretBytes::<32>::default();
        rng.fill_bytes(&mut *seed);
        let tpm = Tpm::new(chip, &mut memory.tpm, &mut memory.contexts);
        let pinned = Name::new(config.key.parent_name).map_err(|_| Failure::Config)?;
        let salts = Generator::from_seed(*seed);
        let keys = TpmKeys::new(tpm, salts, ParentKey::Primary(Template::H2), pinned);
        let blobs = KeyBlobs::new(config.key.private, config.key.public).ok_or(Failure::Config)?;
        let password = AuthValue::new(config.key.password).map_err(|_| Failure::Config)?;
        let key = match config.proof {
            Proof::ApiKey => {
                session::Key::Hmac(HmacKey::new(blobs, password).map_err(|_| Failure::Config)?)
            }
            #[cfg(feature = "authenticator")]
            Proof::Authenticator => {
                let key = SigningKey::new(blobs, password).map_err(|_| Failure::Config)?;
                if !certified::matches_key(config, key.public_key()) {
                    return Err(Failure::Certificate);
                }
                session::Key::Signing(key)
            }
            #[cfg(not(feature = "authenticator"))]
            Proof::Authenticator => return Err(Failure::Proof),
        };
        Ok(Self(session::Session {
            config,
            network,
            keys,
            key,
            rng,
            clock,
            reporter: event::Reporter(observer),
            read: &mut memory.read,
            write: &mut memory.write,
            http: &mut memory.http,
            #[cfg(feature = "authenticator")]
            scratch: &mut memory.scratch,
        }))
    }

    /// Runs for ever.
    pub async fn run(&mut self) -> Infallible {
        let session = &mut self.0;
        let config = session.config;
        let mut backoff = Backoff::new(config.first_retry_ms, config.longest_retry_ms);
        session.reporter.report::<C::Error>(&Event::Started);
        loop {
            let (this, backoff_of_it) = (&mut *session, &mut backoff);
            let ended = in_place::await_in_place!(this.run(backoff_of_it));
            let pause = backoff.next(session.rng.next_u32());
            match ended {
                Ok(()) => session.reporter.report::<C::Error>(&Event::Closed),
                Err(failure) => {
                    let cure = tpm::Cure::of(&failure);
                    session.reporter.report(&Event::Failed(failure));
                    let tpm = session.keys.tpm_mut();
                    in_place::await_in_place!(cure.apply(tpm));
                }
            }
            (session.reporter).report::<C::Error>(&Event::Waiting { millis: pause });
            Timer::after(Duration::from_millis(u64::from(pause))).await;
        }
    }
}

impl<N, C, R, K, O> fmt::Debug for Device<'_, N, C, R, K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Device")
    }
}

/// What certificates are held against.
fn time<E>(source: TimeSource, clock: &impl Clock) -> Result<Time, Failure<E>> {
    match source {
        TimeSource::Board => clock.now().map(Time::At).ok_or(Failure::NoTime),
        TimeSource::NotBefore(seconds) => Ok(Time::NotBefore(seconds)),
        TimeSource::DangerousUnknown => Ok(Time::dangerous_unknown()),
    }
}
