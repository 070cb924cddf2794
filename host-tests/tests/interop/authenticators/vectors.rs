//! Tests of authenticators that the Go program creates on its own connections, validated by core with the recorded exporter values.

use chanbind::tls;
use chanbind_core::{
    authenticator::{
        Authenticator, Client, Endpoint, ExtensionType, Offered, PendingRequest, Request,
        RequestParameters, Role, Server, ValidateError,
    },
    exporter::{Exporter, ExporterError, HashAlgorithm, Protocol},
    x509::{Anchors, PathRules, SignatureScheme, Time, Usage},
};
use chanbind_host_tests::go;
use serde_json::Value;
use std::{collections::BTreeSet, path::Path};

const SCHEMES: [SignatureScheme; 3] = [
    SignatureScheme::ECDSA_SECP256R1_SHA256,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_RSAE_SHA256,
];

/// The parts of the ClientHello on which the spontaneous authenticators depend.
const OFFERED: Offered<'_> = Offered {
    signature_algorithms_cert: &[],
    signature_algorithms: &SCHEMES,
    extensions: &[ExtensionType::SIGNATURE_ALGORITHMS],
};

/// An authenticator, and the values exported for its sender.
pub(super) struct Vector {
    pub(super) name: String,
    pub(super) of_client: bool,
    pub(super) hash: HashAlgorithm,
    handshake_context: Vec<u8>,
    finished_key: Vec<u8>,
    /// Empty if the authenticator is spontaneous.
    pub(super) request: Vec<u8>,
    pub(super) context: Vec<u8>,
    pub(super) authenticator: Vec<u8>,
    /// Empty if the authenticator is empty.
    pub(super) certificate: Vec<u8>,
    ca: Vec<u8>,
}

/// Returns all vectors of the Go program.
pub(super) fn vectors(program: &Path) -> Vec<Vector> {
    let lines = go::run_with(program, &["ea-vector"], "");
    lines.iter().map(|line| Vector::parse(line)).collect()
}

impl Vector {
    fn parse(line: &str) -> Self {
        let value: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| value[name].as_str().unwrap();
        let bytes = |name: &str| hex::decode(text(name)).unwrap();
        Self {
            name: text("name").to_owned(),
            of_client: match text("sender") {
                "client" => true,
                "server" => false,
                other => panic!("{other}"),
            },
            hash: match text("hash") {
                "SHA-256" => HashAlgorithm::SHA256,
                "SHA-384" => HashAlgorithm::SHA384,
                other => panic!("{other}"),
            },
            handshake_context: bytes("handshake_context"),
            finished_key: bytes("finished_key"),
            request: bytes("request"),
            context: bytes("context"),
            authenticator: bytes("authenticator"),
            certificate: bytes("certificate"),
            ca: bytes("ca"),
        }
    }

