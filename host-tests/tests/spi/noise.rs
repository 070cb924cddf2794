//! Noise on the bus, slow chips and chips that sleep: the driver repeats what is safe to repeat.

use super::*;
use chanbind_tis_emulator::Event;
use chanbind_tpm_spi::tis::{SharedBus, Transport, TransportError};
use embedded_hal_async::delay::DelayNs;

/// A lost ready bit makes the host take data for wait states. The command succeeds, whichever transaction is disturbed.
#[test]
fn random_recovers_from_lost_ready_bit_at_any_transaction() {
    let fixture = Fixture::new();
    fixture.with_tpm(async |tpm| {
        let mut random = [0; 32];
        tpm.random(&mut random).await.unwrap();
        let before = fixture.emulator.counts().transactions;
        tpm.random(&mut random).await.unwrap();
        let per_command = fixture.emulator.counts().transactions - before;
        assert_eq!(per_command, 9);
        for lost in 1..=per_command {
            let at = fixture.emulator.counts().transactions + lost;
            fixture.emulator.script(|script| {
                script.loses_ready = Box::new(move |number| number == at);
            });
            tpm.random(&mut random)
                .await
                .unwrap_or_else(|error| panic!("{lost}: {error}"));
            // The result is that of the chip's last response, not of an earlier one that was lost.
            let last = fixture.emulator.responses().last().unwrap()[12..].to_vec();
            assert_eq!(random[..], last, "{lost}");
            // The driver misread the chip, and the violations that follow are expected.
            let _ = fixture.emulator.take_violations();
        }
    });
}

/// The same for an HMAC, at each of its transactions, with one lost ready bit and with two in a row.
#[test]
fn hmac_recovers_from_lost_ready_bits() {
    for in_a_row in 1..=2 {
        let fixture = Fixture::new();
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let tpm = Tpm::new(fixture.chip(), &mut buffer, &mut contexts);
        let mut keys = TpmKeys::new(tpm, OsRng, H2, fixture.key.parent_name);
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        let mut out = [0; 32];
        run(keys.hmac(&mut key, &[b"data"], &mut out)).unwrap();
        for lost in 1..=13 {
            let at = fixture.emulator.counts().transactions + lost;
            fixture.emulator.script(|script| {
                script.loses_ready = Box::new(move |number| (at..at + in_a_row).contains(&number));
            });
            out.fill(0);
            let done = run(keys.hmac(&mut key, &[b"data"], &mut out));
            done.unwrap_or_else(|error| panic!("{lost}: {error}"));
            assert_eq!(out, hmac(b"data"), "{lost}");
        }
    }
}

/// A bus on which wait states read as other bytes than 00. The driver accepts them after a few transactions.
struct OddWaits<B>(B);

impl<B: embedded_hal_async::spi::SpiBus> embedded_hal_async::spi::ErrorType for OddWaits<B> {
    type Error = B::Error;
}

impl<B: embedded_hal_async::spi::SpiBus> embedded_hal_async::spi::SpiBus for OddWaits<B> {
    async fn read(&mut self, words: &mut [u8]) -> Result<(), B::Error> {
        self.0.read(words).await
    }

    async fn write(&mut self, words: &[u8]) -> Result<(), B::Error> {
        self.0.write(words).await
    }

    async fn transfer(&mut self, read: &mut [u8], write: &[u8]) -> Result<(), B::Error> {
        self.0.transfer(read, write).await
    }

    async fn transfer_in_place(&mut self, words: &mut [u8]) -> Result<(), B::Error> {
        self.0.transfer_in_place(words).await?;
        words.iter_mut().for_each(|word| *word |= 0xa4);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), B::Error> {
        self.0.flush().await
    }
}

#[test]
fn accepts_wait_states_with_undefined_bits() {
    let fixture = Fixture::new();
    fixture
        .emulator
        .script(|script| script.wait_states = Box::new(|_| 2));
    let bus = ExclusiveBus::new(
        OddWaits(fixture.emulator.bus()),
        fixture.emulator.chip_select(),
    );
    let chip = run(Tis::builder(bus, fixture.emulator.delay()).open()).unwrap();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    let mut keys = TpmKeys::new(tpm, OsRng, H2, fixture.key.parent_name);
    let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
    let mut out = [0; 32];
    run(keys.hmac(&mut key, &[b"data"], &mut out)).unwrap();
    assert_eq!(out, hmac(b"data"));
    fixture.discard_violations(|violation| *violation == Violation::CutShort);
}

/// Wait states are limited to 750 ms, or to the limit that the board sets.
#[test]
fn limits_wait_states_by_time() {
    let fixture = Fixture::new();
    let hold = |micros: u64, limit_ms: Option<u32>| {
        fixture.restore_good_behaviour();
        let mut bus = ExclusiveBus::new(fixture.emulator.bus(), fixture.emulator.chip_select());
        if let Some(limit) = limit_ms {
            bus = bus.wait_limit_ms(limit);
        }
        let chip = run(Tis::builder(bus, fixture.emulator.delay()).open()).unwrap();
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
        run(tpm.start()).unwrap();
        let first = fixture.emulator.counts().transactions + 1;
        fixture.emulator.script(|script| {
            script.holds_off = Box::new(move |number| if number == first { micros } else { 0 });
        });
        let before = fixture.emulator.now();
        let done = run(tpm.random(&mut [0; 8]));
        (done, fixture.emulator.now() - before)
    };
    let (done, took) = hold(700_000, None);
    done.unwrap();
    assert!((700_000..800_000).contains(&took), "{took}");
    // The transaction is repeated after the limit and succeeds, because only one transaction is held off.
    let (done, took) = hold(10_000_000, None);
    done.unwrap();
    assert!((700_000..1_500_000).contains(&took), "{took}");
    let (done, took) = hold(10_000_000, Some(10));
    done.unwrap();
    assert!((10_000..100_000).contains(&took), "{took}");
    let _ = fixture.emulator.take_violations();
}

