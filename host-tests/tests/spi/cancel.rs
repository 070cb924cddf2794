//! Futures that are dropped before they are done.

use super::*;
use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// Polls a future so many times, then drops it; its output if it was done before.
fn give_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    None
}

/// What a driver leaves behind that stops in the middle of a transaction.
fn is_cut_short(violation: &Violation) -> bool {
    *violation == Violation::CutShort
}

#[test]
fn an_hmac_dropped_at_every_await_point() {
    let fixture = Fixture::new();
    fixture.emulator.returns_to_the_executor(true);
    // Some work on the chip's side, so that it is given up in there, too.
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
            let done = give_up_after(polls, keys.hmac(&mut key, &[b"data"], &mut out));
            fixture.forgive(is_cut_short);
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

/// From opening to the first HMAC: whatever is given up, nothing of it stays in the chip.
#[test]
fn a_cold_start_dropped_at_every_fifth_await_point() {
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
        let done = give_up_after(polls, keys.hmac(&mut key, &[b"data"], &mut out));
        assert_eq!(done.is_some(), out == hmac(b"data"));
        drop(key);
        let chip = run(keys.close()).unwrap();
        assert_eq!(strays(&fixture, chip), 0, "{polls}");
        if done.is_some() {
            points = polls;
            break;
        }
    }
    assert!(points > 150, "{points}");
    fixture.forgive(is_cut_short);
}

/// What the next to open the chip has to flush.
fn strays(fixture: &Fixture, chip: Chip) -> usize {
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
