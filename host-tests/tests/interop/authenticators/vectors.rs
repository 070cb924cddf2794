//! What the Go program makes on connections of its own, validated by core from the exported values.

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

/// Of the ClientHello, what spontaneous authenticators here depend on.
const OFFERED: Offered<'_> = Offered {
    signature_algorithms_cert: &[],
    signature_algorithms: &SCHEMES,
    extensions: &[ExtensionType::SIGNATURE_ALGORITHMS],
};

/// One authenticator, and what was exported for its sender.
pub(super) struct Vector {
    pub(super) name: String,
    pub(super) of_client: bool,
    pub(super) hash: HashAlgorithm,
    handshake_context: Vec<u8>,
    finished_key: Vec<u8>,
    /// Empty if nobody asked.
    pub(super) request: Vec<u8>,
    pub(super) context: Vec<u8>,
    pub(super) authenticator: Vec<u8>,
    /// Empty if the authenticator is.
    pub(super) certificate: Vec<u8>,
    ca: Vec<u8>,
}

/// All that the Go program makes.
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

    /// A connection that has the recorded values for one side, and for the other one too or none that are worth anything.
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

    /// What its receiver says to an authenticator.
    fn validate(
        &self,
        channel: &Recorded<'_>,
        authenticator: &[u8],
    ) -> Result<Seen, ValidateError> {
        if self.of_client {
            let mut server = Endpoint::<Server>::new(channel).unwrap();
            let pending = pending(&mut server, &self.request);
            self.judge(&mut server, pending, authenticator)
        } else if self.request.is_empty() {
            let mut client = Endpoint::<Client>::new(channel).unwrap();
            let anchors = Anchors::new(&[&self.ca]).unwrap();
            let rules = rules(&anchors);
            let validated = client.validate_spontaneous(&OFFERED, authenticator, &rules)?;
            Ok(Seen {
                certificate: validated.leaf().as_der().to_vec(),
                context: validated.context().to_vec(),
                scheme: validated.scheme(),
            })
        } else {
            let mut client = Endpoint::<Client>::new(channel).unwrap();
            let pending = pending(&mut client, &self.request);
            self.judge(&mut client, pending, authenticator)
        }
    }

    /// What its own sender's side would say, had it made a request with the same context.
    fn validate_by_sender(&self, channel: &Recorded<'_>) -> Result<Seen, ValidateError> {
        fn own<R: Role>(end: &mut Endpoint<R>, context: &[u8]) -> PendingRequest<R, Vec<u8>> {
            let parameters = RequestParameters::new(context, &SCHEMES);
            let buffer = vec![0; parameters.encoded_len()];
            end.request(&parameters, buffer).unwrap()
        }
        if self.of_client {
            let mut client = Endpoint::<Client>::new(channel).unwrap();
            let pending = own(&mut client, &self.context);
            self.judge(&mut client, pending, &self.authenticator)
        } else {
            let mut server = Endpoint::<Server>::new(channel).unwrap();
            let pending = own(&mut server, &self.context);
            self.judge(&mut server, pending, &self.authenticator)
        }
    }

    fn judge<R: Role, B: AsRef<[u8]>>(
        &self,
        end: &mut Endpoint<R>,
        pending: PendingRequest<R, B>,
        authenticator: &[u8],
    ) -> Result<Seen, ValidateError> {
        let anchors = Anchors::new(&[&self.ca]).unwrap();
        let validated = end.validate(pending, authenticator, &rules(&anchors))?;
        Ok(Seen {
            certificate: validated.leaf().as_der().to_vec(),
            context: validated.context().to_vec(),
            scheme: validated.scheme(),
        })
    }
}

/// What was proved.
#[derive(Debug, PartialEq)]
struct Seen {
    certificate: Vec<u8>,
    context: Vec<u8>,
    scheme: SignatureScheme,
}

fn rules<'a>(anchors: &'a Anchors<'a>) -> PathRules<'a> {
    // The usage is the endpoint's to say.
    PathRules::new(anchors, Usage::ServerAuth, Time::At(1_800_000_000))
        .with_algorithms(tls::signature_algorithms())
}

/// A buffer in which the Go program's request stands whatever is written to it: the order of extensions is its maker's.
struct Theirs {
    request: Vec<u8>,
    written: Vec<u8>,
}

impl AsRef<[u8]> for Theirs {
    fn as_ref(&self) -> &[u8] {
        &self.request
    }
}

impl AsMut<[u8]> for Theirs {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.written
    }
}

