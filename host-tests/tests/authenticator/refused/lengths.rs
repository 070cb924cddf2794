//! Announced lengths, and buffers that are too short: a failed call uses no context.

use super::*;

#[test]
fn parses_encoded_requests_to_the_same_values() {
    let many: Vec<_> = (0..300).map(SignatureScheme).collect();
    let long = [7; 3000];
    let filter = |oid, values| OidFilter { oid, values };
    let filters = [
        filter(&[6, 3, 0x55, 0x1d, 0x0f][..], &[3, 2, 7, 0x80][..]),
        filter(&long[..255], &long),
        filter(&[6, 3, 0x55, 0x1d, 0x25], b""),
    ];
    let others = [(5, &b""[..]), (0x1234, &long), (0xffff, b"\0")].map(|(one, data)| Extension {
        extension_type: ExtensionType(one),
        data,
    });
    let name = format!("{}.example", "a".repeat(200));
    let names: [&[u8]; 3] = [b"one", &long, b"x"];
    let base = parameters(b"");
    let mut all = Vec::new();
    for context in [&long[..0], &long[..1], &long[..255]] {
        for schemes in [&many[..1], &many[..7], &many] {
            for used in 0..32u8 {
                let mut parameters = base;
                parameters.context = context;
                parameters.signature_algorithms = schemes;
                let is_used = |bit: u8| used & (1 << bit) != 0;
                if is_used(0) {
                    parameters.signature_algorithms_cert = schemes;
                }
                if is_used(1) {
                    parameters.certificate_authorities = &names;
                }
                if is_used(2) {
                    parameters.oid_filters = &filters;
                }
                if is_used(3) {
                    parameters.server_name = Some(&name);
                }
                if is_used(4) {
                    parameters.other = &others;
                }
                all.push(parameters);
            }
        }
    }
    for parameters in all {
        let len = parameters.encoded_len();
        let mut client = Connection::new(1).client;
        let short = client.request(&parameters, vec![0; len - 1]);
        let expected = RequestError::BufferTooShort;
        assert_eq!(short.unwrap_err(), expected);
        let pending = client.request(&parameters, vec![0xff; len + 1]).unwrap();
        assert_eq!(pending.as_bytes().len(), len);
        let request = Request::parse(pending.as_bytes()).unwrap();
        assert_eq!(request.as_bytes(), pending.as_bytes());
        assert_eq!(request.context(), parameters.context);
        let schemes = parameters.signature_algorithms.iter().copied();
        assert!(request.signature_algorithms().eq(schemes.clone()));
        assert!(request.signature_algorithms_cert().eq(schemes));
        let names = parameters.certificate_authorities;
        match request.certificate_authorities() {
            Some(read) => assert!(read.eq(names.iter().copied())),
            None => assert!(names.is_empty()),
        }
        let filters = parameters.oid_filters.iter().copied();
        assert!(request.oid_filters().eq(filters));
        assert_eq!(request.server_name(), parameters.server_name);
        for other in parameters.other {
            let data = request.extensions().find(other.extension_type);
            assert_eq!(data, Some(other.data));
        }
    }
}

/// A call with a buffer that is too short fails and changes nothing.
#[test]
fn rejects_every_too_short_buffer_without_using_context() {
    let pki = Pki::new();
    let certificates = [pki.client.certificate.as_slice()];
    let chain = CertificateChain::new(&certificates, P256);
    let parameters = parameters(CONTEXT);
    for (hash_len, mut connection) in [(32, Connection::new(1)), (48, Connection::sha384(1))] {
        let Connection { client, server } = &mut connection;
        let needed = parameters.encoded_len();
        for len in 0..needed {
            let refused = server.request(&parameters, vec![0; len]);
            let expected = RequestError::BufferTooShort;
            assert_eq!(refused.unwrap_err(), expected);
        }
        assert_eq!(server.contexts_left(), 16);
        let pending = create_request(server, &parameters);
        let request = Request::parse(pending.as_bytes()).unwrap();

        let certificate = 4 + 1 + CONTEXT.len() + 3 + 3 + pki.client.certificate.len() + 2;
        let exact = certificate + (4 + 2 + 2 + 72) + (4 + hash_len);
        let mut out = vec![0; exact];
        for len in 0..exact {
            let refused = client.authenticate(&request, &chain, &mut out[..len]);
            let expected = AuthenticateError::BufferTooShort;
            assert_eq!(refused.map(|_| ()), Err(expected), "{len}");
        }
        let maximum = exact + 255 - CONTEXT.len() + 48 - hash_len;
        assert_eq!(chain.max_authenticator_len(), maximum);
        for len in 0..4 + hash_len {
            let refused = client.decline(&request, &mut out[..len]);
            let expected = AuthenticateError::BufferTooShort;
            assert_eq!(refused.unwrap_err(), expected);
        }
        // Another context of the same length.
        let other = &[7; CONTEXT.len()];
        for len in 0..exact {
            let refused =
                server.authenticate_spontaneously(other, &OFFERED, &chain, &mut out[..len]);
            let expected = AuthenticateError::BufferTooShort;
            assert_eq!(refused.map(|_| ()), Err(expected), "{len}");
        }
        assert_eq!(client.contexts_left(), 16);
        assert_eq!(server.contexts_left(), 15);
        let unsigned = client.authenticate(&request, &chain, &mut out).unwrap();
        let authenticator = sign(unsigned, &pki.client.key);
        validate(server, pending, &authenticator, &pki.authority).unwrap();
    }
}

/// A signature that is longer than the space that the scheme reserves.
#[test]
fn rejects_signature_longer_than_scheme_allows() {
    let pki = Pki::new();
    let certificates = [pki.client.certificate.as_slice()];
    let chain = CertificateChain::new(&certificates, P256);
    let mut connection = Connection::new(1);
    let pending = create_request(&mut connection.server, &parameters(CONTEXT));
    let request = Request::parse(pending.as_bytes()).unwrap();
    let certificate = 4 + 1 + CONTEXT.len() + 3 + 3 + pki.client.certificate.len() + 2;
    let mut out = vec![0; certificate + 80 + 36];
    let unsigned = (connection.client).authenticate(&request, &chain, &mut out);
    let refused = unsigned.unwrap().sign(&[0; 73]).map(<[u8]>::len);
    assert_eq!(refused, Err(AuthenticateError::BufferTooShort));
    // The context counts as used, because the content may have been signed.
    let refused = (connection.client).decline(&request, &mut out);
    assert_eq!(refused.unwrap_err(), AuthenticateError::ContextUsed);
}
