//! Executes every command of the crate on a swtpm.

use super::{lockout, *};
use chanbind_tpm_spi::{
    Error::Tpm as Rejected,
    command::{Hmac, *},
    session::{AuthValue, Password},
};
use p256::elliptic_curve::sec1::ToEncodedPoint;

#[test]
fn executes_self_test_shutdown_and_startup() {
    let fixture = Fixture::new();
    fixture.with_tpm(async |tpm| {
        tpm.execute(&SelfTest { full_test: true }, &mut [])
            .await
            .unwrap();
        let result = tpm.execute(&GetTestResult, &mut []).await.unwrap();
        assert_eq!(result.code, 0);
        tpm.execute(&Shutdown(StartupType::Clear), &mut [])
            .await
            .unwrap();
        // The TPM rejects a second TPM2_Startup with a code that names the reason.
        let error = tpm
            .execute(&Startup(StartupType::State), &mut [])
            .await
            .unwrap_err();
        assert_eq!(
            error,
            Rejected {
                command: CommandCode::STARTUP,
                code: ResponseCode::Error(ErrorCode::INITIALIZE),
            }
        );
        assert_eq!(
            error.to_string(),
            "the TPM rejected TPM2_Startup: TPM_RC_INITIALIZE"
        );
    });
}

#[test]
fn executes_get_random_and_get_capability() {
    let fixture = Fixture::new();
    fixture.with_tpm(async |tpm| {
        let mut random = [[0; 100]; 2];
        for bytes in &mut random {
            tpm.random(bytes).await.unwrap();
            assert!(bytes.iter().filter(|byte| **byte == 0).count() < 20);
        }
        assert_ne!(random[0], random[1]);

        let properties = GetCapability {
            capability: Capability::TPM_PROPERTIES,
            property: 0x10d,
            count: 1,
        };
        let response = tpm.execute(&properties, &mut []).await.unwrap();
        assert!(response.more);
        assert_eq!(response.properties().collect::<Vec<_>>(), [(0x10d, 1024)]);
        // libtpms returns as many properties as fit its response.
        let all = GetCapability {
            count: 60,
            ..properties
        };
        assert!(
            tpm.execute(&all, &mut [])
                .await
                .unwrap()
                .properties()
                .count()
                > 20
        );
    });
}

#[test]
fn creates_primary_of_every_template() {
    let fixture = Fixture::new();
    fixture.with_tpm(async |tpm| {
        for (template, first) in [
            (Template::H2, 0x23),
            (Template::SRK_ECC_P256, 0x23),
            (Template::SRK_RSA_2048, 0x01),
        ] {
            let command = CreatePrimary {
                hierarchy: &Entity::OWNER,
                template,
            };
            let response = tpm
                .execute(&command, &mut [&mut Password::empty()])
                .await
                .unwrap();
            let handle = response.handle;
            assert_eq!(response.public_area[1], first);
            assert_eq!(
                Name::of_public(response.public_area).unwrap().as_bytes(),
                response.name
            );
            tpm.execute(&FlushContext { handle }, &mut [])
                .await
                .unwrap();
        }
        // An RSA key cannot salt a session.
        let rsa = ParentKey::Primary(Template::SRK_RSA_2048);
        let error = tpm.parent(rsa, &fixture.key.parent_name).await.unwrap_err();
        assert_eq!(error, Error::Parent);
        tpm.settle().await.unwrap();
        assert_eq!(transient_handles(tpm).await, []);
    });
}

async fn transient_handles(tpm: &mut TestTpm<'_>) -> Vec<Handle> {
    let command = GetCapability {
        capability: Capability::HANDLES,
        property: 0x8000_0000,
        count: 16,
    };
    let response = tpm.execute(&command, &mut []).await.unwrap();
    response.handles().collect()
}

#[test]
fn makes_parent_persistent_and_evicts_it() {
    let fixture = Fixture::new();
    fixture.with_tpm(async |tpm| {
        let persistent = Handle(0x8100_0001);
        let parent = tpm.parent(H2, &fixture.key.parent_name).await.unwrap();
        let evict = EvictControl {
            hierarchy: &Entity::OWNER,
            object: parent.entity(),
            persistent,
        };
        tpm.execute(&evict, &mut [&mut Password::empty()])
            .await
            .unwrap();
        drop(parent);

        let wrong = Name::new(&[9; 34]).unwrap();
        let key = ParentKey::Persistent(persistent);
        assert_eq!(
            tpm.parent(key, &wrong).await.unwrap_err(),
            Error::ParentName
        );
        let parent = tpm.parent(key, &fixture.key.parent_name).await.unwrap();
        let mut session = tpm
            .start_session(&parent, SessionType::Hmac, &mut OsRng)
            .await
            .unwrap();

        // Evicts the object again, authorized by a session.
        let evict = EvictControl {
            hierarchy: &Entity::OWNER,
            object: parent.entity(),
            persistent,
        };
        let empty = AuthValue::empty();
        tpm.execute(&evict, &mut [&mut session.authorizing(&empty)])
            .await
            .unwrap();
        let error = tpm.parent(key, &fixture.key.parent_name).await.unwrap_err();
        assert!(
            matches!(
                error,
                Rejected {
                    command: CommandCode::READ_PUBLIC,
                    code: ResponseCode::FormatOne {
                        code: FormatOneCode::HANDLE,
                        at: Position::Handle(1)
                    },
                }
            ),
            "{error:?}"
        );
    });
}

