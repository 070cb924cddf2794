//! The values that upstream's code has made with fixed keys, and those of its own test of digests.

use crate::recorded::{fixed, list, octets, text};
use chanbind::{
    proof::{
        KeyHolder,
        blessing::{ALGORITHMS, PrincipalKey},
    },
    protocol::{
        blessing::{
            Caveat, CheckContext, Condition, NameList, OwnedSignature, PublicKey, SignatureValue,
            SigningRequest, THIRD_PARTY, Time, Timestamp,
            channel::{
                Acceptor, ChannelMemory, Dialer, FRAME_HEADER_LEN, Presented, Progress, Setup,
                Versions,
            },
        },
        crypto::SignatureScheme,
        proof::KeyRequest,
    },
};
use chanbind_host_tests::{pki::pem, principals::block_on};
use sha2::{Digest, Sha256, Sha512};

/// Returns the key of an Ed25519 seed.
fn ed25519(seed: &[u8]) -> PrincipalKey {
    // RFC 8410 section 7.
    let prefix = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    let pem = pem("PRIVATE KEY", &[&prefix[..], seed].concat());
    PrincipalKey::from_pem(pem.as_bytes()).unwrap()
}

fn answer(key: &PrincipalKey, request: KeyRequest<'_>) -> Vec<u8> {
    block_on(key.answer(request)).unwrap().to_vec()
}

#[test]
fn the_parameters_of_new_caveats_are_encoded_as_recorded() {
    let caveats = &fixed()["generated"]["caveats"];
    let at = |seconds, nanoseconds| Timestamp {
        seconds,
        nanoseconds,
    };
    for (name, condition) in [
        ("const_false", Condition::Const(false)),
        ("const_true(unconstrained)", Condition::Const(true)),
        ("expiry", Condition::Expiry(at(1_893_553_445, 600))),
        ("method", Condition::Methods(&["Put", "Get"])),
        ("not_before", Condition::NotBefore(at(1_577_836_800, 0))),
        (
            "peer_blessings",
            Condition::Peers(&["alice:u:friend", "bob:$"]),
        ),
    ] {
        let recorded = &caveats[name];
        let mut out = [0; 512];
        let encoded = condition.encode(&mut out).unwrap();
        assert_eq!(*encoded, octets(&recorded["param_vom"]), "{name}");
        assert_eq!(&condition.id()[..], octets(&recorded["id"]), "{name}");
    }
    assert_eq!(caveats.as_object().unwrap().len(), 6);
}

#[test]
fn the_recorded_discharge_is_for_the_recorded_caveat() {
    let recorded = &fixed()["generated"]["third_party"];
    let parameter = octets(&recorded["param_vom"]);
    let caveat = Caveat {
        id: THIRD_PARTY,
        parameter: &parameter,
    };
    assert_eq!(&THIRD_PARTY[..], octets(&recorded["caveat_id"]));
    let discharge = octets(&recorded["discharge_vom"]);
    let mut location = String::new();
    caveat
        .with_third_party(|party| {
            location = party.location.to_owned();
            party.with_id(&ALGORITHMS, |id| assert_eq!(id, text(&recorded["id"])))
        })
        .unwrap()
        .flatten()
        .unwrap();
    let local_names = NameList::new();
    let check = |discharges: &[&[u8]], seconds| {
        caveat.check(&CheckContext {
            time: Time::At(Timestamp {
                seconds,
                nanoseconds: 0,
            }),
            method: "Get",
            method_tags: &[],
            local_names: &local_names,
            discharges: &discharges,
            algorithms: &ALGORITHMS,
        })
    };
    assert_eq!(check(&[&discharge], 1_600_000_000), Ok(()));
    assert!(check(&[], 1_600_000_000).is_err());
    // The definitions of the types are before the value, which begins with the identifier, and its end follows the signature.
    let id = text(&recorded["id"]).as_bytes();
    let value = discharge.windows(id.len()).position(|window| window == id);
    for (at, bit) in (value.unwrap()..discharge.len()).zip((0..8).cycle()) {
        let mut changed = discharge.clone();
        changed[at] ^= 1 << bit;
        assert!(check(&[&changed], 1_600_000_000).is_err(), "octet {at}");
    }
}

/// The message that is signed: the concatenation whose digest the recording has.
fn signed(key: &[u8], message: &[u8], purpose: &[u8], is_sha512: bool) -> Vec<u8> {
    let hash = |part: &[u8]| {
        if is_sha512 {
            Sha512::digest(part).to_vec()
        } else {
            Sha256::digest(part).to_vec()
        }
    };
    [hash(key), hash(message), hash(purpose)].concat()
}

