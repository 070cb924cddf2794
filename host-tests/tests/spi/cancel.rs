//! Futures that are dropped before they are done.

use super::*;
use chanbind_tpm_spi::{
    command::{Load, SessionType},
    session::Password,
};
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
    let bench = Bench::new();
    bench.emulator.returns_to_the_executor(true);
    // Some work on the chip's side, so that it is given up in there, too.
    bench
        .emulator
        .script(|script| script.execution = Box::new(|_| 300));
    let points = bench.with_keys(async |keys| {
        let mut key = HmacKey::new(bench.key.blobs(), AuthValue::empty()).unwrap();
        let mut out = [0; 32];
        for polls in 0.. {
            keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
            assert_eq!(out, hmac(b"data"), "{polls}");
            out.fill(0);
            let done = give_up_after(polls, keys.hmac(&mut key, &[b"data"], &mut out));
            bench.forgive(is_cut_short);
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

/// From opening to the first HMAC: whatever is given up, what it left in the chip is flushed.
#[test]
fn a_cold_start_dropped_at_every_fifth_await_point() {
    let Bench {
        emulator,
        key,
        _swtpm: swtpm,
    } = Bench::new();
    emulator.returns_to_the_executor(true);
    emulator.script(|script| script.execution = Box::new(|_| 300));
    let mut points = 0;
    for polls in (1..).step_by(5) {
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let chip = run(open_chip(&emulator)).unwrap();
        let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
        let mut out = [0; 32];
        let done = give_up_after(polls, async {
            tpm.start().await?;
            let parent = tpm.parent(H2, &key.parent_name).await?;
            let session = tpm
                .start_session(&parent, SessionType::Hmac, &mut OsRng)
                .await?;
            let load = Load {
                parent: parent.entity(),
                private: &key.private,
                public: &key.public,
            };
            tpm.execute(&load, &mut [&mut Password::empty()]).await?;
            drop((parent, session));
            tpm.random(&mut out).await
        });
        // The same TPM goes on, as if nothing had been.
        let mut keys = Keys::new(tpm, OsRng, H2, key.parent_name);
        let mut loaded = HmacKey::new(key.blobs(), AuthValue::empty()).unwrap();
        run(keys.hmac(&mut loaded, &[b"data"], &mut out)).unwrap();
        assert_eq!(out, hmac(b"data"), "{polls}");
        drop(loaded);
        run(keys.close()).unwrap();
        if done.is_some() {
            points = polls;
            break;
        }
    }
    assert!(points > 150, "{points}");
    let violations = emulator.take_violations();
    assert!(violations.iter().all(is_cut_short), "{violations:?}");
    drop(emulator);
    // Not even the key that was loaded by hand, for the last run was not given up: it is all that there is.
    assert!(swtpm.leftovers().len() <= 1);
}
