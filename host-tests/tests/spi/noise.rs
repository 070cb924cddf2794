//! Noise on the bus, slow chips and chips that sleep: what is safe to repeat is repeated.

use super::*;
use chanbind_tis_emulator::Event;
use chanbind_tpm_spi::tis::{SharedBus, Transport, TransportError};
use embedded_hal_async::delay::DelayNs;

/// A missing ready bit makes the host take data for wait states. Whichever transaction it is, the command succeeds.
#[test]
fn a_missing_ready_bit_at_any_transaction_is_ridden_out() {
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
            // The chip's last response, not an earlier one that was lost.
            let said = fixture.emulator.responses().last().unwrap()[12..].to_vec();
            assert_eq!(random[..], said, "{lost}");
            // The chip was misunderstood.
            let _ = fixture.emulator.take_violations();
        }
    });
}

/// The same for an HMAC, at all of its transactions, and with two in a row.
#[test]
fn missing_ready_bits_do_not_fail_an_hmac() {
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

/// A chip whose wait states have other bytes than 00 is believed after a few transactions.
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
fn wait_states_with_undefined_bits_are_accepted() {
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
    fixture.forgive(|what| *what == Violation::CutShort);
}

/// Wait states are limited by time: 750 ms, or what the board says.
#[test]
fn wait_states_are_limited_by_time() {
    let fixture = Fixture::new();
    let hold = |micros: u64, limit_ms: Option<u32>| {
        fixture
            .emulator
            .script(|script| script.holds_off = Box::new(|_| 0));
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
    // Repeated after the limit, it succeeds, for it held off one transaction only.
    let (done, took) = hold(10_000_000, None);
    done.unwrap();
    assert!((700_000..1_500_000).contains(&took), "{took}");
    let (done, took) = hold(10_000_000, Some(10));
    done.unwrap();
    assert!((10_000..100_000).contains(&took), "{took}");
    let _ = fixture.emulator.take_violations();
}

/// A bus whose operations fail now and then, by transaction.
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

/// Whatever the bus's error is, after the transaction or before it, it is repeated; a bus that stays broken is an error.
#[test]
fn errors_of_the_bus_are_repeated() {
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

/// After a command that was given up, a chip that wants commandReady twice is ready soon.
#[test]
fn a_second_command_ready_is_written_soon() {
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

/// Google's Cr50: it sleeps after a second, loses the transaction that wakes it, and holds transactions off for long.
#[test]
fn a_chip_that_sleeps_is_used() {
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

/// Time between transactions, around resets and until the chip is up: those of the chip are kept.
#[test]
fn timing_of_reset_and_transactions() {
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
    // The emulated chip sees a driver that is too fast.
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
