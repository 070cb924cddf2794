//! Chips and buses that misbehave: the driver returns in bounded time, reports what is wrong, never accepts a wrong response, and
//! recovers when the fault is gone.

use super::*;
use chanbind_tis_emulator::{Event, Violation};
use chanbind_tpm_spi::{
    command::{CommandCode, ErrorCode, ResponseCode, WarningCode},
    tis::{Awaited, TransportError},
};

/// Returns the number of transactions of one HMAC in an existing session.
fn transactions_of_an_hmac() -> u64 {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = loaded_key(&fixture, keys).await;
        let before = fixture.emulator.counts();
        assert_hmac_succeeds(keys, &mut key).await;
        (fixture.emulator.counts() - before).transactions
    })
}

async fn loaded_key<'k, 'm>(fixture: &'k Fixture, keys: &mut TestKeys<'m>) -> HmacKey<'k, 'm> {
    let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
    assert_hmac_succeeds(keys, &mut key).await;
    key
}

async fn try_hmac<'m>(
    keys: &mut TestKeys<'m>,
    key: &mut HmacKey<'_, 'm>,
) -> Result<[u8; 32], Error> {
    let mut out = [0; 32];
    keys.hmac(key, &[b"data"], &mut out).await?;
    Ok(out)
}

async fn assert_hmac_succeeds<'m>(keys: &mut TestKeys<'m>, key: &mut HmacKey<'_, 'm>) {
    assert_eq!(try_hmac(keys, key).await.unwrap(), hmac(b"data"));
}

#[test]
fn tolerates_wait_states_and_reports_endless_ones() {
    let fixture = Fixture::new();
    for waits in (0..=100).step_by(9).chain([1, 100, 101, 700]) {
        fixture
            .emulator
            .script(|script| script.wait_states = Box::new(move |_| waits));
        fixture.with_keys(async |keys| {
            loaded_key(&fixture, keys).await;
        });
    }
    // A different number of wait states at each transaction.
    fixture.emulator.script(|script| {
        script.wait_states = Box::new(|number| u32::try_from(number * 31 % 101).unwrap());
    });
    fixture.with_keys(async |keys| {
        let mut key = loaded_key(&fixture, keys).await;
        fixture
            .emulator
            .script(|script| script.wait_states = Box::new(|_| u32::MAX));
        let error = try_hmac(keys, &mut key).await.unwrap_err();
        assert_eq!(
            error,
            Error::Chip(TisError::Transport(TransportError::WaitStates))
        );
        fixture.restore_good_behaviour();
        assert_hmac_succeeds(keys, &mut key).await;
        // The driver gave up in the middle of a transaction.
        fixture.discard_violations(|violation| *violation == Violation::CutShort);
    });
}

#[test]
fn respects_burst_counts_and_times_out_on_zero() {
    type Burst = fn(u64) -> u16;
    let bursts: [Burst; 6] = [
        |_| 1,
        |_| 7,
        |_| 63,
        |_| 512,
        |number| if number % 4 == 0 { 8 } else { 0 },
        |number| u16::try_from(number * 13 % 70).unwrap(),
    ];
    let fixture = Fixture::new();
    for burst in bursts {
        fixture
            .emulator
            .script(|script| script.burst_count = Box::new(burst));
        fixture.with_keys(async |keys| {
            loaded_key(&fixture, keys).await;
        });
    }
    // The FIFO never has room: an error after timeout A.
    fixture.with_keys(async |keys| {
        let mut key = loaded_key(&fixture, keys).await;
        fixture
            .emulator
            .script(|script| script.burst_count = Box::new(|_| 0));
        let error = try_hmac(keys, &mut key).await.unwrap_err();
        assert_eq!(error, Error::Chip(TisError::Timeout(Awaited::Room)));
        fixture.restore_good_behaviour();
        assert_hmac_succeeds(keys, &mut key).await;
    });
}

#[test]
fn hmac_succeeds_on_slow_chip() {
    let fixture = Fixture::new();
    fixture.emulator.script(|script| {
        script.status_valid_after = 5_000;
        script.ready_after = 20_000;
        script.ready_at_once = false;
        script.execution = Box::new(|command| u64::from(command[9]) * 1_000);
    });
    fixture.with_keys(async |keys| {
        loaded_key(&fixture, keys).await;
    });
}

/// The chip repeatedly loses bytes of the command: it keeps waiting for them, and the driver never sets `tpmGo`.
#[test]
fn times_out_when_chip_never_takes_whole_command() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = loaded_key(&fixture, keys).await;
        let mut bytes = 0;
        fixture.emulator.script(|script| {
            script.takes = Box::new(move |_| {
                bytes += 1;
                bytes % 99 != 0
            });
        });
        let error = try_hmac(keys, &mut key).await.unwrap_err();
        assert_eq!(error, Error::Chip(TisError::Timeout(Awaited::CommandTaken)));
        fixture.restore_good_behaviour();
        assert_hmac_succeeds(keys, &mut key).await;
    });
}