#[test]
fn the_digests_and_signatures_of_the_test_upstream_are_reproduced() {
    let test = &fixed()["upstream_digest_test"];
    let purpose = text(&test["purpose"]).as_bytes();
    let message = text(&test["message"]).as_bytes();
    let mut verified = 0;
    for entry in list(&test["entries"]) {
        let name = text(&entry["key"]);
        let key = octets(&entry["pkix_der"]);
        let is_sha512 = entry["hash"] == "SHA512";
        let parts = signed(&key, message, purpose, is_sha512);
        let digest = if is_sha512 {
            Sha512::digest(&parts).to_vec()
        } else {
            Sha256::digest(&parts).to_vec()
        };
        assert_eq!(digest, octets(&entry["message_digest"]), "{name}");
        assert!(PublicKey::parse(&key, &ALGORITHMS).is_some(), "{name}");
        let Some(signature) = entry["signature"].as_str() else {
            continue;
        };
        let signature = hex::decode(signature).unwrap();
        if name == "ed25519KeyPEM" {
            let own = PrincipalKey::from_pem(text(&entry["private_pem"]).as_bytes()).unwrap();
            assert_eq!(own.public_key(), key);
            let request = KeyRequest::Sign {
                scheme: SignatureScheme::ED25519,
                message: &digest,
            };
            assert_eq!(answer(&own, request), signature);
        } else {
            let rsa = ALGORITHMS.others.unwrap();
            assert!(rsa.verify(&key, &parts, &SignatureValue::Rsa(&signature)));
            let mut changed = signature.clone();
            changed[100] ^= 1;
            assert!(!rsa.verify(&key, &parts, &SignatureValue::Rsa(&changed)));
        }
        verified += 1;
    }
    assert_eq!(verified, 3);
}

const LEN: usize = 4096;

/// Both ends write the recorded frames, Ed25519 signatures included, which have no randomness.
#[test]
fn the_handshake_with_fixed_keys_is_reproduced() {
    let all = &fixed()["generated"];
    let recorded = &all["handshake_rpc14"];
    let key = |of: &str| {
        let name = text(&recorded[of]);
        let key = ed25519(&octets(&all["keys"][format!("{name}_seed")]));
        assert_eq!(
            key.public_key(),
            octets(&all["keys"][format!("{name}_pkix")])
        );
        key
    };
    let secret = |name: &str| <[u8; 32]>::try_from(octets(&recorded[name])).unwrap();
    let acceptor_endpoint = text(&recorded["acceptor_endpoint"]);
    let setup = |remote_endpoint, local_endpoint| Setup {
        versions: Versions { min: 10, max: 14 },
        remote_endpoint,
        local_endpoint,
        mtu: 65_536,
        shared_tokens: 1 << 20,
    };
    let mut out = vec![0; 16_384];
    let memory = || Box::new(ChannelMemory::<LEN>::new());
    let own = setup(acceptor_endpoint, text(&recorded["dialer_endpoint"]));
    let nacl = secret("dialer_nacl_secret");
    let (dialer, len) = Dialer::begin(&own, &nacl, memory(), &mut out).unwrap();
    let dialer_setup = octets(&recorded["framed_dialer_setup"]);
    assert_eq!(out[..len], dialer_setup);
    let own = setup("", acceptor_endpoint);
    let nacl = secret("acceptor_nacl_secret");
    let (acceptor, len) = Acceptor::begin(&own, &nacl, memory(), &mut out).unwrap();
    let acceptor_setup = octets(&recorded["framed_acceptor_setup"]);
    assert_eq!(out[..len], acceptor_setup);
    let mut dialer = dialer.setup(&acceptor_setup[FRAME_HEADER_LEN..]).unwrap();
    let acceptor = acceptor.setup(&dialer_setup[FRAME_HEADER_LEN..]).unwrap();

    let frames = |from: &str| {
        let frames = &recorded[from];
        ["framed_sealed_data", "framed_sealed_auth"].map(|name| octets(&frames[name]))
    };
    let sign = |key: &PrincipalKey, request: SigningRequest| -> OwnedSignature {
        let answer = answer(key, request.key_request());
        request.finish(&answer).unwrap()
    };
    let body = |frame: &[u8]| frame[FRAME_HEADER_LEN..].to_vec();
    let sent = frames("acceptor_to_dialer");
    let Progress::Wait(waiting) = dialer.receive(&mut body(&sent[0]), &ALGORITHMS).unwrap() else {
        panic!("the dialer is done before the Auth message");
    };
    dialer = waiting;
    let Progress::Done(acquainted) = dialer.receive(&mut body(&sent[1]), &ALGORITHMS).unwrap()
    else {
        panic!("the Auth message is not taken");
    };
    let signing = key("acceptor_principal");
    let verified = acquainted.blessings(&ALGORITHMS).unwrap();
    assert_eq!(verified.public_key().as_der(), signing.public_key());
    let signature = sign(&signing, acceptor.request(verified.public_key()).unwrap());
    let presented = Presented {
        blessings: *verified.blessings(),
        discharges: &[],
    };
    let (mut acceptor, len) = acceptor.prove(&presented, &signature, &mut out).unwrap();
    assert_eq!(out[..len], sent.concat());

    let sent = frames("dialer_to_acceptor");
    let Progress::Wait(waiting) = acceptor.receive(&mut body(&sent[0]), &ALGORITHMS).unwrap()
    else {
        panic!("the acceptor is done before the Auth message");
    };
    acceptor = waiting;
    let Progress::Done(connection) = acceptor.receive(&mut body(&sent[1]), &ALGORITHMS).unwrap()
    else {
        panic!("the Auth message is not taken");
    };
    let signing = key("dialer_principal");
    let verified = connection
        .verified(connection.peer_keys().0, &ALGORITHMS)
        .unwrap();
    let signature = sign(&signing, acquainted.request(verified.public_key()).unwrap());
    let presented = Presented {
        blessings: *verified.blessings(),
        discharges: &[],
    };
    let (_, len) = acquainted.prove(&presented, &signature, &mut out).unwrap();
    assert_eq!(out[..len], sent.concat());
}