fn pending<R: Role>(end: &mut Endpoint<R>, recorded: &[u8]) -> PendingRequest<R, Theirs> {
    let request = Request::parse(recorded).unwrap();
    assert_eq!(request.sender(), R::SIDE);
    let schemes: Vec<_> = request.signature_algorithms().collect();
    let mut parameters = RequestParameters::new(request.context(), &schemes);
    parameters.server_name = request.server_name();
    assert_eq!(parameters.encoded_len(), recorded.len());
    let buffer = Theirs {
        request: recorded.to_vec(),
        written: vec![0; recorded.len()],
    };
    let pending = end.request(&parameters, buffer).unwrap();
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
        let (is_there, what) = if let Some(what) = label.strip_prefix("EXPORTER-client ") {
            (self.for_client, what)
        } else if let Some(what) = label.strip_prefix("EXPORTER-server ") {
            (self.for_server, what)
        } else {
            panic!("{label}")
        };
        let value = match what {
            "authenticator handshake context" => &self.vector.handshake_context,
            "authenticator finished key" => &self.vector.finished_key,
            other => panic!("{other}"),
        };
        out.copy_from_slice(value);
        if !is_there {
            out.fill(0x55);
        }
        Ok(())
    }
}

#[test]
fn every_one_is_validated() {
    let Some(program) = go::program() else { return };
    let (mut kinds, mut lengths, mut hashes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for vector in vectors(program) {
        let name = &vector.name;
        let read = Authenticator::parse(&vector.authenticator).unwrap();
        let scheme = match vector.validate(&vector.channel_of_sender(), &vector.authenticator) {
            Ok(seen) => {
                assert_eq!(seen.certificate, vector.certificate, "{name}");
                assert_eq!(seen.context, vector.context, "{name}");
                assert_eq!(read.context(), Some(vector.context.as_slice()), "{name}");
                seen.scheme.to_string()
            }
            Err(ValidateError::Empty) => {
                assert_eq!(vector.certificate, b"", "{name}");
                assert_eq!(read.context(), None, "{name}");
                "empty".to_owned()
            }
            Err(error) => panic!("{name}: {error}"),
        };
        let from = match (vector.of_client, vector.request.is_empty()) {
            (true, _) => "client",
            (false, false) => "server",
            (false, true) => "server, unasked",
        };
        lengths.insert((scheme == "empty", vector.context.len()));
        hashes.insert(vector.hash.to_string());
        kinds.insert(format!("{scheme} of {from}"));
    }
    // That there were enough of them.
    for from in ["client", "server", "server, unasked"] {
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
fn none_is_valid_with_another_bit() {
    let Some(program) = go::program() else { return };
    for vector in vectors(program) {
        let name = &vector.name;
        let channel = vector.channel_of_sender();
        let refused = |authenticator: &[u8], what: &str, at: usize| {
            let seen = vector.validate(&channel, authenticator);
            let is_valid = matches!(seen, Ok(_) | Err(ValidateError::Empty));
            assert!(!is_valid, "{name}: {what} {at}");
        };
        let whole = &vector.authenticator;
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            refused(&changed, "another bit in byte", at);
            refused(&whole[..at], "cut at byte", at);
        }
        refused(
            &[whole.as_slice(), &[0]].concat(),
            "longer than",
            whole.len(),
        );
    }
}

#[test]
fn none_is_valid_for_another_request() {
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
            let seen = vector.validate(&channel, &vector.authenticator);
            let as_expected = if vector.certificate.is_empty() {
                seen == Err(ValidateError::Finished)
            } else if at == context {
                seen == Err(ValidateError::Context)
            } else {
                matches!(
                    seen,
                    Err(ValidateError::Finished | ValidateError::Scheme(_))
                )
            };
            assert!(as_expected, "{}: {seen:?}", vector.name);
        }
    }
}

#[test]
fn none_is_valid_with_the_roles_swapped() {
    let Some(program) = go::program() else { return };
    for vector in vectors(program) {
        let name = &vector.name;
        // What was exported for the sender is not what is exported for it, but for its peer.
        let channel = vector.channel(!vector.of_client, vector.of_client);
        let seen = vector.validate(&channel, &vector.authenticator);
        assert_eq!(seen, Err(ValidateError::Finished), "{name}");
        // Its receiver is its sender, on a connection that had the same values for both.
        let channel = vector.channel(true, true);
        let seen = vector.validate_by_sender(&channel);
        assert_eq!(seen, Err(ValidateError::Finished), "{name}");
    }
}
