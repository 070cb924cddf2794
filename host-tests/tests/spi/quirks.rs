//! Known behaviour of chips in the field, and boards that are wired wrongly.

use super::*;
use chanbind_tis_emulator::Event;
use chanbind_tpm_spi::tis::{Data, Transport, TransportError};
use embedded_hal_async::delay::DelayNs;
use std::{
    convert::Infallible,
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
};

const CREATE_PRIMARY: [u8; 4] = [0, 0, 0x01, 0x31];

/// Infineon's chips need up to 2,250 ms for a valid status, where the specification allows 200 ms.
#[test]
fn waits_for_very_late_valid_status() {
    let fixture = Fixture::new();
    fixture
        .emulator
        .script(|script| script.status_valid_after = 2_250_000);
    fixture.with_tpm(async |tpm| {
        tpm.random(&mut [0; 8]).await.unwrap();
    });
}

/// The status of a chip gets stuck when it loses a byte of a command.
/// The driver sends the command again, and the chip executes it once.
#[test]
fn resends_command_after_lost_byte() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        let mut out = [0; 32];
        keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
        let before = fixture.emulator.commands().len();
        for lost in [1, 6, 11, 64, 65, 99] {
            let mut bytes = 0;
            fixture.emulator.script(|script| {
                script.takes = Box::new(move |_| {
                    bytes += 1;
                    bytes != lost
                });
            });
            out.fill(0);
            keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
            assert_eq!(out, hmac(b"data"), "{lost}");
        }
        assert_eq!(fixture.emulator.commands().len() - before, 6);
        fixture.discard_violations(|violation| *violation == Violation::NotExpected);
    });
}

/// The chip is slow to become ready, which the driver cancels, and then slow to execute the command, which it must not cancel.
#[test]
fn cancel_applies_to_one_command_only() {
    let fixture = Fixture::new();
    fixture.emulator.script(|script| {
        script.ready_after = 4_500_000;
        script.execution = Box::new(|command| {
            if command[6..10] == CREATE_PRIMARY {
                30_000_000
            } else {
                0
            }
        });
    });
    fixture.with_tpm(async |tpm| {
        tpm.parent(H2, &fixture.key.parent_name).await.unwrap();
    });
}

/// Chips test themselves when they start and reject commands meanwhile.
#[test]
fn start_retries_while_tpm_tests_itself() {
    for code in [0x922, 0x90a] {
        for busy in [2, 3] {
            let fixture = Fixture::new();
            let mut count = 0;
            fixture.emulator.script(|script| {
                script.refusal = Box::new(move |_| {
                    count += 1;
                    match count {
                        1 => Some(error_response(0x100)),
                        count if count == busy => Some(error_response(code)),
                        _ => None,
                    }
                });
            });
            fixture.with_tpm(async |_| ());
        }
    }
}

/// A chip whose access and status registers contradict each other endlessly once it is armed.
struct Flapping {
    armed: Arc<AtomicBool>,
    was_written: bool,
    transfers: u32,
}

impl Transport for Flapping {
    type Error = ();

    async fn transfer(
        &mut self,
        _: &mut impl DelayNs,
        header: [u8; 4],
        data: Data<'_>,
    ) -> Result<(), TransportError<()>> {
        let armed = self.armed.load(Ordering::Relaxed);
        self.transfers += 1;
        assert!(self.transfers < 1_000, "the driver does not stop");
        let Data::Read(data) = data else {
            self.was_written = true;
            return Ok(());
        };
        let bytes = match [header[2] & 0x0f, header[3]] {
            [0, 0] if std::mem::take(&mut self.was_written) || !armed => [0xa0; 4],
            [0, 0] => [0x80; 4],
            [0, 0x18] if armed => [0xff; 4],
            [0, 0x18] => [0x80, 0, 0, 4],
            _ => [0xd1, 0x15, 0x1b, 0],
        };
        data.copy_from_slice(&bytes[..data.len()]);
        Ok(())
    }
}

#[test]
fn reports_locality_lost_on_contradictory_registers() {
    let fixture = Fixture::new();
    let armed = Arc::new(AtomicBool::new(false));
    let transport = Flapping {
        armed: Arc::clone(&armed),
        was_written: false,
        transfers: 0,
    };
    let chip = run(Tis::builder(transport, fixture.emulator.delay()).open()).unwrap();
    armed.store(true, Ordering::Relaxed);
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    let error = run(tpm.start()).unwrap_err();
    assert_eq!(error, chanbind_tpm_spi::Error::Chip(TisError::LocalityLost));
}

