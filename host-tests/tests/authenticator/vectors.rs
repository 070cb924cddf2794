//! Authenticators that cocos, a Go program on crypto/tls, has created: they are validated, and reproduced if the key is known or
//! no key is needed.

use chanbind::tls;
use chanbind_core::{
    authenticator::{
        Authenticator, CertificateChain, Client, Endpoint, ExtensionType, Offered, PendingRequest,
        Request, RequestParameters, Role, Server, ValidateError, Validated,
    },
    binding::ChannelBinding,
    exporter::{Exporter, ExporterError, HashAlgorithm, Protocol},
    x509::{Anchors, PathRules, SignatureScheme, Time, Usage},
};
use rcgen::{KeyPair, PKCS_ED25519, SigningKey};
use serde_json::Value;

/// A connection whose exported values were recorded.
struct Recorded(Value);

impl Exporter for Recorded {
    fn protocol(&self) -> Protocol {
        Protocol::Tls13
    }

    fn hash(&self) -> Option<HashAlgorithm> {
        match self.0["hash"].as_str() {
            Some("SHA-256") => Some(HashAlgorithm::SHA256),
            Some("SHA-384") => Some(HashAlgorithm::SHA384),
            _ => None,
        }
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        let name = match label {
            b"EXPORTER-client authenticator handshake context" => "client_handshake_context",
            b"EXPORTER-server authenticator handshake context" => "server_handshake_context",
            b"EXPORTER-client authenticator finished key" => "client_finished_key",
            b"EXPORTER-server authenticator finished key" => "server_finished_key",
            b"EXPORTER-Channel-Binding" => "rfc9266_tls_exporter",
            other => panic!("unexpected label {}", String::from_utf8_lossy(other)),
        };
        assert_eq!(context.unwrap_or_default(), b"");
        out.copy_from_slice(&hex(&self.0[name]));
        Ok(())
    }
}

fn hex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn sessions() -> Vec<Recorded> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/rfc9261-cocos.json");
    let mut file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let Value::Array(sessions) = file["sessions"].take() else {
        panic!("the file has no sessions");
    };
    sessions.into_iter().map(Recorded).collect()
}

/// One recorded authenticator.
struct Case {
    name: String,
    sender: String,
    request: Option<Vec<u8>>,
    authenticator: Vec<u8>,
    certificate: Vec<u8>,
    context: Vec<u8>,
}

fn cases(session: &Recorded) -> Vec<Case> {
    let all = session.0["authenticators"].as_array().unwrap();
    all.iter()
        .map(|one| Case {
            name: one["name"].as_str().unwrap().to_owned(),
            sender: one["sender"].as_str().unwrap().to_owned(),
            request: one.get("request").map(hex),
            authenticator: hex(&one["authenticator"]),
            certificate: one.get("certificate").map(hex).unwrap_or_default(),
            context: hex(&one["context"]),
        })
        .collect()
}

/// Creates the recorded request again with the API.
fn recreate_request<R: Role>(end: &mut Endpoint<R>, recorded: &[u8]) -> PendingRequest<R, Vec<u8>> {
    let request = Request::parse(recorded).unwrap();
    let schemes: Vec<_> = request.signature_algorithms().collect();
    let parameters = RequestParameters::new(request.context(), &schemes);
    let pending = end
        .request(&parameters, vec![0; parameters.encoded_len()])
        .unwrap();
    assert_eq!(pending.as_bytes(), recorded);
    pending
}

const OFFERED: Offered<'_> = Offered {
    signature_algorithms: &[
        SignatureScheme::ECDSA_SECP256R1_SHA256,
        SignatureScheme::ED25519,
    ],
    signature_algorithms_cert: &[],
    extensions: &[ExtensionType::SIGNATURE_ALGORITHMS],
};

