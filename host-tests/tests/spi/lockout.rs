//! The TPM's protection against dictionary attacks, which must not lock out a device because of power cuts and noise.

use super::*;
use chanbind_tis_emulator::Event;
use chanbind_tpm_spi::command::{Capability, GetCapability};

/// Returns a fixture whose key has the password "secret" and, if `protected`, the protection against dictionary attacks.
pub(crate) fn fixture(protected: bool) -> Fixture {
    Fixture::provisioned(|options| {
        options.auth = Some(Auth::new(b"secret").unwrap());
        options.dictionary_attack_protection = protected;
    })
}

fn key<'b, 'm>(fixture: &'b Fixture) -> HmacKey<'b, 'm> {
    HmacKey::new(fixture.key.blobs(), AuthValue::new(b"secret").unwrap()).unwrap()
}

/// Reads TPM_PT_LOCKOUT_COUNTER.
async fn lockout_counter(tpm: &mut TestTpm<'_>) -> u32 {
    let command = GetCapability {
        capability: Capability::TPM_PROPERTIES,
        property: 0x20e,
        count: 1,
    };
    let response = tpm.execute(&command, &mut []).await.unwrap();
    let (property, value) = response.properties().next().unwrap();
    assert_eq!(property, 0x20e);
    value
}

/// Boots once per phase, uses the key with the correct password, and cuts the power without TPM2_Shutdown. The power is also cut
/// when the transaction number `phase` begins.
fn boot_with_power_cuts(
    fixture: &Fixture,
    phases: impl Iterator<Item = u64>,
) -> Result<(), String> {
    for phase in phases {
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let tpm = Tpm::new(fixture.chip(), &mut buffer, &mut contexts);
        run(async {
            let mut keys = TpmKeys::new(tpm, OsRng, H2, fixture.key.parent_name);
            let mut key = key(fixture);
            let mut out = [0; 32];
            // Cuts the power at this transaction, and once more after the HMAC.
            let at = fixture.emulator.counts().transactions + phase;
            fixture
                .emulator
                .script(|script| script.events = vec![(at, Event::Return)]);
            keys.hmac(&mut key, &[b"data"], &mut out).await
        })
        .or_else(|error| match error {
            // The power cut interrupted a transaction: continue with the next boot.
            Error::Chip(_) => Ok(()),
            error => Err(error.to_string()),
        })?;
        fixture.emulator.event(Event::Return);
    }
    Ok(())
}

/// swtpm locks out after 3 failures, and counts each boot after the use of a protected key as a failure.
#[test]
fn power_cuts_lock_out_protected_key() {
    let fixture = fixture(true);
    let error = boot_with_power_cuts(&fixture, [1000; 10].into_iter()).unwrap_err();
    assert!(error.contains("TPM_RC_LOCKOUT"), "{error}");
    assert!(error.contains("power cuts"), "{error}");
}

#[test]
fn power_cuts_never_lock_out_unprotected_key() {
    let fixture = fixture(false);
    boot_with_power_cuts(&fixture, (1..=60).step_by(3)).unwrap();
    boot_with_power_cuts(&fixture, [1000; 10].into_iter()).unwrap();
    // The power was cut in the middle of a transaction, or the chip had lost its locality.
    let _ = fixture.emulator.take_violations();
    fixture.with_keys(async |keys| {
        let mut out = [0; 32];
        keys.hmac(&mut key(&fixture), &[b"data"], &mut out)
            .await
            .unwrap();
        assert_eq!(out, hmac(b"data"));
        assert_eq!(lockout_counter(keys.tpm_mut()).await, 0);
    });
}

/// The number of commands that are changed.
const FLIPS: usize = 1_000;

#[test]
fn flipped_command_bits_never_lock_out_unprotected_key() {
    let fixture = fixture(false);
    fixture.with_keys(async |keys| {
        let mut key = key(&fixture);
        let mut out = [0; 32];
        let mut rejected = 0;
        for number in 0..FLIPS {
            fixture.emulator.script(|script| {
                script.command = Box::new(move |mut command| {
                    if command[6..10] == [0, 0, 1, 0x55] {
                        // A bit after the header: with a larger size, swtpm would wait for more bytes.
                        let bit = 80 + number * 37 % ((command.len() - 10) * 8);
                        command[bit / 8] ^= 1 << (bit % 8);
                    }
                    command
                });
            });
            match keys.hmac(&mut key, &[b"data"], &mut out).await {
                Ok(()) => assert_eq!(out, hmac(b"data"), "{number}"),
                Err(Error::Tpm { .. } | Error::NotAuthentic) => rejected += 1,
                Err(error) => panic!("{number}: {error}"),
            }
        }
        assert!(rejected > FLIPS * 9 / 10, "{rejected}");
        fixture.restore_good_behaviour();
        keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
        assert_eq!(out, hmac(b"data"));
        assert_eq!(lockout_counter(keys.tpm_mut()).await, 0);
    });
}

/// The driver sends TPM2_Shutdown before a reset by pin and when it is closed, so that the use of a protected key does not count
/// as a failure.
#[test]
fn orderly_resets_and_closes_do_not_count_as_auth_failures() {
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
    fixture.with_tpm(async |tpm| assert_eq!(lockout_counter(tpm).await, 0));
}
