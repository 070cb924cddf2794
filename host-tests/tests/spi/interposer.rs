//! An attacker on the bus who sends commands of their own.

use super::*;
use chanbind_tis_emulator::{Computes, Swtpm as Wire};
use chanbind_tpm_spi::{command::*, session::Password};
use std::{
    io,
    sync::{Arc, Mutex},
};

/// A TPM behind an attacker, who sees every command and may respond to it.
struct Interposer<F> {
    tpm: Wire,
    respond: F,
}

impl<F: FnMut(&mut Wire, &[u8]) -> Option<Vec<u8>> + Send> Computes for Interposer<F> {
    fn execute(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        match (self.respond)(&mut self.tpm, command) {
            Some(response) => Ok(response),
            None => self.tpm.execute(command),
        }
    }

    fn reset(&mut self) -> io::Result<()> {
        self.tpm.reset()
    }
}

fn fixture_with_interposer(
    password: Option<&str>,
    respond: impl FnMut(&mut Wire, &[u8]) -> Option<Vec<u8>> + Send + 'static,
) -> Fixture {
    let swtpm = Swtpm::start().unwrap();
    let key = provision(&swtpm, |options| {
        options.auth = password.map(|password| Auth::new(password.as_bytes()).unwrap());
    });
    let tpm = Wire::connect(swtpm.port()).unwrap();
    Fixture {
        emulator: Emulator::new(Interposer { tpm, respond }),
        key,
        _swtpm: swtpm,
    }
}

fn frame(tag: u16, code: u32, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(10 + body.len()).unwrap();
    [
        &tag.to_be_bytes()[..],
        &size.to_be_bytes(),
        &code.to_be_bytes(),
        body,
    ]
    .concat()
}

const EMPTY_PASSWORD: [u8; 13] = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0];

const HASH_SEQUENCE_START: u32 = 0x186;
const SEQUENCE_COMPLETE: u32 = 0x13e;

fn code_of(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[6..10].try_into().unwrap())
}

/// A sequence object has no name. Only its password prevents others from completing it and reading the HMAC.
#[test]
fn attacker_cannot_complete_hmac_sequence() {
    for password in [None, Some("secret")] {
        let attempts = Arc::new(Mutex::new(Vec::new()));
        let recorded = Arc::clone(&attempts);
        let fixture = fixture_with_interposer(password, move |tpm, command| {
            if code_of(command) == SEQUENCE_COMPLETE {
                let body = [&command[10..14], &EMPTY_PASSWORD, &[0, 0, 0x40, 0, 0, 7]].concat();
                let stolen = tpm
                    .execute(&frame(0x8002, SEQUENCE_COMPLETE, &body))
                    .unwrap();
                recorded.lock().unwrap().push(code_of(&stolen));
            }
            None
        });
        fixture.with_keys(async |keys| {
            let auth = AuthValue::new(password.unwrap_or_default().as_bytes()).unwrap();
            let mut key = HmacKey::new(fixture.key.blobs(), auth).unwrap();
            let mut out = [0; 32];
            keys.hmac(&mut key, &[&[0x42; 1000]], &mut out)
                .await
                .unwrap();
            assert_eq!(out, hmac(&[0x42; 1000]));
        });
        let attempts = attempts.lock().unwrap();
        assert!(
            !attempts.is_empty() && !attempts.contains(&0),
            "{attempts:x?}"
        );
    }
}

/// An attacker cannot substitute another sequence, although no response names it: neither a hash sequence nor an earlier HMAC
/// sequence of the same key.
#[test]
fn rejects_substituted_hmac_sequence() {
    let mut other = Vec::new();
    let fixture = fixture_with_interposer(None, move |tpm, command| match code_of(command) {
        0x15b => {
            let response = tpm.execute(command).unwrap();
            let hash = tpm
                .execute(&frame(0x8001, HASH_SEQUENCE_START, &[0, 0, 0, 0x0b]))
                .unwrap();
            assert_eq!(code_of(&hash), 0);
            other = hash[10..14].to_vec();
            Some(response)
        }
        0x15c | SEQUENCE_COMPLETE => {
            let mut changed = command.to_vec();
            changed[10..14].copy_from_slice(&other);
            Some(tpm.execute(&changed).unwrap())
        }
        _ => None,
    });
    fixture.with_keys(async |keys| {
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        let mut out = [0; 32];
        let error = keys.hmac(&mut key, &[&[0x42; 1000]], &mut out).await;
        assert!(matches!(error, Err(Error::Tpm { .. })), "{error:?}");
        assert_eq!(out, [0; 32]);
    });

    let mut first: Option<Vec<u8>> = None;
    let fixture = fixture_with_interposer(None, move |tpm, command| match code_of(command) {
        // Saves the first sequence before it is completed, and loads it in place of the next one.
        SEQUENCE_COMPLETE if first.is_none() => {
            first = Some(
                tpm.execute(&frame(0x8001, 0x162, &command[10..14]))
                    .unwrap(),
            );
            None
        }
        0x15c | SEQUENCE_COMPLETE => {
            let saved = first.as_ref()?;
            assert_eq!(code_of(saved), 0);
            let loaded = tpm.execute(&frame(0x8001, 0x161, &saved[10..])).unwrap();
            if code_of(&loaded) != 0 {
                return None;
            }
            let mut changed = command.to_vec();
            changed[10..14].copy_from_slice(&loaded[10..14]);
            Some(tpm.execute(&changed).unwrap())
        }
        _ => None,
    });
    fixture.with_keys(async |keys| {
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        let mut out = [0; 32];
        keys.hmac(&mut key, &[&[1; 1000]], &mut out).await.unwrap();
        out.fill(0);
        let error = keys.hmac(&mut key, &[&[2; 1000]], &mut out).await;
        assert!(matches!(error, Err(Error::Tpm { .. })), "{error:?}");
        assert_eq!(out, [0; 32]);
    });
}