#[test]
fn times_out_when_chip_is_never_ready_or_status_never_valid() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = loaded_key(&fixture, keys).await;
        fixture.emulator.script(|script| {
            script.ready_at_once = false;
            script.ready_after = 1 << 40;
        });
        try_hmac(keys, &mut key).await.unwrap();
        let error = try_hmac(keys, &mut key).await.unwrap_err();
        assert_eq!(error, Error::Chip(TisError::Timeout(Awaited::Ready)));
        fixture.emulator.event(Event::Reset);
        // `commandReady` still leads to idle first.
        fixture.emulator.script(|script| script.ready_after = 0);
        assert_hmac_succeeds(keys, &mut key).await;

        fixture
            .emulator
            .script(|script| script.status_valid_after = 1 << 40);
        let error = try_hmac(keys, &mut key).await.unwrap_err();
        assert_eq!(error, Error::Chip(TisError::Timeout(Awaited::Room)));
        fixture.restore_good_behaviour();
        assert_hmac_succeeds(keys, &mut key).await;
    });
}

#[test]
fn cancels_command_that_exceeds_time_limit() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = loaded_key(&fixture, keys).await;
        for (can_be_cancelled, expected) in [
            (
                true,
                Error::Tpm {
                    command: CommandCode::HMAC,
                    code: ResponseCode::Warning(WarningCode::CANCELED),
                },
            ),
            (false, Error::Chip(TisError::Timeout(Awaited::Response))),
        ] {
            fixture.emulator.script(|script| {
                script.execution = Box::new(|_| 1 << 40);
                script.can_be_cancelled = can_be_cancelled;
            });
            let before = fixture.emulator.now();
            let error = try_hmac(keys, &mut key).await.unwrap_err();
            assert_eq!(error, expected);
            // 120 s for the use of a key and 4 s for the cancellation.
            let took = fixture.emulator.now() - before;
            assert!((120_000_000..130_000_000).contains(&took), "{took}");
            fixture.restore_good_behaviour();
            assert_hmac_succeeds(keys, &mut key).await;
        }
    });
}

#[test]
fn polls_rarely_while_command_executes() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = loaded_key(&fixture, keys).await;
        let before = fixture.emulator.counts();
        assert_hmac_succeeds(keys, &mut key).await;
        let bytes_fast = (fixture.emulator.counts() - before).bytes;
        fixture
            .emulator
            .script(|script| script.execution = Box::new(|_| 50_000));
        let (before, since) = (fixture.emulator.counts(), fixture.emulator.now());
        assert_hmac_succeeds(keys, &mut key).await;
        let bytes_slow = (fixture.emulator.counts() - before).bytes;
        // At most 20 status reads of 8 bytes each, and at most half as long again as the execution.
        assert!(bytes_slow - bytes_fast <= 160, "{bytes_slow} {bytes_fast}");
        assert!(fixture.emulator.now() - since < 75_000);
    });
}

#[test]
fn recovers_from_reset_or_absence_at_every_transaction() {
    let count = transactions_of_an_hmac();
    let fixture = Fixture::new();
    for event in [Event::Reset, Event::VanishHigh, Event::VanishLow] {
        fixture.with_keys(async |keys| {
            let mut key = loaded_key(&fixture, keys).await;
            for number in 1..=count {
                let at = fixture.emulator.counts().transactions + number;
                fixture
                    .emulator
                    .script(|script| script.events = vec![(at, event)]);
                let since = fixture.emulator.now();
                match try_hmac(keys, &mut key).await {
                    Ok(out) => assert_eq!(out, hmac(b"data"), "{event:?} {number}"),
                    Err(error) => assert!(
                        matches!(error, Error::Chip(_)),
                        "{event:?} {number}: {error:?}"
                    ),
                }
                assert!(
                    fixture.emulator.now() - since < 10_000_000,
                    "{event:?} {number}"
                );
                if event != Event::Reset {
                    fixture.emulator.event(Event::Return);
                }
                assert_hmac_succeeds(keys, &mut key).await;
            }
            fixture.discard_violations(|violation| {
                matches!(violation, Violation::WrongLocality(0, _))
            });
        });
    }
}

#[test]
fn recovers_from_locality_seizure_at_every_transaction() {
    let count = transactions_of_an_hmac();
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = loaded_key(&fixture, keys).await;
        for number in 1..=count {
            let at = fixture.emulator.counts().transactions + number;
            fixture
                .emulator
                .script(|script| script.events = vec![(at, Event::Seize(4))]);
            match try_hmac(keys, &mut key).await {
                Ok(out) => assert_eq!(out, hmac(b"data")),
                Err(error) => assert!(
                    matches!(
                        error,
                        Error::Chip(TisError::LocalityLost | TisError::LocalityTaken)
                    ),
                    "{number}: {error:?}"
                ),
            }
            fixture.emulator.event(Event::Relinquish(4));
            assert_hmac_succeeds(keys, &mut key).await;
            assert_eq!(fixture.emulator.access(0) & 0x10, 0, "beenSeized");
        }
        // The driver cannot know that the locality was seized in the middle of a transaction.
        fixture.discard_violations(|violation| matches!(violation, Violation::WrongLocality(0, _)));
    });
}

