//! Key agreement, quotes and signatures with ECC keys that tpm2-tools created in the TPM.

use super::*;
use chanbind_tpm_spi::{
    command::*,
    key::{SigningKey, WrongKey},
    session::{AuthValue, Password},
};
use p256::{
    ecdsa::{VerifyingKey, signature::hazmat::PrehashVerifier},
    elliptic_curve::sec1::ToEncodedPoint,
};

#[test]
fn computes_ecdh_with_loaded_ecc_key() {
    let created = Created::new("ecc256", "userwithauth|decrypt|sensitivedataorigin");
    created.fixture.with_tpm(async |tpm| {
        let key = created.load(tpm).await;
        let public = tpm
            .execute(&ReadPublic { object: &key }, &mut [])
            .await
            .unwrap();
        // The public area ends with the point.
        let area = public.public_area;
        let (x, y) = (&area[area.len() - 66..][..32], &area[area.len() - 32..]);
        let software_key = p256::SecretKey::random(&mut OsRng);
        let point = software_key.public_key().to_encoded_point(false);
        let tpm_public = [&[4], x, y].concat();
        let tpm_public = p256::PublicKey::from_sec1_bytes(&tpm_public).unwrap();
        let expected =
            p256::ecdh::diffie_hellman(software_key.to_nonzero_scalar(), tpm_public.as_affine());
        let command = EcdhZGen {
            key: &key,
            point: EccPoint {
                x: (*point.x().unwrap()).into(),
                y: (*point.y().unwrap()).into(),
            },
        };
        let shared = tpm
            .execute(&command, &mut [&mut Password::empty()])
            .await
            .unwrap();
        assert_eq!(&shared.x, expected.raw_secret_bytes().as_slice());
    });
}

#[test]
fn quotes_extended_pcrs() {
    let created = Created::new(
        "ecc256:ecdsa-sha256:null",
        "fixedtpm|fixedparent|userwithauth|sign|restricted|sensitivedataorigin",
    );
    created.fixture.with_tpm(async |tpm| {
        let key = created.load(tpm).await;
        let pcrs = PcrSelection::sha256(&[16, 23]);
        let extend = PcrExtend {
            pcr: &Entity::pcr(16),
            digest: &[7; 32],
        };
        tpm.execute(&extend, &mut [&mut Password::empty()])
            .await
            .unwrap();
        let read = tpm.execute(&PcrRead { pcrs }, &mut []).await.unwrap();
        assert_eq!(read.pcrs, pcrs);
        let values: Vec<_> = read.values.map(<[u8]>::to_vec).collect();
        let extended = chanbind_core::crypto::sha256(&[[0; 32], [7; 32]].concat());
        assert_eq!(values, [extended, [0; 32]]);

        let point = created.point();
        let quote = Quote {
            key: &key,
            qualifying_data: b"challenge",
            pcrs,
        };
        let response = tpm
            .execute(&quote, &mut [&mut Password::empty()])
            .await
            .unwrap();
        let digest = chanbind_core::crypto::sha256(&values.concat());
        assert!(response.quoted.ends_with(&digest));
        assert!(
            response
                .quoted
                .windows(9)
                .any(|bytes| bytes == b"challenge")
        );
        verify(
            &point,
            &chanbind_core::crypto::sha256(response.quoted),
            &response.signature,
        );
    });
}

