//! Malformed requests, and parameters of which no request can be created.

use super::{
    maker::{extension, message, sized},
    *,
};
use chanbind_core::authenticator::MAX_EXTENSIONS;

const SERVER: u8 = 13;
const CLIENT: u8 = 17;

fn raw(kind: u8, extensions: &[u8]) -> Vec<u8> {
    let body = [sized(1, CONTEXT), sized(2, extensions)].concat();
    message(kind, &body)
}

/// Encodes signature_algorithms with P-256.
fn schemes() -> Vec<u8> {
    extension(13, &[0, 2, 4, 3])
}

fn malformed(bytes: &[u8]) -> MalformedMessage {
    Request::parse(bytes).unwrap_err()
}

#[test]
fn rejects_truncated_requests_and_trailing_bytes() {
    let request = request();
    Request::parse(&request).unwrap();
    for len in 0..request.len() {
        let refused = malformed(&request[..len]);
        assert_eq!(refused, MalformedMessage::Length, "{len}");
    }
    for more in [&[0][..], &request] {
        let refused = malformed(&[&request, more].concat());
        assert_eq!(refused, MalformedMessage::TrailingBytes);
    }
}

#[test]
fn rejects_other_message_types_as_request() {
    let request = request();
    for kind in 0..=255 {
        let mut changed = request.clone();
        changed[0] = kind;
        let expected = match kind {
            SERVER => Ok(Side::Server),
            CLIENT => Ok(Side::Client),
            actual => Err(MalformedMessage::Message {
                expected: SERVER,
                actual,
            }),
        };
        let read = Request::parse(&changed).map(|request| request.sender());
        assert_eq!(read, expected);
    }
}

#[test]
fn rejects_stray_bytes_at_every_level_of_request() {
    let body = [sized(1, CONTEXT), sized(2, &schemes())].concat();
    let in_body = message(SERVER, &[&*body, &[0]].concat());
    assert_eq!(malformed(&in_body), MalformedMessage::TrailingBytes);
    let in_extensions = raw(SERVER, &[&*schemes(), &[0]].concat());
    assert_eq!(malformed(&in_extensions), MalformedMessage::Length);
    let no_extensions = message(SERVER, &sized(1, CONTEXT));
    assert_eq!(malformed(&no_extensions), MalformedMessage::Length);
    assert_eq!(malformed(&message(SERVER, &[])), MalformedMessage::Length);
}

#[test]
fn rejects_request_without_signature_algorithms() {
    for extensions in [
        Vec::new(),
        extension(50, &[0, 2, 4, 3]),
        extension(0xfe00, b"unknown"),
    ] {
        let refused = malformed(&raw(SERVER, &extensions));
        assert_eq!(refused, MalformedMessage::NoSignatureAlgorithms);
    }
    let nothing = RequestParameters::new(CONTEXT, &[]);
    let refused = Connection::new(1).server.request(&nothing, [0; 64]);
    assert_eq!(refused.unwrap_err(), RequestError::NoSignatureAlgorithms);
}

#[test]
fn rejects_malformed_request_extensions() {
    let name = |name: &[u8]| [&[0], &*sized(2, name)].concat();
    let list = |parts: &[&[u8]]| sized(2, &parts.concat());
    let schemes_of: [&[u8]; 8] = [
        &[],
        &[0],
        &[0, 0],
        &[0, 1, 4],
        &[0, 3, 4, 3, 5],
        &[0, 4, 4, 3],
        &[0, 2, 4, 3, 0],
        &[0, 0, 4, 3],
    ];
    let mut cases: Vec<(u8, u16, Vec<u8>)> = Vec::new();
    for data in schemes_of {
        for sender in [SERVER, CLIENT] {
            cases.push((sender, 13, data.to_vec()));
            cases.push((sender, 50, data.to_vec()));
        }
    }
    for data in [
        vec![],
        vec![0],
        vec![0, 0],
        list(&[&sized(2, b"")]),
        list(&[&sized(2, b"one"), &sized(2, b"")]),
        list(&[&[0]]),
        list(&[&[0, 4], b"one"]),
        [&*list(&[&sized(2, b"one")]), &[0]].concat(),
    ] {
        cases.push((SERVER, 47, data));
    }
    for data in [
        vec![],
        vec![0],
        list(&[&[0, 0, 0]]),
        list(&[&[1, 6]]),
        list(&[&[1, 6, 0]]),
        list(&[&[1, 6, 0, 1]]),
        [&*list(&[]), &[0]].concat(),
        list(&[&[1, 6, 0, 0], &[0]]),
    ] {
        cases.push((SERVER, 48, data));
    }
    for data in [
        vec![],
        vec![0],
        vec![0, 0],
        list(&[&name(b"")]),
        list(&[&name("ö".as_bytes())]),
        list(&[&name(b"\xff")]),
        list(&[&name(b"one"), &name(b"two")]),
        list(&[&name(b"one"), &[0]]),
        list(&[&[1], &sized(2, b"one")]),
        list(&[&[0, 0, 4], b"one"]),
        [&*list(&[&name(b"one")]), &[0]].concat(),
    ] {
        cases.push((CLIENT, 0, data));
    }
    for (sender, kind, data) in cases {
        let mut extensions = extension(kind, &data);
        if kind != 13 {
            extensions.extend(schemes());
        }
        let refused = malformed(&raw(sender, &extensions));
        let expected = MalformedMessage::Extension(ExtensionType(kind));
        assert_eq!(refused, expected, "{data:02x?}");
    }
}