#[test]
fn imports_hmac_key_wrapped_in_software() {
    // The driver imports a key with the same outer wrapper as the host's stack, with the same result.
    let fixture = Fixture::new();
    fixture.with_tpm(async |tpm| {
        let parent = tpm.parent(H2, &fixture.key.parent_name).await.unwrap();
        let (public, duplicate, seed) = wrap_for_import(parent.point(), SECRET);
        let import = Import {
            parent: parent.entity(),
            public: &public,
            duplicate: &duplicate,
            in_sym_seed: &seed,
        };
        let private = tpm
            .execute(&import, &mut [&mut Password::empty()])
            .await
            .unwrap();
        let private = [
            &u16::try_from(private.len()).unwrap().to_be_bytes()[..],
            private,
        ]
        .concat();
        let load = Load {
            parent: parent.entity(),
            private: &private,
            public: &public,
        };
        let loaded = tpm
            .execute(&load, &mut [&mut Password::empty()])
            .await
            .unwrap();
        let name = Name::new(loaded.name).unwrap();
        assert_eq!(name, Name::of_public(&public[2..]).unwrap());
        let key = Entity::object(loaded.handle, name);
        let command = Hmac {
            key: &key,
            data: &[b"data"],
        };
        let computed = tpm
            .execute(&command, &mut [&mut Password::empty()])
            .await
            .unwrap();
        assert_eq!(computed, hmac(b"data"));
    });
}

/// Wraps an HMAC key for TPM2_Import in software (TPM 2.0 Part 1 section 23.3).
/// Returns the public area, the duplicate and the encrypted seed.
fn wrap_for_import(parent: &EccPoint, secret: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    use chanbind_core::crypto::{HmacSha256State, kdfa, kdfe, sha256};
    let sized = |bytes: &[u8]| {
        [
            &u16::try_from(bytes.len()).unwrap().to_be_bytes()[..],
            bytes,
        ]
        .concat()
    };
    let seed_value = [3; 32];
    let unique = sha256(&[&seed_value[..], secret].concat());
    // KEYEDHASH, SHA-256, userWithAuth | sign, no policy, HMAC with SHA-256.
    let area = [
        &[0, 8, 0, 0x0b, 0, 4, 0, 0x40, 0, 0, 0, 5, 0, 0x0b][..],
        &sized(&unique),
    ]
    .concat();
    let name = Name::of_public(&area).unwrap();
    let sensitive = [
        &[0, 8][..],
        &sized(&[]),
        &sized(&seed_value),
        &sized(secret),
    ]
    .concat();

    let ephemeral = p256::SecretKey::random(&mut OsRng);
    let point =
        p256::EncodedPoint::from_affine_coordinates(&parent.x.into(), &parent.y.into(), false);
    let public = p256::PublicKey::from_sec1_bytes(point.as_bytes()).unwrap();
    let shared = p256::ecdh::diffie_hellman(ephemeral.to_nonzero_scalar(), public.as_affine());
    let own = ephemeral.public_key().to_encoded_point(false);
    let seed = kdfe(
        shared.raw_secret_bytes(),
        b"DUPLICATE",
        own.x().unwrap(),
        &parent.x,
    );
    let seed = HmacSha256State::new(&*seed);
    let mut encrypted = sized(&sensitive);
    let key = kdfa(&seed, b"STORAGE", name.as_bytes(), &[], 128);
    aes_128_cfb(key[..16].try_into().unwrap(), &mut encrypted);
    let integrity = HmacSha256State::new(&*kdfa(&seed, b"INTEGRITY", &[], &[], 256))
        .mac([encrypted.as_slice(), name.as_bytes()]);
    let duplicate = [sized(&integrity), encrypted].concat();
    let secret = [sized(own.x().unwrap()), sized(own.y().unwrap())].concat();
    (sized(&area), sized(&duplicate), sized(&secret))
}

