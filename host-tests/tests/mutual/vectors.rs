//! Every value of `rfc8121-kam3.json`, which a reader of the RFCs has computed in Python, and of `mutual.json`, which the Go program in
//! `host-tests/interop/go/mutual` has computed, by all algorithms.

use chanbind_core::{
    binding::TLS_EXPORTER_LABEL,
    exporter::{Exporter, ExporterError, Protocol},
    mutual::{
        Algorithm, ClientExchange, Credentials, Decoy, HostValidation, MAX_MESSAGE_LEN, Number,
        Origin, Realm, SecretNumber, ServerSession, SessionId, StoredCredential, Verdict,
    },
};
use serde_json::Value;

fn vectors(name: &str) -> Vec<Value> {
    let path = format!("{}/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let Value::Array(vectors) = file["vectors"].take() else {
        panic!("no vectors")
    };
    assert_eq!(vectors.len(), 4);
    vectors
}

/// A connection with a given binding.
struct Bound(Vec<u8>);

impl Exporter for Bound {
    fn protocol(&self) -> Protocol {
        Protocol::Tls13
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        assert_eq!((label, context), (TLS_EXPORTER_LABEL, Some(&[][..])));
        out.copy_from_slice(&self.0);
        Ok(())
    }
}

fn text<'v>(vector: &'v Value, name: &str) -> &'v str {
    vector[name].as_str().unwrap_or_else(|| panic!("{name}"))
}

/// The octets of a number. The file writes some without their leading zeros.
fn octets(vector: &Value, name: &str, len: usize) -> Vec<u8> {
    let digits = text(vector, name);
    hex::decode(format!("{digits:0>width$}", width = 2 * len)).unwrap()
}

/// The length of a number below the group's order.
fn scalar_len(algorithm: Algorithm) -> usize {
    match algorithm.element_len() {
        33 => 32,
        len => len,
    }
}

/// The value of a parameter in a message.
fn parameter<'m>(message: &'m str, name: &str) -> &'m str {
    let (_, rest) = message.split_once(&format!("{name}=")).unwrap();
    rest.split(", ").next().unwrap().trim_matches('"')
}

#[test]
fn every_value_is_reproduced() {
    for vector in vectors("rfc8121-kam3.json") {
        let scope = Origin::parse(text(&vector, "auth_scope")).unwrap();
        reproduce(&vector, &HostValidation::host(&scope));
    }
}

#[test]
fn every_published_value_is_reproduced() {
    for vector in vectors("mutual.json") {
        let channel = Bound(hex::decode(text(&vector, "vh")).unwrap());
        reproduce(&vector, &HostValidation::tls_exporter(&channel).unwrap());
    }
}

fn reproduce(vector: &Value, validation: &HostValidation) {
    let algorithm = *Algorithm::ALL
        .iter()
        .find(|one| one.token() == text(vector, "algorithm"))
        .unwrap();
    let (scope, name) = (text(vector, "auth_scope"), text(vector, "realm"));
    let realm = Realm::new(algorithm, scope, name).unwrap();
    let (user, password) = (text(vector, "username"), text(vector, "password"));
    let element = |name| octets(vector, name, algorithm.element_len());
    let hash = |name| octets(vector, name, algorithm.hash_len());
    let scalar = |name| SecretNumber::new(&octets(vector, name, scalar_len(algorithm))).unwrap();

    let pi = realm.credential(user, password).unwrap();
    assert_eq!(pi.as_bytes(), hash("pi"));
    let j = realm.stored(&pi).unwrap();
    assert_eq!(j.as_bytes(), element_of_j(vector, algorithm));

    let exchange = ClientExchange::with_secret(realm.clone(), pi, scalar("S_c1")).unwrap();
    assert_eq!(exchange.value().as_bytes(), element("K_c1_octets"));
    assert_eq!(hex::encode(validation.as_bytes()), text(vector, "vh"));
    let mut out = [0; MAX_MESSAGE_LEN];
    let message = exchange.write(validation.method(), user, &mut out).unwrap();
    assert_eq!(parameter(message, "kc1"), text(vector, "kc1_param"));

    let decoy = Decoy::new(&realm, &[7; 64]).unwrap();
    let client_value = Number::new(&element("K_c1_octets")).unwrap();
    let mut at_server = ServerSession::with_secret(
        &realm,
        user,
        Some(&j),
        &decoy,
        1_000,
        client_value,
        scalar("S_s1"),
    )
    .unwrap();
    let server_value = at_server.value().unwrap().clone();
    assert_eq!(server_value.as_bytes(), element("K_s1_octets"));
    let sid = SessionId::from_slice(&[0xab; 16]).unwrap();
    let mut out = [0; MAX_MESSAGE_LEN];
    let message = at_server
        .write(validation.method(), &sid, 60, &mut out)
        .unwrap();
    assert_eq!(parameter(message, "ks1"), text(vector, "ks1_param"));

    let mut at_client = exchange
        .finish(sid, server_value, at_server.limits(60))
        .unwrap();
    // The values are those of a later request.
    let nc = vector["nc"].as_u64().unwrap();
    for _ in 0..nc {
        let mut out = [0; MAX_MESSAGE_LEN];
        at_client.write(validation, &mut out).unwrap();
    }
    let mut out = [0; MAX_MESSAGE_LEN];
    let (message, request) = at_client.write(validation, &mut out).unwrap();
    assert_eq!(parameter(message, "nc"), nc.to_string());
    assert_eq!(parameter(message, "vkc"), text(vector, "vkc_param"));

    let credentials = Credentials::parse(message).unwrap().unwrap();
    let validations = [validation.clone()];
    let Verdict::Proved(proof) = at_server.verify(&credentials, &validations) else {
        panic!("refused")
    };
    let mut out = [0; MAX_MESSAGE_LEN];
    let message = proof.write(&mut out).unwrap();
    assert_eq!(parameter(message, "vks"), text(vector, "vks_param"));
    assert!(at_client.is_verified(&request, validation, message));

    let b_1 = at_client.session_binding(validation, b"");
    assert_eq!(b_1.as_bytes(), hash("b_1_empty_t"));
    let b_1 = at_server.session_binding(validation, b"").unwrap();
    assert_eq!(b_1.as_bytes(), hash("b_1_empty_t"));
    let b_2 = at_client.request_binding(&request, validation, b"");
    assert_eq!(b_2.as_bytes(), hash("b_2_empty_t"));
    let b_2 = at_server.request_binding(&proof, validation, b"").unwrap();
    assert_eq!(b_2.as_bytes(), hash("b_2_empty_t"));

    let stored = StoredCredential::register(&realm, user, password).unwrap();
    assert_eq!(stored.j(&realm, user).unwrap(), &j);
    let read = StoredCredential::parse(&stored.to_text()).unwrap();
    assert!(read == stored);
}

/// J. For the curves the file has the x coordinate alone, or the number P with or without leading zeros: `J_note` says which.
fn element_of_j(vector: &Value, algorithm: Algorithm) -> Vec<u8> {
    octets(vector, "J", algorithm.element_len())
}
