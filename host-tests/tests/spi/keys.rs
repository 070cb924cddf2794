//! HMAC keys, key blobs and random numbers of the TPM, used through [`TpmKeys`].

use super::*;
use chanbind_core::{
    exporter::ExporterSecret,
    kdf::{HmacSha256, Layout, Step, derive},
    otp::{ClientId, OneTimeKey, Profile, Purpose},
};
use chanbind_tis_emulator::Event;
use chanbind_tpm_spi::{
    blocking,
    command::{Entity, EvictControl, Handle, Load, SessionType},
    key::WrongKey,
    session::Password,
};
use rand_core::RngCore;

#[test]
fn hmac_in_tpm_matches_software() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        for len in [0, 1, 32, 64, 300, 400, 417, 418, 1024, 5000] {
            let data = vec![0x5a; len];
            let mut out = [0; 32];
            keys.hmac(&mut key, &[&data], &mut out).await.unwrap();
            assert_eq!(out, hmac(&data), "{len}");
        }
    });
}

#[test]
fn tpm_prf_matches_software_kdfs() {
    let fixture = Fixture::new();
    let profile = Profile::default();
    let client = ClientId::new("client1").unwrap();
    let channel = ExporterSecret::sha256(&[7; 32]);
    let expected = OneTimeKey::derive(
        &profile,
        Purpose::ApiKey,
        client,
        &channel,
        &mut HmacSha256::new(SECRET),
    )
    .unwrap();
    fixture.with_keys(async |keys| {
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        for (layout, len) in [
            (Layout::VAULT, 100),
            (Layout::sp800_108(b"label"), 64),
            (Layout::Hmac, 16),
        ] {
            let (mut inside, mut outside) = (vec![0; len], vec![0; len]);
            let mut step = layout.derivation(b"input", 32, &mut inside).unwrap();
            while let Step::Prf(pending) = step {
                let mut mac = [0; 32];
                let input = pending.input();
                keys.hmac(&mut key, &input.parts(), &mut mac).await.unwrap();
                step = pending.answer(&mac).unwrap();
            }
            drop(step);
            derive(
                &layout,
                b"input",
                &mut HmacSha256::new(SECRET),
                &mut outside,
            )
            .unwrap();
            assert_eq!(inside, outside);
        }
    });

    // The same without an executor: blocking parts and the blocking trait.
    let bus = ExclusiveBus::new(
        blocking::Bus(fixture.emulator.bus()),
        fixture.emulator.chip_select(),
    );
    let chip = Tis::builder(bus, blocking::Delay(fixture.emulator.delay())).open();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let tpm = Tpm::new(run(chip).unwrap(), &mut buffer, &mut contexts);
    let mut keys = TpmKeys::new(tpm, OsRng, H2, fixture.key.parent_name);
    let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
    let derived = OneTimeKey::derive(
        &profile,
        Purpose::ApiKey,
        client,
        &channel,
        &mut keys.prf(&mut key),
    )
    .unwrap();
    assert_eq!(derived.as_bytes(), expected.as_bytes());
    fixture.assert_no_violations();
}

/// The driver and the host's stack compute the same HMAC with the same key.
#[test]
fn hmac_matches_tss_esapi() {
    let swtpm = Swtpm::start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (key, expected) = runtime.block_on(async {
        let tpm = chanbind::tpm::Tpm::open(&swtpm.tcti(), OpenOptions::default())
            .await
            .unwrap();
        // Created inside the TPM: its secret is not known outside.
        let file = tpm.create_hmac_key(KeyOptions::default()).await.unwrap();
        let name = tpm.parent_name(file.parent).await.unwrap();
        let key = Provisioned {
            private: file.private.clone(),
            public: file.public.clone(),
            parent_name: Name::new(name.as_bytes()).unwrap(),
        };
        let loaded = tpm.load(file, None).await.unwrap();
        let expected = loaded.hmac(b"keying material").await.unwrap().to_vec();
        drop(loaded);
        tpm.close().await;
        (key, expected)
    });
    let fixture = Fixture {
        emulator: emulator(&swtpm),
        key,
        _swtpm: swtpm,
    };
    fixture.with_keys(async |keys| {
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        let mut actual = [0; 32];
        keys.hmac(&mut key, &[b"keying material"], &mut actual)
            .await
            .unwrap();
        assert_eq!(actual.as_slice(), expected);
    });
}