/// An interrupt pin PIRQ# that is wired to ground.
struct Grounded;

impl embedded_hal::digital::ErrorType for Grounded {
    type Error = Infallible;
}

impl embedded_hal_async::digital::Wait for Grounded {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        std::future::pending().await
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        std::future::pending().await
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        std::future::pending().await
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        std::future::pending().await
    }
}

#[test]
fn start_succeeds_with_grounded_interrupt_pin() {
    let fixture = Fixture::new();
    fixture
        .emulator
        .script(|script| script.execution = Box::new(|_| 1_500_000));
    let bus = ExclusiveBus::new(fixture.emulator.bus(), fixture.emulator.chip_select());
    let chip = Tis::builder(bus, fixture.emulator.delay())
        .interrupt_pin(Grounded)
        .open();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(run(chip).unwrap(), &mut buffer, &mut contexts);
    run(tpm.start()).unwrap();
    fixture.assert_no_violations();
}

/// A reset disables the interrupts of the chip: the driver must enable them again.
#[test]
fn enables_interrupts_again_after_reset() {
    let fixture = Fixture::new();
    fixture.emulator.returns_to_the_executor(true);
    let bus = ExclusiveBus::new(fixture.emulator.bus(), fixture.emulator.chip_select());
    let chip = Tis::builder(bus, fixture.emulator.delay())
        .interrupt_pin(fixture.emulator.interrupt())
        .open();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(run(chip).unwrap(), &mut buffer, &mut contexts);
    run(tpm.start()).unwrap();
    fixture.emulator.event(Event::Reset);
    run(tpm.random(&mut [0; 8])).unwrap();
    run(tpm.settle()).unwrap();
    fixture
        .emulator
        .script(|script| script.execution = Box::new(|_| 1_000_000));
    let since = fixture.emulator.now();
    run(tpm.random(&mut [0; 8])).unwrap();
    let took = fixture.emulator.now() - since;
    assert!(took < 1_020_000, "{took}");
}

/// Drops the future of a reset while RST# is low.
#[test]
fn start_succeeds_after_dropped_reset() {
    let fixture = Fixture::new();
    fixture.emulator.returns_to_the_executor(true);
    let bus = ExclusiveBus::new(fixture.emulator.bus(), fixture.emulator.chip_select());
    let chip = Tis::builder(bus, fixture.emulator.delay()).reset_pin(fixture.emulator.reset_pin());
    let mut chip = run(chip.open()).unwrap();
    {
        let mut reset = pin!(chip.reset());
        let mut context = Context::from_waker(Waker::noop());
        assert!(reset.as_mut().poll(&mut context).is_pending());
    }
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    run(tpm.start()).unwrap();
}

/// A bus that reads as all ones, `left` times in a row, after time `at`.
struct Glitch<T> {
    transport: T,
    emulator: Emulator,
    at: u64,
    left: u8,
}

impl<T: Transport> Transport for Glitch<T> {
    type Error = T::Error;

    async fn transfer(
        &mut self,
        delay: &mut impl DelayNs,
        header: [u8; 4],
        data: Data<'_>,
    ) -> Result<(), TransportError<T::Error>> {
        match data {
            Data::Write(data) => {
                self.transport
                    .transfer(delay, header, Data::Write(data))
                    .await
            }
            Data::Read(data) => {
                self.transport
                    .transfer(delay, header, Data::Read(data))
                    .await?;
                if self.left > 0 && self.emulator.now() > self.at {
                    data.fill(0xff);
                    self.left -= 1;
                }
                Ok(())
            }
        }
    }
}

#[test]
fn long_command_survives_bus_glitch() {
    for at in [300_000, 3_000_000] {
        let fixture = Fixture::new();
        fixture.emulator.script(|script| {
            script.execution = Box::new(|command| {
                if command[6..10] == CREATE_PRIMARY {
                    5_000_000
                } else {
                    0
                }
            });
        });
        let transport = Glitch {
            transport: ExclusiveBus::new(fixture.emulator.bus(), fixture.emulator.chip_select()),
            emulator: fixture.emulator.clone(),
            at,
            left: 2,
        };
        let chip = run(Tis::builder(transport, fixture.emulator.delay()).open()).unwrap();
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
        run(tpm.parent(H2, &fixture.key.parent_name)).unwrap();
    }
}