/// Encrypts with AES-128-CFB and an IV of zeros.
fn aes_128_cfb(key: [u8; 16], data: &mut [u8]) {
    use aes::cipher::{BlockEncrypt, KeyInit};
    let cipher = aes::Aes128::new(&key.into());
    let mut feedback = aes::Block::default();
    for chunk in data.chunks_mut(16) {
        cipher.encrypt_block(&mut feedback);
        for (byte, stream) in chunk.iter_mut().zip(&feedback) {
            *byte ^= stream;
        }
        feedback[..chunk.len()].copy_from_slice(chunk);
    }
}

#[test]
fn reports_lockout_and_resets_it() {
    let fixture = lockout::fixture(true);
    fixture.with_keys(async |keys| {
        let wrong = AuthValue::new(b"guess").unwrap();
        let mut key = HmacKey::new(fixture.key.blobs(), wrong).unwrap();
        let mut out = [0; 32];
        let mut failures = Vec::new();
        for _ in 0..40 {
            let error = keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap_err();
            failures.push(error.to_string());
            if failures.last().unwrap().contains("LOCKOUT") {
                break;
            }
        }
        assert_eq!(
            failures[0],
            "the TPM rejected TPM2_HMAC: TPM_RC_AUTH_FAIL, session 1 (the password is wrong, or a bit of the command was changed on the bus: try again before you doubt the password)"
        );
        assert_eq!(
            failures.last().unwrap(),
            "the TPM rejected TPM2_HMAC: TPM_RC_LOCKOUT (wrong passwords, or power cuts after the use of a key that is protected against dictionary attacks, were counted: wait, or reset the counter (DictionaryAttackLockReset); provision keys without that protection)"
        );
        keys.tpm_mut()
            .execute(&DictionaryAttackLockReset, &mut [&mut Password::empty()])
            .await
            .unwrap();
        let right = AuthValue::new(b"secret").unwrap();
        let mut key = HmacKey::new(fixture.key.blobs(), right).unwrap();
        keys.hmac(&mut key, &[b"data"], &mut out).await.unwrap();
        assert_eq!(out, hmac(b"data"));
    });
}

#[test]
fn policy_session_satisfies_pcr_and_password_policy() {
    // The key's policy demands an unchanged PCR and, in the second case, also the key's password.
    for password in [None, Some("secret")] {
        let swtpm = Swtpm::start().unwrap();
        let key = provision(&swtpm, |options| {
            options.auth = password.map(|password| Auth::new(password.as_bytes()).unwrap());
            options.pcrs = Some("sha256:16".parse().unwrap());
        });
        let fixture = Fixture {
            emulator: emulator(&swtpm),
            key,
            _swtpm: swtpm,
        };
        fixture.with_tpm(async |tpm| {
            let parent = tpm.parent(H2, &fixture.key.parent_name).await.unwrap();
            let load = Load {
                parent: parent.entity(),
                private: &fixture.key.private,
                public: &fixture.key.public,
            };
            let loaded = tpm
                .execute(&load, &mut [&mut Password::empty()])
                .await
                .unwrap();
            let key = Entity::object(loaded.handle, Name::new(loaded.name).unwrap());
            let auth = AuthValue::new(password.unwrap_or_default().as_bytes()).unwrap();

            // The password alone does not authorize the use of the key.
            let command = Hmac {
                key: &key,
                data: &[b"data"],
            };
            let result = tpm.execute(&command, &mut [&mut Password(&auth)]).await;
            assert!(matches!(
                result.unwrap_err(),
                Rejected {
                    code: ResponseCode::Error(ErrorCode::AUTH_UNAVAILABLE),
                    ..
                }
            ));

            let mut session = tpm
                .start_session(&parent, SessionType::Policy, &mut OsRng)
                .await
                .unwrap();
            drop(parent);
            let entity = session.entity();
            let policy = PolicyPcr {
                session: &entity,
                digest: &[],
                pcrs: PcrSelection::sha256(&[16]),
            };
            tpm.execute(&policy, &mut []).await.unwrap();
            if password.is_some() {
                tpm.execute(&PolicyAuthValue { session: &entity }, &mut [])
                    .await
                    .unwrap();
                session.include_auth_value();
            }
            let computed = tpm
                .execute(&command, &mut [&mut session.authorizing(&auth)])
                .await
                .unwrap();
            assert_eq!(computed, hmac(b"data"));
            assert!(!fixture.emulator.has_seen(&hmac(b"data")));

            // The TPM accepts TPM2_PolicySecret, although it is not part of this key's policy.
            let secret = PolicySecret {
                entity: &Entity::OWNER,
                session: &entity,
            };
            tpm.execute(&secret, &mut [&mut Password::empty()])
                .await
                .unwrap();
        });
    }
}