#[test]
fn signs_with_loaded_and_persistent_ecc_keys() {
    let created = Created::new(
        "ecc256:ecdsa-sha256",
        "fixedtpm|fixedparent|userwithauth|sign|sensitivedataorigin",
    );
    let point = created.point();
    created.fixture.with_keys(async |keys| {
        let mut key = SigningKey::new(created.blobs(), AuthValue::empty()).unwrap();
        assert_eq!(*key.public_key(), point);
        for digest in [[1; 32], [2; 32]] {
            let signature = keys.sign(&mut key, &digest).await.unwrap();
            verify(&point, &digest, &signature);
        }
        // A signing key is not accepted as an HMAC key, and vice versa.
        let wrong = HmacKey::new(created.blobs(), AuthValue::empty());
        assert_eq!(wrong.unwrap_err(), WrongKey::Kind);
        let wrong = SigningKey::new(created.fixture.key.blobs(), AuthValue::empty());
        assert_eq!(wrong.unwrap_err(), WrongKey::Kind);

        // The same key, made persistent in the TPM.
        let name = *key.name();
        drop(key);
        let tpm = keys.tpm_mut();
        let transient = created.load(tpm).await;
        let persistent = Handle(0x8100_0008);
        let evict = EvictControl {
            hierarchy: &Entity::OWNER,
            object: &transient,
            persistent,
        };
        tpm.execute(&evict, &mut [&mut Password::empty()])
            .await
            .unwrap();
        let mut key = keys
            .persistent_signing(Entity::object(persistent, name), AuthValue::empty())
            .await
            .unwrap();
        assert_eq!(*key.public_key(), point);
        let signature = keys.sign(&mut key, &[3; 32]).await.unwrap();
        verify(&point, &[3; 32], &signature);
        let wrong = Entity::object(persistent, created.fixture.key.parent_name);
        let error = keys.persistent_signing(wrong, AuthValue::empty()).await;
        assert_eq!(error.unwrap_err(), Error::KeyKind);
    });
}

fn verify(point: &EccPoint, digest: &[u8; 32], signature: &Signature) {
    let point =
        p256::EncodedPoint::from_affine_coordinates(&point.x.into(), &point.y.into(), false);
    let signature = p256::ecdsa::Signature::from_scalars(signature.r, signature.s).unwrap();
    VerifyingKey::from_encoded_point(&point)
        .unwrap()
        .verify_prehash(digest, &signature)
        .unwrap();
}

/// A key that tpm2-tools created under the H-2 primary.
struct Created {
    fixture: Fixture,
    private: Vec<u8>,
    public: Vec<u8>,
}

impl Created {
    fn new(algorithm: &str, attributes: &str) -> Self {
        let swtpm = Swtpm::start().unwrap();
        let parent =
            "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";
        swtpm.tool(
            "tpm2_createprimary",
            &[
                "-Q",
                "-C",
                "o",
                "-g",
                "sha256",
                "-G",
                "ecc256:aes128cfb",
                "-a",
                parent,
                "-c",
                "h2.ctx",
            ],
        );
        swtpm.tool(
            "tpm2_create",
            &[
                "-Q", "-C", "h2.ctx", "-G", algorithm, "-a", attributes, "-r", "private", "-u",
                "public",
            ],
        );
        swtpm.tool("tpm2_flushcontext", &["-t"]);
        let [private, public] = ["private", "public"].map(|name| swtpm.file(name));
        let key = provision(&swtpm, |_| {});
        Self {
            fixture: Fixture {
                emulator: emulator(&swtpm),
                key,
                _swtpm: swtpm,
            },
            private,
            public,
        }
    }

    fn blobs(&self) -> KeyBlobs<'_> {
        KeyBlobs::new(&self.private, &self.public).unwrap()
    }

    fn point(&self) -> EccPoint {
        let public = &self.public;
        EccPoint {
            x: public[public.len() - 66..][..32].try_into().unwrap(),
            y: public[public.len() - 32..].try_into().unwrap(),
        }
    }

    async fn load(&self, tpm: &mut TestTpm<'_>) -> Entity {
        let parent = tpm.parent(H2, &self.fixture.key.parent_name).await.unwrap();
        let load = Load {
            parent: parent.entity(),
            private: &self.private,
            public: &self.public,
        };
        let loaded = tpm
            .execute(&load, &mut [&mut Password::empty()])
            .await
            .unwrap();
        Entity::object(loaded.handle, Name::new(loaded.name).unwrap())
    }
}