    /// Returns a connection that exports the recorded values for the given sides, and dummy values for the others.
    fn channel(&self, for_client: bool, for_server: bool) -> Recorded<'_> {
        Recorded {
            vector: self,
            for_client,
            for_server,
        }
    }

    fn channel_of_sender(&self) -> Recorded<'_> {
        self.channel(self.of_client, !self.of_client)
    }

    /// Validates an authenticator as the receiver.
    fn validate(
        &self,
        channel: &Recorded<'_>,
        authenticator: &[u8],
    ) -> Result<Proved, ValidateError> {
        if self.of_client {
            let mut server = Endpoint::<Server>::new(channel).unwrap();
            let pending = pending(&mut server, &self.request);
            self.validate_with(&mut server, pending, authenticator)
        } else if self.request.is_empty() {
            let mut client = Endpoint::<Client>::new(channel).unwrap();
            let anchors = Anchors::new(&[&self.ca]).unwrap();
            let rules = rules(&anchors);
            let validated = client.validate_spontaneous(&OFFERED, authenticator, &rules)?;
            Ok(Proved {
                certificate: validated.leaf().as_der().to_vec(),
                context: validated.context().to_vec(),
                scheme: validated.scheme(),
            })
        } else {
            let mut client = Endpoint::<Client>::new(channel).unwrap();
            let pending = pending(&mut client, &self.request);
            self.validate_with(&mut client, pending, authenticator)
        }
    }

    /// Validates the authenticator as its own sender, which has made a request with the same context.
    fn validate_by_sender(&self, channel: &Recorded<'_>) -> Result<Proved, ValidateError> {
        fn own<R: Role>(endpoint: &mut Endpoint<R>, context: &[u8]) -> PendingRequest<R, Vec<u8>> {
            let parameters = RequestParameters::new(context, &SCHEMES);
            let buffer = vec![0; parameters.encoded_len()];
            endpoint.request(&parameters, buffer).unwrap()
        }
        if self.of_client {
            let mut client = Endpoint::<Client>::new(channel).unwrap();
            let pending = own(&mut client, &self.context);
            self.validate_with(&mut client, pending, &self.authenticator)
        } else {
            let mut server = Endpoint::<Server>::new(channel).unwrap();
            let pending = own(&mut server, &self.context);
            self.validate_with(&mut server, pending, &self.authenticator)
        }
    }

    fn validate_with<R: Role, B: AsRef<[u8]>>(
        &self,
        endpoint: &mut Endpoint<R>,
        pending: PendingRequest<R, B>,
        authenticator: &[u8],
    ) -> Result<Proved, ValidateError> {
        let anchors = Anchors::new(&[&self.ca]).unwrap();
        let validated = endpoint.validate(pending, authenticator, &rules(&anchors))?;
        Ok(Proved {
            certificate: validated.leaf().as_der().to_vec(),
            context: validated.context().to_vec(),
            scheme: validated.scheme(),
        })
    }
}

/// The content of a validated authenticator.
#[derive(Debug, PartialEq)]
struct Proved {
    certificate: Vec<u8>,
    context: Vec<u8>,
    scheme: SignatureScheme,
}

fn rules<'a>(anchors: &'a Anchors<'a>) -> PathRules<'a> {
    // The endpoint replaces the usage.
    PathRules::new(anchors, Usage::ServerAuth, Time::At(1_800_000_000))
        .with_algorithms(tls::signature_algorithms())
}

/// A buffer that always contains the request of the Go program, regardless of what is written to it, because the order of the
/// extensions is up to the sender.
struct GoRequest {
    request: Vec<u8>,
    written: Vec<u8>,
}

impl AsRef<[u8]> for GoRequest {
    fn as_ref(&self) -> &[u8] {
        &self.request
    }
}

impl AsMut<[u8]> for GoRequest {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.written
    }
}

fn pending<R: Role>(endpoint: &mut Endpoint<R>, recorded: &[u8]) -> PendingRequest<R, GoRequest> {
    let request = Request::parse(recorded).unwrap();
    assert_eq!(request.sender(), R::SIDE);
    let schemes: Vec<_> = request.signature_algorithms().collect();
    let mut parameters = RequestParameters::new(request.context(), &schemes);
    parameters.server_name = request.server_name();
    assert_eq!(parameters.encoded_len(), recorded.len());
    let buffer = GoRequest {
        request: recorded.to_vec(),
        written: vec![0; recorded.len()],
    };
    let pending = endpoint.request(&parameters, buffer).unwrap();
    assert_eq!(pending.as_bytes(), recorded);
    pending
}

struct Recorded<'v> {
    vector: &'v Vector,
    for_client: bool,
    for_server: bool,
}

impl Exporter for Recorded<'_> {
    fn protocol(&self) -> Protocol {
        Protocol::Tls13
    }

    fn hash(&self) -> Option<HashAlgorithm> {
        Some(self.vector.hash)
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        assert_eq!(context.unwrap_or_default(), b"");
        let label = str::from_utf8(label).unwrap();
        let (is_recorded, name) = if let Some(name) = label.strip_prefix("EXPORTER-client ") {
            (self.for_client, name)
        } else if let Some(name) = label.strip_prefix("EXPORTER-server ") {
            (self.for_server, name)
        } else {
            panic!("{label}")
        };
        let value = match name {
            "authenticator handshake context" => &self.vector.handshake_context,
            "authenticator finished key" => &self.vector.finished_key,
            other => panic!("{other}"),
        };
        out.copy_from_slice(value);
        if !is_recorded {
            out.fill(0x55);
        }
        Ok(())
    }
}

