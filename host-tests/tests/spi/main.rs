//! Tests of the driver for TPMs on SPI against an emulated chip in front of a real swtpm: correct operation, faults and attacks.
#![cfg(test)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unreachable,
    reason = "a panic fails the test"
)]

mod asymmetric;
mod bring_up;
mod bus;
mod cancel;
mod commands;
mod faults;
mod interposer;
mod keys;
mod lockout;
mod modes;
mod noise;
mod open;
mod quirks;
mod socket;

use chanbind::tpm::{Auth, KeyFile, KeyOptions, OpenOptions};
use chanbind_host_tests::swtpm::Swtpm;
use chanbind_tis_emulator::{Emulator, Script, Violation};
use chanbind_tpm_spi::{
    Contexts, ParentKey, Tpm,
    blocking::run,
    command::{Name, Template},
    key::{HmacKey, KeyBlobs, TpmKeys},
    session::AuthValue,
    tis::{BusOrPin, ExclusiveBus, Tis, TisError},
};
use hmac::{Hmac, Mac};
use rand_core::OsRng;
use std::convert::Infallible;

const SECRET: &[u8] = b"my_api_key";

type BusError = BusOrPin<Infallible, Infallible>;
type ChipError = TisError<BusError>;
type Error = chanbind_tpm_spi::Error<ChipError>;
type Chip = Tis<
    ExclusiveBus<chanbind_tis_emulator::Bus, chanbind_tis_emulator::ChipSelect>,
    chanbind_tis_emulator::Delay,
>;

/// A swtpm, the emulated chip in front of it, and a key that was provisioned for this TPM.
struct Fixture {
    emulator: Emulator,
    key: Provisioned,
    _swtpm: Swtpm,
}

/// The key blobs and the parent's name, as firmware stores them.
#[derive(Clone)]
struct Provisioned {
    private: Vec<u8>,
    public: Vec<u8>,
    parent_name: Name,
}

impl Provisioned {
    fn blobs(&self) -> KeyBlobs<'_> {
        KeyBlobs::new(&self.private, &self.public).unwrap()
    }
}

impl Fixture {
    fn new() -> Self {
        Self::with_password(None)
    }

    fn with_password(password: Option<&str>) -> Self {
        Self::provisioned(|options| {
            options.auth = password.map(|password| Auth::new(password.as_bytes()).unwrap());
        })
    }

    fn provisioned(change: impl FnOnce(&mut KeyOptions)) -> Self {
        let swtpm = Swtpm::start().unwrap();
        let key = provision(&swtpm, change);
        Self {
            emulator: emulator(&swtpm),
            key,
            _swtpm: swtpm,
        }
    }

    fn chip(&self) -> Chip {
        run(open_chip(&self.emulator)).unwrap()
    }

    /// Runs `test` with opened [`TpmKeys`] and asserts afterwards that the driver violated no rule of the chip.
    fn with_keys<T>(&self, test: impl for<'m> AsyncFnOnce(&mut TestKeys<'m>) -> T) -> T {
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let tpm = Tpm::new(self.chip(), &mut buffer, &mut contexts);
        let result = run(async {
            let mut keys = TpmKeys::new(tpm, OsRng, H2, self.key.parent_name);
            keys.open().await.unwrap();
            test(&mut keys).await
        });
        self.assert_no_violations();
        result
    }

    /// Runs `test` with a started [`Tpm`] and asserts afterwards that the driver violated no rule of the chip.
    fn with_tpm<T>(&self, test: impl AsyncFnOnce(&mut TestTpm<'_>) -> T) -> T {
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let mut tpm = Tpm::new(self.chip(), &mut buffer, &mut contexts);
        let result = run(async {
            tpm.start().await.unwrap();
            test(&mut tpm).await
        });
        self.assert_no_violations();
        result
    }

    /// Replaces the emulator's script by the default one, with which the chip and the bus behave well.
    fn restore_good_behaviour(&self) {
        self.emulator.script(|script| *script = Script::default());
    }

    fn assert_no_violations(&self) {
        assert_eq!(self.emulator.take_violations(), []);
    }

    /// Discards the recorded violations and asserts that each of them is excusable: the driver cannot avoid violations when the
    /// bus gives it wrong data.
    fn discard_violations(&self, is_excusable: impl Fn(&Violation) -> bool) {
        let violations = self.emulator.take_violations();
        assert!(violations.iter().all(is_excusable), "{violations:?}");
    }
}

type TestKeys<'m> = TpmKeys<'m, Chip, OsRng>;
type TestTpm<'m> = Tpm<'m, Chip>;

const H2: ParentKey = ParentKey::Primary(Template::H2);

fn emulator(swtpm: &Swtpm) -> Emulator {
    Emulator::new(chanbind_tis_emulator::Swtpm::connect(swtpm.port()).unwrap())
}

async fn open_chip(emulator: &Emulator) -> Result<Chip, ChipError> {
    let bus = ExclusiveBus::new(emulator.bus(), emulator.chip_select());
    let opened = Tis::builder(bus, emulator.delay()).open().await;
    opened.map_err(|failure| failure.error)
}

/// Provisions a key with the host's stack, which uses tss-esapi: the two stacks must agree.
fn provision(swtpm: &Swtpm, change: impl FnOnce(&mut KeyOptions)) -> Provisioned {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let tpm = chanbind::tpm::Tpm::open(&swtpm.tcti(), OpenOptions::default())
            .await
            .unwrap();
        let mut options = KeyOptions::default();
        change(&mut options);
        let file: KeyFile = tpm.import_hmac_key(SECRET, options).await.unwrap();
        let name = tpm.parent_name(file.parent).await.unwrap();
        tpm.close().await;
        Provisioned {
            private: file.private,
            public: file.public,
            parent_name: Name::new(name.as_bytes()).unwrap(),
        }
    })
}

/// Computes HMAC-SHA256 with [`SECRET`] in software.
fn hmac(data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// Returns a response of ten bytes with an error code.
fn error_response(code: u16) -> Vec<u8> {
    let [high, low] = code.to_be_bytes();
    vec![0x80, 0x01, 0, 0, 0, 10, 0, 0, high, low]
}