/// The request of a server must not have server_name (RFC 9261 section 8.1).
#[test]
fn rejects_server_name_in_request_of_server() {
    let name = sized(2, &[&[0], &*sized(2, b"localhost")].concat());
    let bytes = [extension(0, &name), schemes()].concat();
    let parsed = Request::parse(&raw(CLIENT, &bytes)).map(|request| request.sender());
    assert_eq!(parsed, Ok(Side::Client));
    for data in [&*name, &[]] {
        let refused = malformed(&raw(SERVER, &[extension(0, data), schemes()].concat()));
        let expected = MalformedMessage::Extension(ExtensionType::SERVER_NAME);
        assert_eq!(refused, expected);
    }

    let mut parameters = parameters(CONTEXT);
    parameters.server_name = Some("localhost");
    let mut connection = Connection::new(1);
    let refused = connection.server.request(&parameters, [0; 128]);
    assert_eq!(refused.unwrap_err(), RequestError::ServerName);
    let _ = connection.client.request(&parameters, [0; 128]).unwrap();
    parameters.server_name = None;
    parameters.other = &[Extension {
        extension_type: ExtensionType::SERVER_NAME,
        data: b"\0\x0c\0\0\x09localhost",
    }];
    let refused = connection.server.request(&parameters, [0; 128]);
    let expected = RequestError::Extension(ExtensionType::SERVER_NAME);
    assert_eq!(refused.unwrap_err(), expected);
}

#[test]
fn rejects_duplicate_request_extension() {
    for kind in [5, 47, 50, 0xfe00] {
        let data = match kind {
            47 => vec![0, 3, 0, 1, b'x'],
            50 => vec![0, 2, 4, 3],
            _ => vec![],
        };
        let once = extension(kind, &data);
        let kind = ExtensionType(kind);
        for extensions in [
            [&*once, &once, &schemes()].concat(),
            [&*once, &schemes(), &once].concat(),
        ] {
            let refused = malformed(&raw(SERVER, &extensions));
            assert_eq!(refused, MalformedMessage::DuplicateExtension(kind));
        }
    }
    let refused = malformed(&raw(SERVER, &[schemes(), schemes()].concat()));
    let kind = ExtensionType::SIGNATURE_ALGORITHMS;
    assert_eq!(refused, MalformedMessage::DuplicateExtension(kind));
}

#[test]
fn rejects_more_than_32_request_extensions() {
    let all = |count: u16| {
        let mut extensions = schemes();
        for kind in 1..count {
            extensions.extend(extension(0x1000 + kind, &[]));
        }
        raw(SERVER, &extensions)
    };
    let read = all(32);
    let read = Request::parse(&read).unwrap();
    assert_eq!(read.extensions().count(), MAX_EXTENSIONS);
    assert_eq!(malformed(&all(33)), MalformedMessage::TooManyExtensions);
    assert_eq!(malformed(&all(9000)), MalformedMessage::TooManyExtensions);
}

/// No malformed request is created, and the attempt uses no context.
#[test]
fn rejects_invalid_request_parameters_without_using_context() {
    let twice = Extension {
        extension_type: ExtensionType::STATUS_REQUEST,
        data: &[],
    };
    let twice = [twice, twice];
    let known = [0, 13, 47, 48, 50].map(|kind| {
        [Extension {
            extension_type: ExtensionType(kind),
            data: &[0, 2, 4, 3],
        }]
    });
    let base = parameters(CONTEXT);
    let with = |change: &dyn Fn(&mut RequestParameters<'_>)| {
        let mut parameters = base;
        change(&mut parameters);
        let mut client = Connection::new(1).client;
        let refused = client.request(&parameters, vec![0; 70_000]).unwrap_err();
        assert_eq!(client.contexts_left(), 16);
        let _ = create_request(&mut client, &base);
        refused
    };
    let extension = RequestError::Extension;
    let refused = with(&|of| of.server_name = Some(""));
    assert_eq!(refused, extension(ExtensionType::SERVER_NAME));
    let refused = with(&|of| of.server_name = Some("gerät.example"));
    assert_eq!(refused, extension(ExtensionType::SERVER_NAME));
    let refused = with(&|of| of.certificate_authorities = &[b"one", b""]);
    assert_eq!(refused, extension(ExtensionType::CERTIFICATE_AUTHORITIES));
    let empty_oid = &[OidFilter {
        oid: &[],
        values: b"value",
    }];
    let refused = with(&|of| of.oid_filters = empty_oid);
    assert_eq!(refused, extension(ExtensionType::OID_FILTERS));
    for other in &known {
        let mut parameters = base;
        parameters.other = other;
        let mut client = Connection::new(1).client;
        let refused = client.request(&parameters, [0; 128]).unwrap_err();
        assert_eq!(refused, extension(other[0].extension_type));
    }
    let mut parameters = base;
    parameters.other = &twice;
    let mut client = Connection::new(1).client;
    let refused = client.request(&parameters, [0; 128]).unwrap_err();
    assert_eq!(refused, extension(ExtensionType::STATUS_REQUEST));
}