#[test]
fn validates_all_go_authenticators() {
    let Some(program) = go::program() else { return };
    let (mut kinds, mut lengths, mut hashes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for vector in vectors(program) {
        let name = &vector.name;
        let parsed = Authenticator::parse(&vector.authenticator).unwrap();
        let scheme = match vector.validate(&vector.channel_of_sender(), &vector.authenticator) {
            Ok(proved) => {
                assert_eq!(proved.certificate, vector.certificate, "{name}");
                assert_eq!(proved.context, vector.context, "{name}");
                assert_eq!(parsed.context(), Some(vector.context.as_slice()), "{name}");
                proved.scheme.to_string()
            }
            Err(ValidateError::Empty) => {
                assert_eq!(vector.certificate, b"", "{name}");
                assert_eq!(parsed.context(), None, "{name}");
                "empty".to_owned()
            }
            Err(error) => panic!("{name}: {error}"),
        };
        let from = match (vector.of_client, vector.request.is_empty()) {
            (true, _) => "client",
            (false, false) => "server",
            (false, true) => "server, spontaneous",
        };
        lengths.insert((scheme == "empty", vector.context.len()));
        hashes.insert(vector.hash.to_string());
        kinds.insert(format!("{scheme} of {from}"));
    }
    // The vectors must cover all kinds.
    for from in ["client", "server", "server, spontaneous"] {
        for scheme in SCHEMES {
            assert!(kinds.contains(&format!("{scheme} of {from}")), "{kinds:?}");
        }
    }
    for from in ["client", "server"] {
        assert!(kinds.contains(&format!("empty of {from}")), "{kinds:?}");
    }
    for length in [(false, 0), (false, 255), (true, 0), (true, 255)] {
        assert!(lengths.contains(&length), "{lengths:?}");
    }
    assert_eq!(hashes.len(), 2);
}

#[test]
fn rejects_go_authenticators_with_a_flipped_bit() {
    let Some(program) = go::program() else { return };
    for vector in vectors(program) {
        let name = &vector.name;
        let channel = vector.channel_of_sender();
        let assert_rejected = |authenticator: &[u8], change: &str, at: usize| {
            let result = vector.validate(&channel, authenticator);
            let is_valid = matches!(result, Ok(_) | Err(ValidateError::Empty));
            assert!(!is_valid, "{name}: {change} {at}");
        };
        let whole = &vector.authenticator;
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            assert_rejected(&changed, "flipped bit in byte", at);
            assert_rejected(&whole[..at], "truncated at byte", at);
        }
        assert_rejected(
            &[whole.as_slice(), &[0]].concat(),
            "longer than",
            whole.len(),
        );
    }
}

#[test]
fn rejects_go_authenticators_for_another_request() {
    let Some(program) = go::program() else { return };
    for mut vector in vectors(program) {
        if vector.request.is_empty() {
            continue;
        }
        let original = vector.request.clone();
        // The last byte of the context, then that of the last scheme.
        let (context, scheme) = (4 + vector.context.len(), original.len() - 1);
        for at in [context, scheme] {
            if at == context && vector.context.is_empty() {
                continue;
            }
            vector.request.clone_from(&original);
            vector.request[at] ^= 0x20;
            let channel = vector.channel_of_sender();
            let result = vector.validate(&channel, &vector.authenticator);
            let as_expected = if vector.certificate.is_empty() {
                result == Err(ValidateError::Finished)
            } else if at == context {
                result == Err(ValidateError::Context)
            } else {
                matches!(
                    result,
                    Err(ValidateError::Finished | ValidateError::Scheme(_))
                )
            };
            assert!(as_expected, "{}: {result:?}", vector.name);
        }
    }
}

#[test]
fn rejects_go_authenticators_with_swapped_roles() {
    let Some(program) = go::program() else { return };
    for vector in vectors(program) {
        let name = &vector.name;
        // The recorded values are exported for the peer of the sender instead of the sender.
        let channel = vector.channel(!vector.of_client, vector.of_client);
        let result = vector.validate(&channel, &vector.authenticator);
        assert_eq!(result, Err(ValidateError::Finished), "{name}");
        // The receiver is the sender, on a connection that exports the same values for both.
        let channel = vector.channel(true, true);
        let result = vector.validate_by_sender(&channel);
        assert_eq!(result, Err(ValidateError::Finished), "{name}");
    }
}
