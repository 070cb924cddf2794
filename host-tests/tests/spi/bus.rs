//! Attackers who read the bus or change what passes it.

use super::*;
use chanbind_core::{
    exporter::ExporterSecret,
    kdf::HmacSha256,
    otp::{ClientId, KeyDerivation, OneTimeKey, Profile, Purpose},
    proof::KeyRequest,
};
use chanbind_tpm_spi::{
    command::{Entity, EvictControl, Handle, Hmac, ResponseCode},
    session::Password,
};

const PASSWORD: &str = "a password of some length";

#[test]
fn secrets_never_pass_the_bus_in_clear() {
    let fixture = Fixture::with_password(Some(PASSWORD));
    let profile = Profile::default();
    let client = ClientId::new("client1").unwrap();
    let channel = ExporterSecret::sha256(&[7; 32]);
    let material = profile
        .keying_material(&channel, Purpose::ApiKey, client)
        .unwrap();
    fixture.with_keys(async |keys| {
        let auth = AuthValue::new(PASSWORD.as_bytes()).unwrap();
        let mut key = HmacKey::new(fixture.key.blobs(), auth).unwrap();
        let mut derivation =
            KeyDerivation::new(&profile, Purpose::ApiKey, client, &channel).unwrap();
        let derived = loop {
            let KeyRequest::Hmac(input) = derivation.request() else {
                unreachable!("a derivation needs HMACs only")
            };
            let mut mac = [0; 32];
            let parts = input.parts();
            keys.hmac(&mut key, &parts, &mut mac).await.unwrap();
            if let Some(key) = derivation.answered(&mac).unwrap() {
                break key;
            }
        };
        let in_software = OneTimeKey::derive(
            &profile,
            Purpose::ApiKey,
            client,
            &channel,
            &mut HmacSha256::new(SECRET),
        )
        .unwrap();
        assert_eq!(derived.as_bytes(), in_software.as_bytes());

        let mut random = [0; 16];
        keys.random(&mut random).await.unwrap();
        for secret in [
            material.as_bytes(),
            derived.as_bytes(),
            PASSWORD.as_bytes(),
            SECRET,
            &random,
        ] {
            // No eight consecutive bytes of a secret pass the bus.
            for piece in secret.windows(8) {
                assert!(!fixture.emulator.has_seen(piece));
            }
        }

        // The recorder does see secrets: the same command, authorized by a password, passes in the clear.
        drop(key);
        let parent_name = fixture.key.parent_name;
        let tpm = keys.tpm_mut();
        let parent = tpm.parent(H2, &parent_name).await.unwrap();
        let load = chanbind_tpm_spi::command::Load {
            parent: parent.entity(),
            private: &fixture.key.private,
            public: &fixture.key.public,
        };
        let loaded = tpm
            .execute(&load, &mut [&mut Password::empty()])
            .await
            .unwrap();
        let entity = Entity::object(loaded.handle, Name::new(loaded.name).unwrap());
        let auth = AuthValue::new(PASSWORD.as_bytes()).unwrap();
        let command = Hmac {
            key: &entity,
            data: &[material.as_bytes()],
        };
        tpm.execute(&command, &mut [&mut Password(&auth)])
            .await
            .unwrap();
        assert!(fixture.emulator.has_seen(material.as_bytes()));
        assert!(fixture.emulator.has_seen(PASSWORD.as_bytes()));
    });
}

const CREATE_PRIMARY: u8 = 0x31;
const READ_PUBLIC: u8 = 0x73;
const START_AUTH_SESSION: u8 = 0x76;
const HMAC: u8 = 0x55;

/// Changes the chip's responses to commands with this code.
fn change_responses(
    emulator: &Emulator,
    code: u8,
    mut change: impl FnMut(Vec<u8>) -> Vec<u8> + Send + 'static,
) {
    emulator.script(|script| {
        script.response = Box::new(move |command, response| {
            if command[8..10] == [0x01, code] {
                change(response)
            } else {
                response
            }
        });
    });
}

#[test]
fn rejects_substituted_primary_parent_key() {
    let fixture = Fixture::new();
    // A key of the attacker, and flipped bits in the genuine public area.
    let point = p256::SecretKey::random(&mut OsRng).public_key();
    let own = p256::elliptic_curve::sec1::ToEncodedPoint::to_encoded_point(&point, false);
    let (x, y) = (own.x().unwrap().to_vec(), own.y().unwrap().to_vec());
    let open = || {
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let tpm = Tpm::new(fixture.chip(), &mut buffer, &mut contexts);
        run(TpmKeys::new(tpm, OsRng, H2, fixture.key.parent_name).open()).unwrap_err()
    };
    change_responses(&fixture.emulator, CREATE_PRIMARY, move |mut response| {
        response[44..76].copy_from_slice(&x);
        response[78..110].copy_from_slice(&y);
        response
    });
    assert_eq!(open(), Error::ParentName);
    for byte in [20, 30, 44, 60, 75, 78, 100, 109] {
        change_responses(&fixture.emulator, CREATE_PRIMARY, move |mut response| {
            response[byte] ^= 1;
            response
        });
        let error = open();
        assert!(
            matches!(error, Error::ParentName | Error::Parent),
            "{byte}: {error:?}"
        );
    }
    // Afterwards, the driver neither started a session nor used a key.
    let codes: Vec<_> = fixture
        .emulator
        .commands()
        .iter()
        .map(|command| command[9])
        .collect();
    assert!(!codes.contains(&START_AUTH_SESSION));
    assert!(!codes.contains(&HMAC));
}