#[test]
fn rejects_invalid_response_sizes() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = loaded_key(&fixture, keys).await;
        for size in [0u32, 1, 9, 10, 11, 116, 118, 512, 513, 0x1_0000, u32::MAX] {
            fixture.emulator.script(|script| {
                script.response = Box::new(move |_, mut response| {
                    response[2..6].copy_from_slice(&size.to_be_bytes());
                    response
                });
            });
            let error = try_hmac(keys, &mut key).await.unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::Chip(TisError::ResponseSize { .. }) | Error::Malformed
                ),
                "{size}: {error:?}"
            );
            fixture.restore_good_behaviour();
            assert_hmac_succeeds(keys, &mut key).await;
        }
        // Responses that are truncated or oversized consistently, in their size field and in their length.
        for len in [10usize, 11, 14, 50, 116, 118, 300] {
            fixture.emulator.script(|script| {
                script.response = Box::new(move |_, mut response| {
                    response.resize(len, 0);
                    response[2..6].copy_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
                    response
                });
            });
            let error = try_hmac(keys, &mut key).await.unwrap_err();
            assert!(
                matches!(error, Error::Malformed | Error::NotAuthentic),
                "{len}: {error:?}"
            );
            fixture.restore_good_behaviour();
            assert_hmac_succeeds(keys, &mut key).await;
        }
        fixture.discard_violations(|violation| *violation == Violation::NoData);
    });
}

#[test]
fn rereads_response_size_after_bit_error() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = loaded_key(&fixture, keys).await;
        for byte in 3..=6 {
            let mut reads = 0;
            fixture.emulator.script(|script| {
                script.fifo = Box::new(move |_, value| {
                    reads += 1;
                    if reads == byte { value ^ 0x01 } else { value }
                });
            });
            assert_hmac_succeeds(keys, &mut key).await;
        }
        fixture.discard_violations(|violation| *violation == Violation::NoData);
    });
}

#[test]
fn retries_on_tpm_warnings_up_to_a_limit() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = loaded_key(&fixture, keys).await;
        // TPM_RC_RETRY, TPM_RC_YIELDED, TPM_RC_TESTING and TPM_RC_NV_RATE: first a few times, then endlessly.
        for code in [0x922, 0x908, 0x90a, 0x920] {
            let mut left = 6;
            fixture.emulator.script(|script| {
                script.refusal = Box::new(move |_| {
                    left -= 1;
                    (left >= 0).then(|| error_response(code))
                });
            });
            assert_hmac_succeeds(keys, &mut key).await;
            fixture
                .emulator
                .script(|script| script.refusal = Box::new(move |_| Some(error_response(code))));
            let (before, since) = (fixture.emulator.commands().len(), fixture.emulator.now());
            let error = try_hmac(keys, &mut key).await.unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::Tpm {
                        code: ResponseCode::Warning(_),
                        ..
                    }
                ),
                "{error:?}"
            );
            assert!(fixture.emulator.commands().len() - before < 30);
            assert!(fixture.emulator.now() - since < 6_000_000);
            fixture.restore_good_behaviour();
            assert_hmac_succeeds(keys, &mut key).await;
        }
    });
}

#[test]
fn stops_retrying_when_tpm_stays_uninitialized() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = loaded_key(&fixture, keys).await;
        fixture
            .emulator
            .script(|script| script.refusal = Box::new(|_| Some(error_response(0x100))));
        let before = fixture.emulator.commands().len();
        let error = try_hmac(keys, &mut key).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Reset
                    | Error::Tpm {
                        code: ResponseCode::Error(ErrorCode::INITIALIZE),
                        ..
                    }
            ),
            "{error:?}"
        );
        assert!(fixture.emulator.commands().len() - before < 20);
        fixture.restore_good_behaviour();
        assert_hmac_succeeds(keys, &mut key).await;
    });
}

#[test]
fn interrupt_ends_wait_for_response() {
    let fixture = Fixture::new();
    fixture.emulator.returns_to_the_executor(true);
    fixture
        .emulator
        .script(|script| script.execution = Box::new(|_| 1_000_000));
    let bus = ExclusiveBus::new(fixture.emulator.bus(), fixture.emulator.chip_select());
    let chip = Tis::builder(bus, fixture.emulator.delay())
        .interrupt_pin(fixture.emulator.interrupt())
        .open();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(run(chip).unwrap(), &mut buffer, &mut contexts);
    run(tpm.start()).unwrap();
    let (before, since) = (fixture.emulator.counts(), fixture.emulator.now());
    run(tpm.random(&mut [0; 8])).unwrap();
    let took = fixture.emulator.now() - since;
    let bytes = (fixture.emulator.counts() - before).bytes;
    // Polling would notice the response up to half of the waiting time late; the interrupt ends the wait at once.
    assert!((1_000_000..1_020_000).contains(&took), "{took}");
    assert!(bytes < 300, "{bytes}");
    fixture.assert_no_violations();
}