/// Values that are longer than their length fields can encode.
#[test]
fn rejects_request_parameters_that_are_too_long() {
    let long = vec![1; 65_536];
    let names: [&[u8]; 1] = [&long];
    let filters = [
        OidFilter {
            oid: &long[..256],
            values: &[],
        },
        OidFilter {
            oid: &long[..1],
            values: &long,
        },
    ];
    let name = "a".repeat(65_536);
    let base = parameters(CONTEXT);
    let mut all = [base; 5];
    all[0].certificate_authorities = &names;
    all[1].oid_filters = &filters[..1];
    all[2].oid_filters = &filters[1..];
    all[3].server_name = Some(&name);
    let other = [Extension {
        extension_type: ExtensionType::STATUS_REQUEST,
        data: &long,
    }];
    all[4].other = &other;
    let mut client = Connection::new(1).client;
    for parameters in all {
        let refused = client.request(&parameters, vec![0; 200_000]);
        let expected = RequestError::BufferTooShort;
        assert_eq!(refused.unwrap_err(), expected);
    }
    assert_eq!(client.contexts_left(), 16);
}

/// signature_algorithms is one of the at most 32 extensions.
#[test]
fn rejects_more_than_31_other_request_extensions() {
    let others: Vec<_> = (0..32)
        .map(|kind| Extension {
            extension_type: ExtensionType(0x1000 + kind),
            data: &[],
        })
        .collect();
    let mut parameters = parameters(CONTEXT);
    parameters.other = &others[..31];
    let _ = create_request(&mut Connection::new(1).server, &parameters);
    parameters.other = &others;
    let refused = Connection::new(1).server.request(&parameters, [0; 512]);
    assert_ne!(refused.unwrap_err(), RequestError::NoSignatureAlgorithms);
}

/// "Any given OID MUST NOT appear more than once in the filters list" (RFC 8446 section 4.2.5).
#[test]
fn rejects_duplicate_oid_in_oid_filters() {
    let filter = OidFilter {
        oid: &[6, 3, 0x55, 0x1d, 0x0f],
        values: &[3, 2, 7, 0x80],
    };
    let mut parameters = parameters(CONTEXT);
    let filters = [filter, filter];
    parameters.oid_filters = &filters;
    let refused = Connection::new(1).server.request(&parameters, [0; 512]);
    let expected = RequestError::Extension(ExtensionType::OID_FILTERS);
    assert_eq!(refused.unwrap_err(), expected);
}

/// Whichever bit is flipped, the request is rejected or can be read to its end without a panic.
#[test]
fn parses_or_rejects_request_with_any_flipped_bit() {
    let pki = Pki::new();
    let mut parameters = parameters(CONTEXT);
    let filters = [OidFilter {
        oid: &[6, 3, 0x55, 0x1d, 0x0f],
        values: &[3, 2, 7, 0x80],
    }];
    parameters.signature_algorithms_cert = &[P256];
    parameters.certificate_authorities = &[b"one", b"two"];
    parameters.oid_filters = &filters;
    parameters.server_name = Some("localhost");
    let mut client = Connection::new(1).client;
    let request = create_request(&mut client, &parameters).as_bytes().to_vec();
    let certificates = [pki.server.certificate.as_slice()];
    let chain = CertificateChain::new(&certificates, P256);
    let mut read = 0;
    for bit in 0..request.len() * 8 {
        let changed = flipped(&request, bit);
        let Ok(request) = Request::parse(&changed) else {
            continue;
        };
        read += 1;
        assert_eq!(request.as_bytes(), changed);
        let _ = request.is_satisfied_by(&chain);
        assert!(request.signature_algorithms().count() > 0);
        assert!(request.signature_algorithms_cert().count() > 0);
        let names = request.certificate_authorities().map(Iterator::count);
        let _ = (names, request.oid_filters().count());
        assert!(request.server_name().is_none_or(str::is_ascii));
    }
    assert!(read > request.len(), "{read}");
}
