//! The TPM's protection against dictionary attacks, which must not lock a device out for power cuts and noise.

use super::*;
use chanbind_tis_emulator::Event;
use chanbind_tpm_spi::command::{Capability, GetCapability};

/// A key with the password "secret", with the protection or without.
pub(crate) fn fixture(protected: bool) -> Fixture {
    Fixture::provisioned(|options| {
        options.auth = Some(Auth::new(b"secret").unwrap());
        options.dictionary_attack_protection = protected;
    })
}

fn key<'b, 'm>(fixture: &'b Fixture) -> HmacKey<'b, 'm> {
    HmacKey::new(fixture.key.blobs(), AuthValue::new(b"secret").unwrap()).unwrap()
}

/// TPM_PT_LOCKOUT_COUNTER
async fn counter(tpm: &mut TestTpm<'_>) -> u32 {
    let question = GetCapability {
        capability: Capability::TPM_PROPERTIES,
        property: 0x20e,
        count: 1,
    };
    let answer = tpm.execute(&question, &mut []).await.unwrap();
    let (property, value) = answer.properties().next().unwrap();
    assert_eq!(property, 0x20e);
    value
}

/// The right password at every boot, and power that goes without TPM2_Shutdown.
fn boots(fixture: &Fixture, phases: impl Iterator<Item = u64>) -> Result<(), String> {
    for phase in phases {
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let tpm = Tpm::new(fixture.chip(), &mut buffer, &mut contexts);
        run(async {
            let mut keys = TpmKeys::new(tpm, OsRng, H2, fixture.key.parent_name);
            let mut key = key(fixture);
            let mut out = [0; 32];
            // In the middle of whatever the driver then does, and once more behind it all.
            let at = fixture.emulator.counts().transactions + phase;
            fixture
                .emulator
                .script(|script| script.events = vec![(at, Event::Return)]);
            keys.hmac(&mut key, &[b"data"], &mut out).await
        })
        .or_else(|error| match error {
            // The cut hit the bus: the next boot goes on.
            Error::Chip(_) => Ok(()),
            error => Err(error.to_string()),
        })?;
        fixture.emulator.event(Event::Return);
    }
    Ok(())
}

/// swtpm locks after 3 failures, and counts each boot after the use of a protected key as one.
#[test]
fn a_protected_key_is_locked_out_by_power_cuts() {
    let fixture = fixture(true);
    let error = boots(&fixture, [1000; 10].into_iter()).unwrap_err();
    assert!(error.contains("TPM_RC_LOCKOUT"), "{error}");
    assert!(error.contains("power cuts"), "{error}");
}

#[test]
fn power_cuts_at_every_phase_do_not_lock_a_device_out() {
    let fixture = fixture(false);
    boots(&fixture, (1..=60).step_by(3)).unwrap();
    boots(&fixture, [1000; 10].into_iter()).unwrap();
    // Power went in the middle of a transaction, or the chip had lost its locality.
    let _ = fixture.emulator.take_violations();
    fixture.with_keys(async |keys| {
        let mut out = [0; 32];
        keys.hmac(&mut key(&fixture), &[b"data"], &mut out)
            .await
            .unwrap();
        assert_eq!(out, hmac(b"data"));
        assert_eq!(counter(keys.tpm_mut()).await, 0);
    });
}

/// Number of commands that are changed.
const FLIPS: usize = 1_000;

#[test]
fn flipped_bits_do_not_lock_a_device_out() {
    let fixture = fixture(false);
    fixture.with_keys(async |keys| {
        let mut key = key(&fixture);
        let mut out = [0; 32];
        let mut refused = 0;
        for number in 0..FLIPS {
            fixture.emulator.script(|script| {
                script.command = Box::new(move |mut command| {
                    if command[6..10] == [0, 0, 1, 0x55] {
                        // Behind the header, whose size the TPM would wait for.
                        let bit = 80 + number * 37 % ((command.len() - 10) * 8);
                        command[bit / 8] ^= 1 << (bit % 8);
                    }
                    command
                });
            });
            match keys.hmac(&mut key, &[b"data"], &mut out).await {
                Ok(()) => assert_eq!(out, hmac(b"data"), "{number}"),
                Err(Error::Tpm { .. } | Error::NotAuthentic) => refused += 1,
                Err(error) => panic!("{number}: {error}"),
            }
        }
        assert!(refused > FLIPS * 9 / 10, "{refused}");
        fixture
            .emulator
            .script(|script| script.command = Box::new(|command| command));
        keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
        assert_eq!(out, hmac(b"data"));
        assert_eq!(counter(keys.tpm_mut()).await, 0);
    });
}

/// A reset by pin, and the end of a program, come after TPM2_Shutdown: a protected key is then not counted against.
#[test]
fn orderly_resets_and_closes_are_not_counted() {
    let fixture = fixture(true);
    for _ in 0..6 {
        let bus = ExclusiveBus::new(fixture.emulator.bus(), fixture.emulator.chip_select());
        let chip =
            Tis::builder(bus, fixture.emulator.delay()).reset_pin(fixture.emulator.reset_pin());
        let chip = run(chip.open()).unwrap();
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let tpm = Tpm::new(chip, &mut buffer, &mut contexts);
        let mut keys = TpmKeys::new(tpm, OsRng, H2, fixture.key.parent_name);
        run(keys.hmac(&mut key(&fixture), &[b"data"], &mut [0; 32])).unwrap();
    }
    for _ in 0..6 {
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let tpm = Tpm::new(fixture.chip(), &mut buffer, &mut contexts);
        let mut keys = TpmKeys::new(tpm, OsRng, H2, fixture.key.parent_name);
        run(keys.hmac(&mut key(&fixture), &[b"data"], &mut [0; 32])).unwrap();
        run(keys.close()).unwrap();
        fixture.emulator.event(Event::Return);
    }
    fixture.assert_no_violations();
    fixture.with_tpm(async |tpm| assert_eq!(counter(tpm).await, 0));
}