#[test]
fn key_password_ignores_trailing_zeros() {
    let fixture = Fixture::with_password(Some("secret\0"));
    fixture.with_keys(async |keys| {
        // A TPM removes trailing zeros of a password.
        for password in ["secret", "secret\0", "secret\0\0"] {
            let auth = AuthValue::new(password.as_bytes()).unwrap();
            let mut key = HmacKey::new(fixture.key.blobs(), auth).unwrap();
            let mut out = [0; 32];
            keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
            assert_eq!(out, hmac(b"data"));
            // Also with more data than one command takes.
            let long = [1; 2000];
            keys.hmac(&mut key, &[&long], &mut out).await.unwrap();
            assert_eq!(out, hmac(&long));
        }
    });
    assert!(AuthValue::new(&[1; 33]).is_err());
}

#[test]
fn uses_persistent_hmac_key() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let parent = keys
            .tpm_mut()
            .parent(H2, &fixture.key.parent_name)
            .await
            .unwrap();
        let load = Load {
            parent: parent.entity(),
            private: &fixture.key.private,
            public: &fixture.key.public,
        };
        let loaded = keys
            .tpm_mut()
            .execute(&load, &mut [&mut Password::empty()])
            .await
            .unwrap();
        let name = Name::new(loaded.name).unwrap();
        let transient = Entity::object(loaded.handle, name);
        drop(parent);
        let persistent = Handle(0x8100_0007);
        let evict = EvictControl {
            hierarchy: &Entity::OWNER,
            object: &transient,
            persistent,
        };
        keys.tpm_mut()
            .execute(&evict, &mut [&mut Password::empty()])
            .await
            .unwrap();

        let key = Entity::object(persistent, name);
        let mut key = HmacKey::persistent(key, AuthValue::empty());
        let mut out = [0; 32];
        keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
        assert_eq!(out, hmac(b"data"));

        let wrong = Entity::object(persistent, fixture.key.parent_name);
        let mut wrong = HmacKey::persistent(wrong, AuthValue::empty());
        let error = keys.hmac(&mut wrong, &[b"data"], &mut out).await;
        assert!(matches!(error, Err(Error::Tpm { .. })), "{error:?}");
        let error = keys
            .persistent_signing(Entity::object(persistent, name), AuthValue::empty())
            .await;
        assert_eq!(error.unwrap_err(), Error::KeyKind);
    });
}

#[test]
fn rejects_damaged_key_blobs() {
    let fixture = Fixture::new();
    let Provisioned {
        private, public, ..
    } = &fixture.key;
    assert!(KeyBlobs::new(&private[1..], public).is_none());
    assert!(KeyBlobs::new(private, &public[..9]).is_none());
    assert!(KeyBlobs::new(&[], public).is_none());
    // A key that is not for signing, is restricted, or has another type or name algorithm is not accepted as an HMAC key.
    for (at, bit) in [(7, 0x04), (7, 0x01), (3, 0x01), (5, 0x01)] {
        let mut public = public.clone();
        public[at] ^= bit;
        let blobs = KeyBlobs::new(private, &public).unwrap();
        let key = HmacKey::new(blobs, AuthValue::empty());
        assert_eq!(key.map(|_| ()), Err(WrongKey::Kind), "{at}");
    }
    fixture.with_keys(async |keys| {
        // A change in any byte of the public area is rejected by the driver, or by the TPM when it loads the key.
        for at in 2..public.len() {
            let mut public = public.clone();
            public[at] ^= 0x40;
            let blobs = KeyBlobs::new(private, &public);
            let Some(blobs) = blobs else { continue };
            if let Ok(mut key) = HmacKey::new(blobs, AuthValue::empty()) {
                keys.load(&mut key).await.unwrap_err();
            }
        }
        for at in 2..private.len() {
            let mut private = private.clone();
            private[at] ^= 0x40;
            let Some(blobs) = KeyBlobs::new(&private, public) else {
                continue;
            };
            let mut key = HmacKey::new(blobs, AuthValue::empty()).unwrap();
            keys.load(&mut key).await.unwrap_err();
        }
    });
}

