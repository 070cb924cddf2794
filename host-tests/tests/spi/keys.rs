//! TpmKeys in the chip.

use super::*;
use chanbind_core::{
    exporter::ExporterSecret,
    kdf::{HmacSha256, Layout, derive, derive_async},
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
fn hmac_is_that_of_the_key() {
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
fn the_prf_of_core() {
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
            derive_async(&layout, b"input", &mut keys.prf(&mut key), &mut inside)
                .await
                .unwrap();
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

    // Without an executor: blocking parts, blocking trait.
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

/// The same key through the host's stack.
#[test]
fn equals_tss_esapi() {
    let swtpm = Swtpm::start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (key, theirs) = runtime.block_on(async {
        let tpm = chanbind::tpm::Tpm::open(&swtpm.tcti(), OpenOptions::default())
            .await
            .unwrap();
        // Made inside: nobody knows the key but the TPM.
        let file = tpm.create_hmac_key(KeyOptions::default()).await.unwrap();
        let name = tpm.parent_name(file.parent).await.unwrap();
        let key = Provisioned {
            private: file.private.clone(),
            public: file.public.clone(),
            parent_name: Name::new(name.as_bytes()).unwrap(),
        };
        let loaded = tpm.load(file, None).await.unwrap();
        let theirs = loaded.hmac(b"keying material").await.unwrap().to_vec();
        drop(loaded);
        tpm.close().await;
        (key, theirs)
    });
    let fixture = Fixture {
        emulator: emulator(&swtpm),
        key,
        _swtpm: swtpm,
    };
    fixture.with_keys(async |keys| {
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        let mut ours = [0; 32];
        keys.hmac(&mut key, &[b"keying material"], &mut ours)
            .await
            .unwrap();
        assert_eq!(ours.as_slice(), theirs);
    });
}

#[test]
fn passwords() {
    let fixture = Fixture::with_password(Some("secret\0"));
    fixture.with_keys(async |keys| {
        // A TPM takes zeroes off the end.
        for password in ["secret", "secret\0", "secret\0\0"] {
            let auth = AuthValue::new(password.as_bytes()).unwrap();
            let mut key = HmacKey::new(fixture.key.blobs(), auth).unwrap();
            let mut out = [0; 32];
            keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
            assert_eq!(out, hmac(b"data"));
            // With data over the chip's limit, too.
            let long = [1; 2000];
            keys.hmac(&mut key, &[&long], &mut out).await.unwrap();
            assert_eq!(out, hmac(&long));
        }
    });
    assert!(AuthValue::new(&[1; 33]).is_err());
}

#[test]
fn a_key_that_stays_in_the_chip() {
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
fn damaged_blobs() {
    let fixture = Fixture::new();
    let Provisioned {
        private, public, ..
    } = &fixture.key;
    assert!(KeyBlobs::new(&private[1..], public).is_none());
    assert!(KeyBlobs::new(private, &public[..9]).is_none());
    assert!(KeyBlobs::new(&[], public).is_none());
    // Not for signing, or restricted to what the TPM has made: no HMAC key.
    for (at, bit) in [(7, 0x04), (7, 0x01), (3, 0x01), (5, 0x01)] {
        let mut public = public.clone();
        public[at] ^= bit;
        let blobs = KeyBlobs::new(private, &public).unwrap();
        let key = HmacKey::new(blobs, AuthValue::empty());
        assert_eq!(key.map(|_| ()), Err(WrongKey::Kind), "{at}");
    }
    fixture.with_keys(async |keys| {
        // Every byte of the public area is known, part of the name, or refused.
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
fn nothing_is_left_behind() {
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
        // More than the chip has room for, one after the other.
        for _ in 0..5 {
            let mut loaded = HmacKey::new(key.blobs(), AuthValue::empty()).unwrap();
            let mut out = [0; 32];
            run(keys.hmac(&mut loaded, &[b"data"], &mut out)).unwrap();
        }
        // All at once, an error, and a name for it.
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
        // An earlier run that did not clean up; a program that crashed.
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
fn survives_resets_of_the_chip() {
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

        // In the middle of a sequence, of which the chip then knows nothing.
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
        fixture.forgive(|what| matches!(what, Violation::WrongLocality(0, _)));
    });
    // Who holds sessions and objects himself is told.
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
fn random_numbers() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let (mut one, mut other) = (keys.rng().await.unwrap(), keys.rng().await.unwrap());
        let (mut first, mut second) = ([0; 64], [0; 64]);
        one.fill_bytes(&mut first);
        other.fill_bytes(&mut second);
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
