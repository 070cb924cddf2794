//! The vectors of `docs/proofs/OTP.md`: core reproduces each value, and the document shows each value.

use super::*;
use chanbind_core::{
    exporter::{Exporter, ExporterSecret},
    kdf::{HmacSha256, Prf},
    otp::{
        ApiKeyProver, ClientId, FieldNames, KeyDerivation, Profile, ProveError, Purpose, TokenForm,
        TokenProver,
    },
    proof::{Fields, Inputs, KeyRequest, Prover, RANDOM_LEN, RequestTarget, Step},
};
use serde_json::Value;
use vectors::hex_of;

fn channel(file: &Value, hash: &str) -> ExporterSecret {
    let secret = hex_of(&file["exporter_master_secret"][hash]);
    match hash {
        "SHA-256" => ExporterSecret::sha256(&secret.try_into().unwrap()),
        "SHA-384" => ExporterSecret::sha384(&secret.try_into().unwrap()),
        _ => panic!("{hash}"),
    }
}

fn profile(name: &str) -> Profile<'static> {
    match name {
        "default" => Profile::default(),
        "go-demo-api-key" => Profile::GO_DEMO_API_KEY,
        "go-demo-jwt" => Profile::GO_DEMO_JWT,
        _ => panic!("{name}"),
    }
}

fn purpose(name: &str) -> Purpose {
    match name {
        "api-key" => Purpose::ApiKey,
        "signing" => Purpose::Signing,
        "encryption" => Purpose::Encryption,
        _ => panic!("{name}"),
    }
}

fn client(file: &Value) -> ClientId<'_> {
    ClientId::new(text_of(&file["client"])).unwrap()
}

fn one_time_key(key: &Value) -> OneTimeKey {
    OneTimeKey::from_bytes(hex_of(&key["one_time_key"]).try_into().unwrap())
}

#[test]
fn derivations_reproduce_the_documented_keys() {
    let file = load("otp.json");
    let secret = hex_of(&file["hmac_key"]);
    assert_eq!(
        STANDARD.decode(text_of(&file["hmac_key_base64"])).unwrap(),
        secret
    );
    let keys = file["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 7);
    for vector in keys {
        let channel = channel(&file, text_of(&vector["hash"]));
        let profile = profile(text_of(&vector["profile"]));
        let purpose = purpose(text_of(&vector["purpose"]));

        let mut ekm = [0; 32];
        channel
            .export_keying_material(
                &hex_of(&vector["exporter_label"]),
                Some(&hex_of(&vector["exporter_context"])),
                &mut ekm,
            )
            .unwrap();
        assert_eq!(ekm.as_slice(), hex_of(&vector["ekm"]), "{vector}");

        let mut derivation =
            KeyDerivation::new(&profile, purpose, client(&file), &channel).unwrap();
        assert_eq!(derivation.keying_material().as_bytes(), &ekm, "{vector}");
        let KeyRequest::Hmac(input) = derivation.request() else {
            panic!("{vector}");
        };
        assert_eq!(
            input.parts().concat(),
            hex_of(&vector["prf_input"]),
            "{vector}"
        );
        let mut mac = [0; 32];
        let Ok(()) = HmacSha256::new(&secret).compute(&input, &mut mac);
        let key = derivation.answered(&mac).unwrap().unwrap();
        assert_eq!(
            key.as_bytes().as_slice(),
            hex_of(&vector["one_time_key"]),
            "{vector}"
        );
    }
}

/// Runs a prover with the inputs of the file, and returns the header fields that it writes, sorted.
fn fields_of(file: &Value, mut prover: impl Prover<Failure = ProveError>) -> Vec<String> {
    let mut random = [0; RANDOM_LEN];
    let (jti, nonce) = (hex_of(&file["jti"]), hex_of(&file["nested"]["nonce"]));
    random[..16].copy_from_slice(&jti);
    random[16..28].copy_from_slice(&nonce);
    let inputs = Inputs {
        unix_time: file["time"].as_u64(),
        random: &random,
    };
    let request = &file["request"];
    let target = RequestTarget {
        method: text_of(&request["method"]),
        authority: text_of(&request["authority"]),
        path: text_of(&request["path"]),
    };
    let channel = channel(file, "SHA-256");
    let mut hmac_key = HmacSha256::new(&hex_of(&file["hmac_key"]));
    let mut mac = [0; 32];
    let mut step = prover.begin(&channel, &inputs);
    while let Step::Key(KeyRequest::Hmac(input)) = step {
        let Ok(()) = hmac_key.compute(&input, &mut mac);
        step = prover.answered(&mac);
    }
    assert!(matches!(step, Step::Send), "{step:?}");
    let mut buffer = vec![0; 16 * 1024];
    let mut fields = Fields::new(&mut buffer);
    prover.write_fields(&target, &inputs, &mut fields).unwrap();
    let fields = fields.iter();
    let mut fields: Vec<_> = fields
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    fields.sort();
    fields
}

fn documented_fields(vector: &Value) -> Vec<String> {
    let fields = vector["fields"].as_array().unwrap().iter();
    let mut fields: Vec<_> = fields.map(|field| text_of(field).to_owned()).collect();
    fields.sort();
    fields
}

#[test]
fn provers_reproduce_the_documented_api_keys() {
    let file = load("otp.json");
    let prover = ApiKeyProver::new(
        Profile::default(),
        client(&file).into(),
        FieldNames::default(),
    );
    assert_eq!(
        fields_of(&file, prover),
        documented_fields(&file["api_key"])
    );
    let names = FieldNames {
        client: "client",
        key: "apikey",
    };
    let prover = ApiKeyProver::new(Profile::GO_DEMO_API_KEY, client(&file).into(), names);
    assert_eq!(
        fields_of(&file, prover),
        documented_fields(&file["api_key_go_demo"])
    );
}

#[test]
fn provers_reproduce_the_documented_tokens() {
    let file = load("otp.json");
    for (form, name) in [(TokenForm::Jws, "jws"), (TokenForm::Nested, "nested")] {
        let prover = TokenProver::new(
            Profile::default(),
            client(&file).into(),
            FieldNames::default(),
            form,
        );
        assert_eq!(fields_of(&file, prover), documented_fields(&file[name]));
    }
}

/// Checks that the parts of a JWS are those of its token, and that its token is valid.
fn check_jws(file: &Value, vector: &Value) {
    let [header, claims, signing_input, token] =
        ["header", "claims", "signing_input", "token"].map(|name| text_of(&vector[name]));
    assert_eq!(signing_input, format!("{}.{}", b64(header), b64(claims)));
    let signature = URL.encode(hex_of(&vector["signature"]));
    assert_eq!(token, format!("{signing_input}.{signature}"));

    let signing = one_time_key(&file["keys"][1]);
    let mut scratch = vec![0; scratch_len(token.len())];
    let verified = jws::verify(&signing, token, &gateway_policy(file), &mut scratch).unwrap();
    assert_eq!(verified.payload, claims.as_bytes());
}

/// The policy of a gateway with default settings for the documented request.
fn gateway_policy(file: &Value) -> Policy<'_> {
    Policy {
        now: file["time"].as_u64(),
        leeway: 60,
        require_expiry: true,
        method: file["request"]["method"].as_str(),
        uri: Some("https://gateway.example:8443/readings"),
        token_id: Uniqueness::Required,
        ..Policy::default()
    }
}

