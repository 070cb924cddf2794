//! Derivation of one-time keys from a channel with each profile.
#![cfg(test)]

use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind_core::{
    exporter::{Exporter, ExporterError, ExporterSecret, Protocol},
    kdf::{HmacSha256, Prf, PrfInput},
    otp::{
        ClientId, ClientIdError, MAX_CLIENT_ID_LEN, OneTimeKey, OneTimeKeyError, Profile, Purpose,
    },
};
use std::cell::RefCell;

const PURPOSES: [Purpose; 3] = [Purpose::ApiKey, Purpose::Signing, Purpose::Encryption];

/// A channel that records each export and leaves the output unchanged.
#[derive(Default)]
struct Recorder(RefCell<Vec<Exported>>);

/// The label, context and length of an export.
type Exported = (String, Option<Vec<u8>>, usize);

impl Exporter for Recorder {
    fn protocol(&self) -> Protocol {
        Protocol::Tls13
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        let label = String::from_utf8(label.to_vec()).unwrap();
        self.0
            .borrow_mut()
            .push((label, context.map(<[u8]>::to_vec), out.len()));
        Ok(())
    }
}

fn client() -> ClientId<'static> {
    ClientId::new("client1").unwrap()
}

fn exported(profile: &Profile<'_>, purpose: Purpose) -> Exported {
    let channel = Recorder::default();
    profile
        .keying_material(&channel, purpose, client())
        .unwrap();
    channel.0.into_inner().remove(0)
}

#[test]
fn profiles_export_documented_labels_and_contexts() {
    let expected = |label: &str, context: &[u8]| (label.to_owned(), Some(context.to_vec()), 32);
    assert_eq!(
        exported(&Profile::GO_DEMO_API_KEY, Purpose::ApiKey),
        expected("EXPORTER-my_label", b"client1")
    );
    assert_eq!(
        exported(&Profile::GO_DEMO_JWT, Purpose::Signing),
        expected("EXPORTER-Channel-Binding", b"sig_key")
    );
    assert_eq!(
        exported(&Profile::GO_DEMO_JWT, Purpose::Encryption),
        expected("EXPORTER-Channel-Binding", b"enc_key")
    );
    let default_label = "EXPERIMENTAL-chanbind-one-time-key";
    assert_eq!(
        exported(&Profile::default(), Purpose::ApiKey),
        expected(default_label, b"api-key\0client1")
    );
    assert_eq!(
        exported(&Profile::default(), Purpose::Signing),
        expected(default_label, b"signing\0client1")
    );
    assert_eq!(
        exported(&Profile::default(), Purpose::Encryption),
        expected(default_label, b"encryption\0client1")
    );
}

/// The expected key is TPM2_HMAC with the demo's key over 32 zero bytes, recorded in `host-tests/vectors/go-demo-tokens.json`.
#[test]
fn derives_the_signing_key_of_the_go_demo() {
    let key = OneTimeKey::derive(
        &Profile::GO_DEMO_JWT,
        Purpose::Signing,
        client(),
        &Recorder::default(),
        &mut HmacSha256::new(b"my_api_key"),
    )
    .unwrap();
    assert_eq!(
        hex::encode(key.as_bytes()),
        "6acc75e125e8ce348f020e6f9d3d682f8bbed78aa4f9900fe0317a94b6fbcabc"
    );
}

#[test]
fn keys_differ_by_purpose_client_channel_and_secret() {
    let derive = |purpose, client: &str, channel: u8, secret: &[u8]| {
        let client = ClientId::new(client).unwrap();
        let channel = ExporterSecret::sha256(&[channel; 32]);
        let key = OneTimeKey::derive(
            &Profile::default(),
            purpose,
            client,
            &channel,
            &mut HmacSha256::new(secret),
        );
        BASE64_STANDARD.encode(key.unwrap().as_bytes())
    };
    let mut keys: Vec<_> = PURPOSES
        .into_iter()
        .map(|purpose| derive(purpose, "client1", 1, b"s"))
        .collect();
    keys.push(derive(Purpose::ApiKey, "client2", 1, b"s"));
    keys.push(derive(Purpose::ApiKey, "client1", 2, b"s"));
    keys.push(derive(Purpose::ApiKey, "client1", 1, b"t"));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 6);
}

#[test]
fn client_ids_are_1_to_255_visible_ascii_characters() {
    let longest = "x".repeat(MAX_CLIENT_ID_LEN);
    for valid in [
        "a",
        "client1",
        "urn:dev:mac:0024befffe804ff1",
        "!~",
        &longest,
    ] {
        assert_eq!(ClientId::new(valid).unwrap().as_str(), valid);
        Profile::default()
            .keying_material(
                &Recorder::default(),
                Purpose::Encryption,
                ClientId::new(valid).unwrap(),
            )
            .unwrap();
    }
    assert_eq!(ClientId::new(""), Err(ClientIdError::Empty));
    assert_eq!(
        ClientId::new(&"x".repeat(256)),
        Err(ClientIdError::TooLong { actual: 256 })
    );
    assert_eq!(
        ClientId::new(&"x".repeat(10_240)),
        Err(ClientIdError::TooLong { actual: 10_240 })
    );
    for invalid in ["a b", "a\n", "\0", "caf\u{e9}", "\u{7f}"] {
        assert_eq!(
            ClientId::new(invalid),
            Err(ClientIdError::NotVisibleAscii),
            "{invalid:?}"
        );
    }
}

#[test]
fn key_derivation_reports_exporter_and_prf_errors() {
    struct NotUnique;
    impl Exporter for NotUnique {
        fn protocol(&self) -> Protocol {
            Protocol::Tls12 {
                extended_master_secret: false,
            }
        }
        fn export_keying_material(
            &self,
            _: &[u8],
            _: Option<&[u8]>,
            _: &mut [u8],
        ) -> Result<(), ExporterError> {
            Ok(())
        }
    }
    struct Locked;
    impl Prf for Locked {
        type Error = &'static str;
        fn output_len(&self) -> usize {
            32
        }
        fn compute(&mut self, _: &PrfInput<'_>, _: &mut [u8]) -> Result<(), Self::Error> {
            Err("locked out")
        }
    }
    let profile = Profile::default();
    let key = OneTimeKey::derive(&profile, Purpose::ApiKey, client(), &NotUnique, &mut Locked);
    assert!(matches!(
        key,
        Err(OneTimeKeyError::Exporter(ExporterError::NotUnique))
    ));
    let key = OneTimeKey::derive(
        &profile,
        Purpose::ApiKey,
        client(),
        &Recorder::default(),
        &mut Locked,
    );
    assert_eq!(key.unwrap_err().to_string(), "locked out");
}