/// A bus that reports errors for the transactions that `fails` selects.
struct Failing<T> {
    transport: T,
    transfers: u32,
    fails: fn(u32) -> bool,
}

impl<T: Transport> Transport for Failing<T> {
    type Error = ();

    async fn transfer(
        &mut self,
        delay: &mut impl DelayNs,
        header: [u8; 4],
        data: chanbind_tpm_spi::tis::Data<'_>,
    ) -> Result<(), TransportError<()>> {
        self.transfers += 1;
        let done = self.transport.transfer(delay, header, data).await;
        if (self.fails)(self.transfers) || done.is_err() {
            return Err(TransportError::Bus(()));
        }
        Ok(())
    }
}

/// The driver repeats a transaction after a bus error, and returns an error if the bus stays broken.
#[test]
fn retries_transactions_after_bus_errors() {
    let fixture = Fixture::new();
    for fails in [
        (|at| at % 7 == 0) as fn(u32) -> bool,
        |at| at % 11 < 2,
        |at| at > 40 && at % 5 == 3,
    ] {
        let transport = Failing {
            transport: SharedBus::new(fixture.emulator.device()),
            transfers: 0,
            fails,
        };
        let chip = run(Tis::builder(transport, fixture.emulator.delay()).open()).unwrap();
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
        for _ in 0..20 {
            run(tpm.random(&mut [0; 8])).unwrap();
        }
    }
    let transport = Failing {
        transport: SharedBus::new(fixture.emulator.device()),
        transfers: 0,
        fails: |at| at > 40,
    };
    let chip = run(Tis::builder(transport, fixture.emulator.delay()).open()).unwrap();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    let error = (0..20).find_map(|_| run(tpm.random(&mut [0; 8])).err());
    let failed = TisError::Transport(TransportError::Bus(()));
    assert_eq!(error, Some(chanbind_tpm_spi::Error::Chip(failed)));
}

/// After a command whose future was dropped, a chip that needs commandReady twice becomes ready soon.
#[test]
fn writes_second_command_ready_soon_after_dropped_command() {
    let fixture = Fixture::new();
    fixture.emulator.script(|script| {
        script.ready_at_once = false;
        script.execution = Box::new(|_| 50_000);
    });
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(fixture.chip(), &mut buffer, &mut contexts);
    run(tpm.start()).unwrap();
    fixture.emulator.returns_to_the_executor(true);
    {
        let mut random = [0; 8];
        let mut future = std::pin::pin!(tpm.random(&mut random));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..400 {
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
    }
    fixture.emulator.returns_to_the_executor(false);
    let before = fixture.emulator.now();
    fixture
        .emulator
        .script(|script| script.execution = Box::new(|_| 0));
    run(tpm.random(&mut [0; 8])).unwrap();
    let took = fixture.emulator.now() - before;
    assert!(took < 100_000, "{took}");
}

/// Google's Cr50 sleeps after a second, loses the transaction that wakes it, and holds transactions off for a long time.
#[test]
fn hmac_succeeds_on_chip_that_sleeps() {
    let fixture = Fixture::new();
    fixture.emulator.script(|script| {
        script.did_vid = 0x0028_1ae0;
        script.sleeps_after = Some(1_000_000);
        script.wakes_in = 3_000;
        script.holds_off = Box::new(|number| if number % 40 == 0 { 700_000 } else { 1 });
    });
    let chip = run(open_chip(&fixture.emulator)).unwrap();
    assert_eq!(chip.did_vid(), 0x0028_1ae0);
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    let mut keys = TpmKeys::new(tpm, OsRng, H2, fixture.key.parent_name);
    let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
    for _ in 0..3 {
        let mut out = [0; 32];
        run(keys.hmac(&mut key, &[b"data"], &mut out)).unwrap();
        assert_eq!(out, hmac(b"data"));
        run(DelayNs::delay_ms(&mut fixture.emulator.delay(), 5_000));
    }
    fixture.assert_no_violations();
}

/// The driver keeps the chip's times between transactions, around resets and until the chip responds after a reset.
#[test]
fn respects_reset_and_idle_timing() {
    let fixture = Fixture::new();
    for start_up in [0, 10_000, 100_000, 700_000] {
        fixture.emulator.script(|script| {
            script.start_up = start_up;
            script.min_idle = 5;
        });
        let bus = ExclusiveBus::new(fixture.emulator.bus(), fixture.emulator.chip_select());
        let chip =
            Tis::builder(bus, fixture.emulator.delay()).reset_pin(fixture.emulator.reset_pin());
        let mut chip = run(chip.open()).unwrap();
        run(chip.reset()).unwrap();
        run(chip.reset()).unwrap();
        fixture.assert_no_violations();
    }
    // The emulated chip notices a driver that is too fast.
    fixture.emulator.script(|script| script.min_idle = 10);
    let _ = run(open_chip(&fixture.emulator)).unwrap();
    assert!(matches!(
        fixture.emulator.take_violations()[..],
        [Violation::Idle(5), ..]
    ));
    fixture.emulator.event(Event::Return);
    let bus = ExclusiveBus::new(fixture.emulator.bus(), fixture.emulator.chip_select());
    let slow = Tis::builder(bus, fixture.emulator.delay()).idle_us(10);
    let _ = run(slow.open()).unwrap();
    fixture.assert_no_violations();
}