#[test]
fn documented_tokens_consist_of_the_documented_parts() {
    let file = load("otp.json");
    check_jws(&file, &file["jws"]);
    let vector = &file["nested"];
    check_jws(&file, &vector["inner"]);

    let (header, token) = (text_of(&vector["header"]), text_of(&vector["token"]));
    assert_eq!(text_of(&vector["additional_data"]), b64(header));
    let [nonce, ciphertext, tag] =
        ["nonce", "ciphertext", "tag"].map(|name| URL.encode(hex_of(&vector[name])));
    assert_eq!(
        token,
        format!("{}..{nonce}.{ciphertext}.{tag}", b64(header))
    );
    let encryption = one_time_key(&file["keys"][2]);
    let mut scratch = vec![0; scratch_len(token.len())];
    let keys = nested::NestedKeys {
        signing: &one_time_key(&file["keys"][1]),
        encryption: &encryption,
    };
    nested::open(&keys, token, &gateway_policy(&file), &mut scratch).unwrap();
    let plaintext = jwe::decrypt(&encryption, token, &mut scratch).unwrap();
    assert_eq!(
        plaintext.plaintext,
        text_of(&vector["inner"]["token"]).as_bytes()
    );
}

/// Calls `check` with each string and number in a value, but not with the source.
fn for_each_value(value: &Value, check: &mut impl FnMut(String)) {
    match value {
        Value::Object(members) => {
            let members = members.iter().filter(|(name, _)| *name != "source");
            members.for_each(|(_, value)| for_each_value(value, check));
        }
        Value::Array(elements) => elements
            .iter()
            .for_each(|value| for_each_value(value, check)),
        Value::String(text) => check(text.clone()),
        other => check(other.to_string()),
    }
}

#[test]
fn document_shows_each_value() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/proofs/OTP.md");
    let document = std::fs::read_to_string(path).expect(path);
    let mut count = 0;
    for_each_value(&load("otp.json"), &mut |value| {
        assert!(
            document.contains(&value),
            "docs/proofs/OTP.md does not show {value}"
        );
        count += 1;
    });
    assert!(count > 50, "{count}");
}