#[test]
fn rejects_changed_persistent_parent_key() {
    let fixture = Fixture::new();
    let persistent = Handle(0x8100_0001);
    fixture.with_tpm(async |tpm| {
        let parent = tpm.parent(H2, &fixture.key.parent_name).await.unwrap();
        let evict = EvictControl {
            hierarchy: &Entity::OWNER,
            object: parent.entity(),
            persistent,
        };
        tpm.execute(&evict, &mut [&mut Password::empty()])
            .await
            .unwrap();
        change_responses(&fixture.emulator, READ_PUBLIC, |mut response| {
            response[40] ^= 1;
            response
        });
        let error = tpm
            .parent(ParentKey::Persistent(persistent), &fixture.key.parent_name)
            .await
            .unwrap_err();
        assert_eq!(error, Error::ParentName);
    });
}

/// Flips every bit of the response to a TPM2_HMAC in a session.
#[test]
fn rejects_hmac_response_with_any_flipped_bit() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        let mut out = [0; 32];
        keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
        let len = fixture.emulator.responses().last().unwrap().len();
        for bit in 0..len * 8 {
            change_responses(&fixture.emulator, HMAC, move |mut response| {
                response[bit / 8] ^= 1 << (bit % 8);
                response
            });
            let mut out = [0; 32];
            let error = keys
                .hmac(&mut key, &[b"data"], &mut out)
                .await
                .expect_err("a changed response was accepted");
            assert_eq!(out, [0; 32], "{bit}: {error:?}");
            fixture.restore_good_behaviour();
            keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
            assert_eq!(out, hmac(b"data"));
        }
        fixture.discard_violations(|violation| *violation == Violation::NoData);
    });
}

/// Flips every bit of the command: the TPM rejects it or returns the HMAC of the original data.
#[test]
fn flipped_command_bits_never_yield_wrong_hmac() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        let mut out = [0; 32];
        keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
        let len = fixture.emulator.commands().last().unwrap().len();
        // The size in the header is not changed: swtpm reads a stream and would wait for the missing bytes.
        for bit in (0..len * 8).filter(|bit| !(16..48).contains(bit)) {
            fixture.emulator.script(|script| {
                script.command = Box::new(move |mut command| {
                    if command[8..10] == [0x01, HMAC] {
                        command[bit / 8] ^= 1 << (bit % 8);
                    }
                    command
                });
            });
            let mut out = [0; 32];
            if keys.hmac(&mut key, &[b"data"], &mut out).await.is_ok() {
                assert_eq!(out, hmac(b"data"), "{bit}");
            }
            fixture.restore_good_behaviour();
            keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
        }
    });
}

#[test]
fn rejects_replayed_stripped_and_forged_hmac_responses() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        let mut out = [0; 32];
        keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
        let old = fixture.emulator.responses().last().unwrap().clone();

        type Change = Box<dyn FnMut(Vec<u8>) -> Vec<u8> + Send>;
        let stripped = [&[0x80, 0x01, 0, 0, 0, 44, 0, 0, 0, 0, 0, 32][..], &[7; 32]].concat();
        let by_password = [
            &[0x80, 0x02, 0, 0, 0, 53, 0, 0, 0, 0, 0, 0, 0, 34, 0, 32][..],
            &[7; 32],
            &[0, 0, 1, 0, 0],
        ]
        .concat();
        let changes: [(&str, Change); 4] = [
            ("replayed", Box::new(move |_| old.clone())),
            ("stripped", Box::new(move |_| stripped.clone())),
            ("by password", Box::new(move |_| by_password.clone())),
            (
                "another parameter",
                Box::new(|mut response| {
                    response[20..30].fill(0);
                    response
                }),
            ),
        ];
        for (name, change) in changes {
            change_responses(&fixture.emulator, HMAC, change);
            let mut out = [0; 32];
            let error = keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap_err();
            assert_eq!(error, Error::NotAuthentic, "{name}");
            assert_eq!(out, [0; 32]);
            fixture.restore_good_behaviour();
            keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
        }
    });
}

/// A changed response to TPM2_StartAuthSession results in no usable session.
#[test]
fn rejects_changed_session_start_response() {
    let fixture = Fixture::new();
    for byte in [13, 16, 30, 47] {
        fixture.with_keys(async |keys| {
            let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
            change_responses(
                &fixture.emulator,
                START_AUTH_SESSION,
                move |mut response| {
                    response[byte] ^= 1;
                    response
                },
            );
            let mut out = [0; 32];
            let error = keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap_err();
            assert_eq!(out, [0; 32], "{byte} {error:?}");
            fixture.restore_good_behaviour();
            keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
        });
    }
}

/// Error responses are not authenticated. A forged one does no more harm than an interrupted wire.
#[test]
fn reports_forged_error_responses_and_recovers() {
    let fixture = Fixture::new();
    fixture.with_keys(async |keys| {
        let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
        for code in [0x18bu16, 0x98e, 0x910, 0x918, 0x101, 0x923, 0xfff] {
            change_responses(&fixture.emulator, HMAC, move |_| error_response(code));
            let mut out = [0; 32];
            let error = keys
                .hmac(&mut key, &[b"data"], &mut out)
                .await
                .unwrap_err();
            assert!(
                matches!(error, Error::Tpm { code: rejected, .. } if rejected == ResponseCode::new(code.into())),
                "{error:?}"
            );
            fixture.restore_good_behaviour();
            keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
            assert_eq!(out, hmac(b"data"));
        }
    });
}
