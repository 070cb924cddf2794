//! Requests and authenticators that cross: each program reads the other's, and takes the same bytes for none.

use super::{Ca, Gateway, Identity, KINDS, SECOND, SUITES, connect, get_request, vectors::vectors};
use chanbind::authenticator::header_fields::{self, MAX_REQUEST_LEN, REQUEST_HEADER};
use chanbind_core::{
    authenticator::{
        Authenticator, Client, Endpoint, Extension, ExtensionType, OidFilter, Request,
        RequestParameters, Server,
    },
    binding::Side,
    exporter::{ExporterSecret, HashAlgorithm},
    x509::SignatureScheme,
};
use chanbind_host_tests::go;
use serde_json::{Value, json};
use std::{path::Path, sync::Mutex};

/// Bytes, and what `ea-parse` is to take them for.
type Line = (String, Vec<u8>);

/// The type of a request's handshake message, as `ea-parse` has it.
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

/// What the Go program reads; null for what it takes for none.
fn theirs(program: &Path, lines: &[Line]) -> Vec<Value> {
    let input: String = lines
        .iter()
        .map(|(kind, bytes)| format!("{kind} {}\n", hex::encode(bytes)))
        .collect();
    let printed = go::run_with(program, &["ea-parse"], &input);
    assert_eq!(printed.len(), lines.len());
    let values = printed.iter().map(|line| serde_json::from_str(line));
    values.collect::<Result<_, _>>().unwrap()
}

/// What we read, likewise.
fn ours((kind, bytes): &Line) -> Value {
    match kind.as_str() {
        "13" => our_request(Side::Server, bytes),
        "17" => our_request(Side::Client, bytes),
        _ => our_authenticator(bytes),
    }
}

fn our_request(sender: Side, bytes: &[u8]) -> Value {
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

fn our_authenticator(bytes: &[u8]) -> Value {
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

/// Requests of ours, with all that they can have.
fn our_requests() -> Vec<Line> {
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

/// Authenticators of ours, by keys of every kind, and empty ones.
async fn our_authenticators() -> Vec<Line> {
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
        let client = Mutex::new(Endpoint::<Client>::new(&secret).unwrap());
        let mut server = Endpoint::<Server>::new(&secret).unwrap();
        for (context, (_, algorithm)) in [&b""[..], b"c", &[0xc7; 255]].into_iter().zip(KINDS) {
            let parameters = RequestParameters::new(context, &schemes);
            let request = server.request(&parameters, vec![0; parameters.encoded_len()]);
            let request = request.unwrap();
            let identity = Identity::new(algorithm, |key| devices.client(key, "device"));
            let request = Request::parse(request.as_bytes()).unwrap();
            let made = identity.credentials().answer(&client, &request).await;
            lines.push(authenticator_line(hash, &made.unwrap()));
        }
        let parameters = RequestParameters::new(b"declined", &schemes);
        let request = server.request(&parameters, vec![0; parameters.encoded_len()]);
        let request = request.unwrap();
        let request = Request::parse(request.as_bytes()).unwrap();
        let mut out = [0; 52];
        let declined = client
            .lock()
            .unwrap()
            .decline(&request, &mut out)
            .unwrap()
            .to_vec();
        lines.push(authenticator_line(hash, &declined));
    }
    lines
}

/// What `ea-vector` makes.
fn their_lines(program: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    for vector in vectors(program) {
        let asks = if vector.of_client {
            Side::Server
        } else {
            Side::Client
        };
        if !vector.request.is_empty() {
            let line = request_line(asks, &vector.request);
            assert_eq!(ours(&line)["context"], hex::encode(&vector.context));
            lines.push(line);
        }
        let line = authenticator_line(vector.hash, &vector.authenticator);
        let read = ours(&line);
        if !vector.certificate.is_empty() {
            assert_eq!(read["context"], hex::encode(&vector.context));
        }
        assert_eq!(read["empty"], vector.certificate.is_empty());
        lines.push(line);
    }
    lines
}

#[tokio::test]
async fn both_read_the_same() {
    let Some(program) = go::program() else { return };
    let mut lines = their_lines(program);
    lines.extend(our_requests());
    lines.extend(our_authenticators().await);
    for (line, theirs) in lines.iter().zip(theirs(program, &lines)) {
        assert!(!theirs.is_null(), "{line:x?}");
        assert_eq!(theirs, ours(line), "{line:x?}");
    }
}

/// The requests that client and gateway make of a [`Trust`](chanbind::authenticator::Trust).
#[tokio::test]
async fn requests_as_they_travel() {
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
        let challenge = header_fields::challenged(response.headers()).unwrap();
        lines.push(request_line(Side::Server, &challenge));
        let theirs = theirs(program, &lines);
        for (line, theirs) in lines.iter().zip(&theirs) {
            assert_eq!(*theirs, ours(line));
            assert_eq!(theirs["context"].as_str().unwrap().len(), 32);
        }
        assert_eq!(theirs[0]["server_name"], "");
        assert_eq!(theirs[1]["server_name"], SECOND);
    }
}

/// With any bit of a request changed, or one in any byte of an authenticator, or with bytes missing: both read the same, or both refuse.
#[tokio::test]
async fn both_refuse_the_same() {
    let Some(program) = go::program() else { return };
    let mut whole = their_lines(program);
    whole.extend(our_requests());
    whole.extend(our_authenticators().await);
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
    let mut refused = 0;
    for (line, theirs) in lines.iter().zip(theirs(program, &lines)) {
        refused += usize::from(theirs.is_null());
        assert_eq!(theirs, ours(line), "{} {}", line.0, hex::encode(&line.1));
    }
    assert!(refused > lines.len() / 4, "{refused} of {}", lines.len());
}
