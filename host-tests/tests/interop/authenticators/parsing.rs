//! Tests of the parsers: each program parses the requests and authenticators of the other, and both reject the same bytes.

use super::{Ca, Gateway, Identity, KINDS, SECOND, SUITES, connect, get_request, vectors::vectors};
use chanbind::proof::authenticator::header_fields::{self, MAX_REQUEST_LEN, REQUEST_HEADER};
use chanbind_core::{
    authenticator::{
        Authenticator, Client, Endpoint, Extension, ExtensionType, OidFilter, Request,
        RequestParameters, Server,
    },
    binding::Side,
    exporter::{ExporterSecret, HashAlgorithm},
    x509::SignatureScheme,
};
use chanbind_host_tests::client::{authenticate, challenged};
use chanbind_host_tests::go;
use serde_json::{Value, json};
use std::path::Path;

/// An input line of `ea-parse`: the kind of message, and its bytes.
type Line = (String, Vec<u8>);

/// Returns a line for a request. Its kind is the type of the handshake message.
fn request_line(side: Side, bytes: &[u8]) -> Line {
    let kind = match side {
        Side::Server => "13",
        Side::Client => "17",
    };
    (kind.to_owned(), bytes.to_vec())
}

fn authenticator_line(hash: HashAlgorithm, bytes: &[u8]) -> Line {
    (hash.to_string(), bytes.to_vec())
}

/// Parses the lines with the Go program. An invalid message results in null.
fn parse_with_go(program: &Path, lines: &[Line]) -> Vec<Value> {
    let input: String = lines
        .iter()
        .map(|(kind, bytes)| format!("{kind} {}\n", hex::encode(bytes)))
        .collect();
    let printed = go::run_with(program, &["ea-parse"], &input);
    assert_eq!(printed.len(), lines.len());
    let values = printed.iter().map(|line| serde_json::from_str(line));
    values.collect::<Result<_, _>>().unwrap()
}

/// Parses a line with the Rust code, with the same result.
fn parse_with_rust((kind, bytes): &Line) -> Value {
    match kind.as_str() {
        "13" => parse_request(Side::Server, bytes),
        "17" => parse_request(Side::Client, bytes),
        _ => parse_authenticator(bytes),
    }
}

fn parse_request(sender: Side, bytes: &[u8]) -> Value {
    let Ok(request) = Request::parse(bytes) else {
        return Value::Null;
    };
    if request.sender() != sender {
        return Value::Null;
    }
    let schemes: Vec<_> = request.signature_algorithms().map(|one| one.0).collect();
    let extensions = request.extensions().map(|one| one.extension_type.0);
    json!({
        "context": hex::encode(request.context()),
        "schemes": schemes,
        "server_name": request.server_name().unwrap_or_default(),
        "extensions": extensions.collect::<Vec<_>>(),
    })
}

fn parse_authenticator(bytes: &[u8]) -> Value {
    match Authenticator::parse(bytes) {
        Ok(Authenticator::Certified(certified)) => {
            let entries = certified.entries();
            let certificates = entries.map(|entry| hex::encode(entry.certificate));
            json!({
                "empty": false,
                "context": hex::encode(certified.context()),
                "certificates": certificates.collect::<Vec<_>>(),
                "scheme": certified.scheme().0,
                "signature": hex::encode(certified.signature()),
            })
        }
        Ok(Authenticator::Empty(_)) => json!({
            "empty": true, "context": "", "certificates": [], "scheme": 0, "signature": "",
        }),
        Err(_) => Value::Null,
    }
}

/// Returns requests created by the Rust code, with and without all optional parts.
fn rust_requests() -> Vec<Line> {
    let schemes = [
        SignatureScheme::ECDSA_SECP256R1_SHA256,
        SignatureScheme::RSA_PSS_RSAE_SHA512,
        SignatureScheme::ED25519,
    ];
    let filters = [
        OidFilter {
            oid: &[6, 3, 0x55, 0x1d, 0x0f],
            values: &[3, 2, 7, 0x80],
        },
        OidFilter {
            oid: &[6, 3, 0x55, 0x1d, 0x25],
            values: &[],
        },
    ];
    let status_request = [Extension {
        extension_type: ExtensionType::STATUS_REQUEST,
        data: &[],
    }];
    let longest = [0xc7; 255];
    let secret = ExporterSecret::sha256(&[7; 32]);
    let mut client = Endpoint::<Client>::new(&secret).unwrap();
    let mut server = Endpoint::<Server>::new(&secret).unwrap();
    let mut lines = Vec::new();
    for context in [&[][..], b"c", &longest] {
        let least = RequestParameters::new(context, &schemes[..1]);
        let mut most = RequestParameters::new(context, &schemes);
        most.signature_algorithms_cert = &schemes[1..];
        most.certificate_authorities = &[b"\x30\x00", b"\x30\x02\x31\x00"];
        most.oid_filters = &filters;
        most.other = &status_request;
        let is_even = context.len() % 2 == 0;
        let mut named = if is_even { least } else { most };
        named.server_name = Some(SECOND);
        let of_server = if is_even { most } else { least };
        let request = client.request(&named, vec![0; named.encoded_len()]);
        lines.push(request_line(Side::Client, request.unwrap().as_bytes()));
        let request = server.request(&of_server, vec![0; of_server.encoded_len()]);
        lines.push(request_line(Side::Server, request.unwrap().as_bytes()));
    }
    lines
}

