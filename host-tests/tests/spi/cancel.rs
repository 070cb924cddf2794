//! Futures that are dropped before they complete.

use super::*;
use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// Polls a future up to `polls` times and then drops it. Returns the output if the future completed.
fn drop_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    None
}

/// Returns true for the violation of a driver that stops in the middle of a transaction.
fn is_cut_short(violation: &Violation) -> bool {
    *violation == Violation::CutShort
}

#[test]
fn hmac_succeeds_after_drop_at_every_await_point() {
    let fixture = Fixture::new();
    fixture.emulator.returns_to_the_executor(true);
    // The chip takes some time for a command, so that futures are also dropped while it executes.
    fixture
        .emulator
        .script(|script| script.execution = Box::new(|_| 300));
    let points = fixture.with_keys(async |keys| {
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        let mut out = [0; 32];
        for polls in 0.. {
            keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
            assert_eq!(out, hmac(b"data"), "{polls}");
            out.fill(0);
            let done = drop_after(polls, keys.hmac(&mut key, &[b"data"], &mut out));
            fixture.discard_violations(is_cut_short);
            if let Some(done) = done {
                done.unwrap();
                return polls;
            }
            assert_eq!(out, [0; 32]);
        }
        unreachable!()
    });
    assert!(points > 40, "{points}");
}

/// Drops the future at points from opening to the first HMAC: no object or session stays in the chip.
#[test]
fn dropped_cold_start_leaves_nothing_in_tpm() {
    let fixture = Fixture::new();
    let emulator = &fixture.emulator;
    emulator.returns_to_the_executor(true);
    emulator.script(|script| script.execution = Box::new(|_| 300));
    let mut points = 0;
    for polls in (1..).step_by(5) {
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let tpm = Tpm::new(fixture.chip(), &mut buffer, &mut contexts);
        let mut keys = TpmKeys::new(tpm, OsRng, H2, fixture.key.parent_name);
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        let mut out = [0; 32];
        let done = drop_after(polls, keys.hmac(&mut key, &[b"data"], &mut out));
        assert_eq!(done.is_some(), out == hmac(b"data"));
        drop(key);
        let chip = run(keys.close()).unwrap();
        assert_eq!(count_stale_contexts(&fixture, chip), 0, "{polls}");
        if done.is_some() {
            points = polls;
            break;
        }
    }
    assert!(points > 150, "{points}");
    fixture.discard_violations(is_cut_short);
}

/// Returns the number of objects and sessions that the next user of the chip has to flush.
fn count_stale_contexts(fixture: &Fixture, chip: Chip) -> usize {
    let before = fixture.emulator.commands().len();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    run(tpm.start()).unwrap();
    let commands = fixture.emulator.commands();
    let flushes = commands[before..]
        .iter()
        .filter(|command| command[8..10] == [0x01, 0x65]);
    flushes.count()
}