/// The chip reports an object however often it is flushed.
#[test]
fn start_fails_when_stale_objects_cannot_be_flushed() {
    let fixture = Fixture::new();
    fixture.emulator.script(|script| {
        script.refusal = Box::new(|command| match code_of(command) {
            0x17a => Some(frame(
                0x8001,
                0,
                &[0, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0, 0, 0],
            )),
            _ => Some(frame(0x8001, 0, &[])),
        });
    });
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(fixture.chip(), &mut buffer, &mut contexts);
    assert_eq!(run(tpm.start()), Err(Error::Malformed));
    assert!(fixture.emulator.commands().len() < 200);
    fixture.restore_good_behaviour();
    run(tpm.start()).unwrap();
}

/// Sessions whose start response is malformed do not stay in the chip.
#[test]
fn flushes_sessions_with_malformed_start_response() {
    let fixture = Fixture::new();
    fixture.with_tpm(async |tpm| {
        let parent = tpm.parent(H2, &fixture.key.parent_name).await.unwrap();
        fixture.emulator.script(|script| {
            script.response = Box::new(|command, mut response| {
                if code_of(command) == 0x176 && code_of(&response) == 0 {
                    // Shortens the nonce by one byte.
                    response.pop();
                    response[5] -= 1;
                    response[15] -= 1;
                }
                response
            });
        });
        for _ in 0..9 {
            let result = tpm
                .start_session(&parent, SessionType::Hmac, &mut OsRng)
                .await;
            assert_eq!(result.map(|_| ()), Err(Error::Malformed));
        }
        fixture.restore_good_behaviour();
        for _ in 0..9 {
            tpm.start_session(&parent, SessionType::Hmac, &mut OsRng)
                .await
                .unwrap();
        }
    });
}

#[test]
fn session_stays_unusable_after_unauthentic_response() {
    let fixture = Fixture::new();
    fixture.with_tpm(async |tpm| {
        let parent = tpm.parent(H2, &fixture.key.parent_name).await.unwrap();
        let mut session = tpm
            .start_session(&parent, SessionType::Hmac, &mut OsRng)
            .await
            .unwrap();
        let random = GetRandom { bytes_requested: 8 };
        fixture.emulator.script(|script| {
            script.response = Box::new(|_, mut response| {
                *response.last_mut().unwrap() ^= 1;
                response
            });
        });
        let mut authorization = session.encrypting();
        let first = tpm.execute(&random, &mut [&mut authorization]).await;
        assert_eq!(first, Err(Error::NotAuthentic));
        fixture.restore_good_behaviour();
        for _ in 0..3 {
            let again = tpm.execute(&random, &mut [&mut authorization]).await;
            assert_eq!(again, Err(Error::SessionInDoubt));
        }
        assert!(!session.is_usable());
    });
}

/// A session that neither authorizes nor encrypts still authenticates the response.
#[test]
fn session_authenticates_responses_without_encryption() {
    let fixture = Fixture::new();
    fixture.with_tpm(async |tpm| {
        let parent = tpm.parent(H2, &fixture.key.parent_name).await.unwrap();
        let mut session = tpm
            .start_session(&parent, SessionType::Hmac, &mut OsRng)
            .await
            .unwrap();
        let random = GetRandom { bytes_requested: 8 };
        let read = PcrRead {
            pcrs: PcrSelection::sha256(&[16]),
        };
        // One authorization for several commands, with and without encryption.
        let mut authorization = session.encrypting();
        for _ in 0..2 {
            tpm.execute(&random, &mut [&mut authorization])
                .await
                .unwrap();
            tpm.execute(&read, &mut [&mut authorization]).await.unwrap();
        }
        let extend = PcrExtend {
            pcr: &Entity::pcr(16),
            digest: &[1; 32],
        };
        tpm.execute(&extend, &mut [&mut Password::empty(), &mut authorization])
            .await
            .unwrap();
        fixture.emulator.script(|script| {
            script.response = Box::new(|_, mut response| {
                response[60] ^= 1;
                response
            });
        });
        let error = tpm.execute(&read, &mut [&mut session.encrypting()]).await;
        assert_eq!(error.map(|_| ()), Err(Error::NotAuthentic));
    });
}

#[test]
fn tpm_wipes_buffer_on_drop() {
    let fixture = Fixture::new();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(fixture.chip(), &mut buffer, &mut contexts);
    run(tpm.random(&mut [0; 32])).unwrap();
    drop(tpm);
    assert_eq!(buffer, [0; 512]);
}