/// Returns authenticators created by the Rust code with keys of every kind, and empty ones.
async fn rust_authenticators() -> Vec<Line> {
    let devices = Ca::new("devices");
    let schemes = [
        SignatureScheme::ECDSA_SECP256R1_SHA256,
        SignatureScheme::ED25519,
        SignatureScheme::RSA_PSS_RSAE_SHA384,
    ];
    let mut lines = Vec::new();
    for secret in [
        ExporterSecret::sha256(&[7; 32]),
        ExporterSecret::sha384(&[7; 48]),
    ] {
        let hash = chanbind_core::exporter::Exporter::hash(&secret).unwrap();
        let mut client = Endpoint::<Client>::new(&secret).unwrap();
        let mut server = Endpoint::<Server>::new(&secret).unwrap();
        for (context, (_, algorithm)) in [&b""[..], b"c", &[0xc7; 255]].into_iter().zip(KINDS) {
            let parameters = RequestParameters::new(context, &schemes);
            let request = server.request(&parameters, vec![0; parameters.encoded_len()]);
            let request = request.unwrap();
            let identity = Identity::new(algorithm, |key| devices.client(key, "device"));
            let request = Request::parse(request.as_bytes()).unwrap();
            let authenticator = authenticate(&identity.credentials(), &mut client, &request).await;
            lines.push(authenticator_line(hash, &authenticator.unwrap()));
        }
        let parameters = RequestParameters::new(b"declined", &schemes);
        let request = server.request(&parameters, vec![0; parameters.encoded_len()]);
        let request = request.unwrap();
        let request = Request::parse(request.as_bytes()).unwrap();
        let mut out = [0; 52];
        let declined = client.decline(&request, &mut out).unwrap().to_vec();
        lines.push(authenticator_line(hash, &declined));
    }
    lines
}

/// Returns the requests and authenticators that `ea-vector` creates.
fn go_messages(program: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    for vector in vectors(program) {
        let requester = if vector.of_client {
            Side::Server
        } else {
            Side::Client
        };
        if !vector.request.is_empty() {
            let line = request_line(requester, &vector.request);
            assert_eq!(
                parse_with_rust(&line)["context"],
                hex::encode(&vector.context)
            );
            lines.push(line);
        }
        let line = authenticator_line(vector.hash, &vector.authenticator);
        let parsed = parse_with_rust(&line);
        if !vector.certificate.is_empty() {
            assert_eq!(parsed["context"], hex::encode(&vector.context));
        }
        assert_eq!(parsed["empty"], vector.certificate.is_empty());
        lines.push(line);
    }
    lines
}

#[tokio::test]
async fn go_and_rust_parse_valid_messages_alike() {
    let Some(program) = go::program() else { return };
    let mut lines = go_messages(program);
    lines.extend(rust_requests());
    lines.extend(rust_authenticators().await);
    for (line, by_go) in lines.iter().zip(parse_with_go(program, &lines)) {
        assert!(!by_go.is_null(), "{line:x?}");
        assert_eq!(by_go, parse_with_rust(line), "{line:x?}");
    }
}

/// The requests that client and gateway create from a [`Trust`](chanbind::proof::authenticator::Trust), as sent in HTTP header fields.
#[tokio::test]
async fn go_and_rust_parse_requests_in_header_fields_alike() {
    let Some(program) = go::program() else { return };
    let devices = Ca::new("devices");
    for suite in SUITES {
        let gateway = Gateway::start(suite, &devices, Vec::new()).await;
        let mut connection = connect(gateway.port, &gateway.pki, suite).await;
        let mut lines = Vec::new();
        for name in [None, Some(SECOND)] {
            let mut request = get_request(gateway.port);
            let _asked = connection
                .ask(&mut request, name, &devices.trust())
                .unwrap();
            let field = header_fields::field(request.headers(), &REQUEST_HEADER, MAX_REQUEST_LEN);
            lines.push(request_line(Side::Client, &field.unwrap().unwrap()));
        }
        let response = connection.send(get_request(gateway.port)).await.unwrap();
        let challenge = challenged(response.headers()).unwrap();
        lines.push(request_line(Side::Server, &challenge));
        let all_by_go = parse_with_go(program, &lines);
        for (line, by_go) in lines.iter().zip(&all_by_go) {
            assert_eq!(*by_go, parse_with_rust(line));
            assert_eq!(by_go["context"].as_str().unwrap().len(), 32);
        }
        assert_eq!(all_by_go[0]["server_name"], "");
        assert_eq!(all_by_go[1]["server_name"], SECOND);
    }
}

/// Flips every bit of a request and one bit in every byte of an authenticator, and truncates both: both programs parse the same, or
/// both reject the message.
#[tokio::test]
async fn go_and_rust_parse_changed_messages_alike() {
    let Some(program) = go::program() else { return };
    let mut whole = go_messages(program);
    whole.extend(rust_requests());
    whole.extend(rust_authenticators().await);
    let mut lines = Vec::new();
    for (kind, bytes) in &whole {
        let is_request = kind.len() == 2;
        for at in 0..bytes.len() {
            for bit in 0..8 {
                if is_request || bit == at % 8 {
                    let mut changed = bytes.clone();
                    changed[at] ^= 1 << bit;
                    lines.push((kind.clone(), changed));
                }
            }
            lines.push((kind.clone(), bytes[..at].to_vec()));
        }
        lines.push((kind.clone(), [bytes, &[0][..]].concat()));
    }
    let mut rejected = 0;
    for (line, by_go) in lines.iter().zip(parse_with_go(program, &lines)) {
        rejected += usize::from(by_go.is_null());
        assert_eq!(
            by_go,
            parse_with_rust(line),
            "{} {}",
            line.0,
            hex::encode(&line.1)
        );
    }
    assert!(rejected > lines.len() / 4, "{rejected} of {}", lines.len());
}