#[test]
fn flushes_keys_and_sessions_of_earlier_users() {
    let fixture = Fixture::new();
    let Fixture {
        emulator,
        key,
        _swtpm: swtpm,
    } = fixture;
    {
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let chip = run(open_chip(&emulator)).unwrap();
        let tpm = Tpm::new(chip, &mut buffer, &mut contexts);
        let mut keys = TpmKeys::new(tpm, OsRng, H2, key.parent_name);
        // More keys than the chip has room for, one after the other.
        for _ in 0..5 {
            let mut loaded = HmacKey::new(key.blobs(), AuthValue::empty()).unwrap();
            let mut out = [0; 32];
            run(keys.hmac(&mut loaded, &[b"data"], &mut out)).unwrap();
        }
        // More keys than the chip has room for, at the same time: an error that names the reason.
        let mut held = Vec::new();
        let error = loop {
            let mut loaded = HmacKey::new(key.blobs(), AuthValue::empty()).unwrap();
            match run(keys.load(&mut loaded)) {
                Ok(()) => held.push(loaded),
                Err(error) => break error,
            }
        };
        assert_eq!(
            error.to_string(),
            "the TPM rejected TPM2_Load: TPM_RC_OBJECT_MEMORY (the TPM is full: drop keys or sessions)"
        );
        drop(held);
        run(keys.close()).unwrap();
    }
    {
        // A program that ended without cleaning up.
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let chip = run(open_chip(&emulator)).unwrap();
        let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
        run(tpm.start()).unwrap();
        let parent = run(tpm.parent(H2, &key.parent_name)).unwrap();
        let session = run(tpm.start_session(&parent, SessionType::Hmac, &mut OsRng)).unwrap();
        core::mem::forget((parent, session));
    }
    {
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let chip = run(open_chip(&emulator)).unwrap();
        let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
        run(tpm.start()).unwrap();
    }
    assert_eq!(emulator.take_violations(), []);
    drop(emulator);
    assert_eq!(swtpm.orphans(), [""; 0]);
}

#[test]
fn hmac_survives_chip_resets() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        let mut out = [0; 32];
        for _ in 0..3 {
            fixture.emulator.event(Event::Reset);
            keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
            assert_eq!(out, hmac(b"data"));
        }
        fixture.emulator.event(Event::Reset);
        keys.random(&mut out).await.unwrap();

        // A reset in the middle of a sequence, which the chip loses.
        let long = [7; 2000];
        let before = fixture.emulator.counts();
        keys.hmac(&mut key, &[&long], &mut out).await.unwrap();
        let count = (fixture.emulator.counts() - before).transactions;
        let mut recovered = 0;
        for number in (1..=count).step_by(3) {
            let at = fixture.emulator.counts().transactions + number;
            fixture
                .emulator
                .script(|script| script.events = vec![(at, Event::Reset)]);
            out.fill(0);
            match keys.hmac(&mut key, &[&long], &mut out).await {
                Ok(()) => {
                    assert_eq!(out, hmac(&long), "{number}");
                    recovered += 1;
                }
                Err(error) => assert!(matches!(error, Error::Chip(_)), "{error:?}"),
            }
        }
        assert!(recovered > 4, "{recovered}");
        fixture.discard_violations(|violation| matches!(violation, Violation::WrongLocality(0, _)));
    });
    // A caller that holds sessions and objects gets an error.
    fixture.with_tpm(async |tpm| {
        let parent = tpm.parent(H2, &fixture.key.parent_name).await.unwrap();
        fixture.emulator.event(Event::Reset);
        let error = tpm
            .start_session(&parent, SessionType::Hmac, &mut OsRng)
            .await
            .unwrap_err();
        assert_eq!(error, Error::Reset);
        assert!(!parent.is_live());
        let parent = tpm.parent(H2, &fixture.key.parent_name).await.unwrap();
        tpm.start_session(&parent, SessionType::Hmac, &mut OsRng)
            .await
            .unwrap();
    });
}

#[test]
fn random_bytes_differ_and_never_pass_the_bus_in_clear() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let (mut first_rng, mut second_rng) =
            (keys.rng().await.unwrap(), keys.rng().await.unwrap());
        let (mut first, mut second) = ([0; 64], [0; 64]);
        first_rng.fill_bytes(&mut first);
        second_rng.fill_bytes(&mut second);
        assert_ne!(first, second);
        let mut long = [0; 200];
        keys.random(&mut long).await.unwrap();
        assert!(
            !long
                .windows(4)
                .any(|window| fixture.emulator.has_seen(window))
        );
    });
}