fn validate<'a>(session: &Recorded, case: &'a Case) -> Result<Validated<'a>, ValidateError> {
    let anchors = Anchors::new(&[&case.certificate]);
    // Empty authenticators have no certificate, and their path is not verified.
    let placeholder = cases(session).remove(0).certificate;
    let anchors = anchors.unwrap_or_else(|_| Anchors::new(&[&placeholder]).unwrap().clone());
    let time = Time::At(1_800_000_000);
    let rules = PathRules::new(&anchors, Usage::ServerAuth, time)
        .with_algorithms(tls::signature_algorithms());
    match &case.request {
        Some(request) => {
            assert_eq!(case.sender, "client");
            let mut server = Endpoint::<Server>::new(session).unwrap();
            let pending = recreate_request(&mut server, request);
            assert_eq!(pending.context(), case.context);
            server.validate(pending, &case.authenticator, &rules)
        }
        None => {
            assert_eq!(case.sender, "server");
            let mut client = Endpoint::<Client>::new(session).unwrap();
            client.validate_spontaneous(&OFFERED, &case.authenticator, &rules)
        }
    }
}

#[test]
fn validates_recorded_authenticators() {
    let (mut certified, mut empty) = (0, 0);
    for session in sessions() {
        for case in cases(&session) {
            let parsed = Authenticator::parse(&case.authenticator).unwrap();
            match validate(&session, &case) {
                Ok(validated) => {
                    certified += 1;
                    assert_eq!(validated.leaf().as_der(), case.certificate, "{}", case.name);
                    assert_eq!(validated.context(), case.context);
                    assert_eq!(parsed.context(), Some(case.context.as_slice()));
                }
                Err(ValidateError::Empty) => {
                    empty += 1;
                    assert_eq!(parsed.context(), None);
                }
                Err(error) => panic!("{}: {error}", case.name),
            }
        }
    }
    assert_eq!((certified, empty), (5, 2));
}

#[test]
fn reproduces_recorded_empty_authenticators() {
    let mut count = 0;
    for session in sessions() {
        for case in cases(&session) {
            if !case.certificate.is_empty() {
                continue;
            }
            let mut client = Endpoint::<Client>::new(&session).unwrap();
            let request = case.request.unwrap();
            let mut out = [0; 52];
            let request = Request::parse(&request).unwrap();
            let reproduction = client.decline(&request, &mut out).unwrap();
            assert_eq!(reproduction, case.authenticator);
            count += 1;
        }
    }
    assert_eq!(count, 2);
}

/// Ed25519 is deterministic, and the key is known: 32 bytes with the value 7.
#[test]
fn reproduces_recorded_ed25519_authenticators() {
    let pkcs8 = [
        &[
            0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
        ][..],
        &[7; 32],
    ]
    .concat();
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.into(), &PKCS_ED25519).unwrap();
    let mut count = 0;
    for session in sessions() {
        for case in cases(&session) {
            if !case.name.contains("ed25519") {
                continue;
            }
            let certificates = [case.certificate.as_slice()];
            let chain = CertificateChain::new(&certificates, SignatureScheme::ED25519);
            let mut out = [0; 2048];
            let reproduction = match &case.request {
                Some(request) => {
                    let mut client = Endpoint::<Client>::new(&session).unwrap();
                    let request = Request::parse(request).unwrap();
                    let unsigned = client.authenticate(&request, &chain, &mut out).unwrap();
                    let signature = key.sign(unsigned.content()).unwrap();
                    unsigned.sign(&signature).unwrap()
                }
                None => {
                    let mut server = Endpoint::<Server>::new(&session).unwrap();
                    let unsigned = server
                        .authenticate_spontaneously(&case.context, &OFFERED, &chain, &mut out)
                        .unwrap();
                    let signature = key.sign(unsigned.content()).unwrap();
                    unsigned.sign(&signature).unwrap()
                }
            };
            assert_eq!(reproduction, case.authenticator, "{}", case.name);
            count += 1;
        }
    }
    assert_eq!(count, 2);
}

#[test]
fn computes_recorded_tls_exporter_bindings() {
    for session in sessions() {
        let binding = ChannelBinding::tls_exporter(&session).unwrap();
        assert_eq!(binding.as_bytes(), hex(&session.0["rfc9266_tls_exporter"]));
    }
}
