//! Valid authenticators: both roles, requested and spontaneous, empty or not, with every hash and every kind of key.

use super::*;
use chanbind_core::{
    authenticator::Authenticator,
    x509::{PathError, SubjectAltName, spki_sha256},
};
use rcgen::{
    DnType, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, SanType,
    date_time_ymd,
};

const CONTEXT: &[u8] = b"sixteen bytes or more";

/// Returns a connection with each hash.
fn connections() -> [Connection; 2] {
    [Connection::new(1), Connection::sha384(1)]
}

#[test]
fn server_validates_client_authenticator() {
    let pki = Pki::new();
    for context in [&[][..], &[7], &[7; 16], &[7; 255]] {
        for mut connection in connections() {
            let pending = create_request(&mut connection.server, &parameters(context));
            assert_eq!(pending.context(), context);
            let request = Request::parse(pending.as_bytes()).unwrap();
            assert_eq!(request.context(), context);
            let authenticator =
                authenticate(&mut connection.client, pending.as_bytes(), &pki.client);
            let parsed = Authenticator::parse(&authenticator).unwrap();
            assert_eq!(parsed.context(), Some(context));
            let validated = validate(
                &mut connection.server,
                pending,
                &authenticator,
                &pki.authority,
            );
            let validated = validated.unwrap();
            assert_eq!(validated.leaf().as_der(), pki.client.certificate);
            assert_eq!(validated.context(), context);
            assert_eq!(validated.scheme(), P256);
            assert_eq!(validated.entries().count(), 1);
        }
    }
}

#[test]
fn client_validates_server_authenticator_for_requested_name() {
    let pki = Pki::new();
    for context in [&[][..], &[7; 255]] {
        for mut connection in connections() {
            let mut parameters = parameters(context);
            parameters.server_name = Some("localhost");
            let pending = create_request(&mut connection.client, &parameters);
            let request = Request::parse(pending.as_bytes()).unwrap();
            assert_eq!(request.server_name(), Some("localhost"));
            let authenticator =
                authenticate(&mut connection.server, pending.as_bytes(), &pki.server);
            let validated = validate(
                &mut connection.client,
                pending,
                &authenticator,
                &pki.authority,
            );
            let validated = validated.unwrap();
            validated.leaf().has_name("localhost").unwrap();
            assert_eq!(validated.leaf().has_name("another"), Err(PathError::Name));
            assert_eq!(validated.context(), context);
        }
    }
}

#[test]
fn client_validates_spontaneous_authenticator() {
    let pki = Pki::new();
    for context in [&[][..], &[7; 255]] {
        for mut connection in connections() {
            let authenticator =
                authenticate_spontaneously(&mut connection.server, context, &pki.server);
            let parsed = Authenticator::parse(&authenticator).unwrap();
            assert_eq!(parsed.context(), Some(context));
            let validated =
                validate_spontaneous(&mut connection.client, &authenticator, &pki.authority);
            let validated = validated.unwrap();
            assert_eq!(validated.leaf().as_der(), pki.server.certificate);
            assert_eq!(validated.context(), context);
            assert_eq!(connection.client.contexts_left(), 15);
            assert_eq!(connection.server.contexts_left(), 15);
        }
    }
}

#[test]
fn reports_empty_authenticator_of_either_side() {
    let pki = Pki::new();
    for (hash_len, [mut one, mut two]) in [
        (32, [Connection::new(1), Connection::new(1)]),
        (48, [Connection::sha384(1), Connection::sha384(1)]),
    ] {
        let pending = create_request(&mut one.server, &parameters(CONTEXT));
        let empty = decline(&mut one.client, pending.as_bytes());
        assert_eq!(empty.len(), 4 + hash_len);
        assert_eq!(Authenticator::parse(&empty).unwrap().context(), None);
        let result = validate(&mut one.server, pending, &empty, &pki.authority);
        assert_eq!(result.unwrap_err(), ValidateError::Empty);

        let pending = create_request(&mut two.client, &parameters(CONTEXT));
        let empty_of_server = decline(&mut two.server, pending.as_bytes());
        assert_ne!(empty_of_server, empty);
        let result = validate(&mut two.client, pending, &empty_of_server, &pki.authority);
        assert_eq!(result.unwrap_err(), ValidateError::Empty);
    }
}

/// Several requests are pending at once in both directions, and their authenticators arrive in another order.
#[test]
fn validates_concurrent_requests_in_any_order() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let contexts = [b"one", b"two", b"six"];
    let server_requests =
        contexts.map(|context| create_request(&mut connection.server, &parameters(context)));
    let contexts = [b"ONE", b"TWO", b"SIX"];
    let client_requests =
        contexts.map(|context| create_request(&mut connection.client, &parameters(context)));
    let spontaneous = authenticate_spontaneously(&mut connection.server, b"unasked", &pki.server);
    for pending in server_requests.into_iter().rev() {
        let authenticator = authenticate(&mut connection.client, pending.as_bytes(), &pki.client);
        validate(
            &mut connection.server,
            pending,
            &authenticator,
            &pki.authority,
        )
        .unwrap();
    }
    for pending in client_requests {
        let authenticator = authenticate(&mut connection.server, pending.as_bytes(), &pki.server);
        validate(
            &mut connection.client,
            pending,
            &authenticator,
            &pki.authority,
        )
        .unwrap();
    }
    validate_spontaneous(&mut connection.client, &spontaneous, &pki.authority).unwrap();
    assert_eq!(connection.client.contexts_left(), 16 - 7);
    assert_eq!(connection.server.contexts_left(), 16 - 7);
}

#[test]
fn validates_chain_with_intermediates_in_any_order() {
    let root = Authority::new("root").unwrap();
    let above = root.subordinate("above").unwrap();
    let below = above.subordinate("below").unwrap();
    let identity = client_of(&below);
    let leaf = identity.certificate.as_slice();
    // The intermediates in any order, and with the root.
    for behind in [
        &[below.certificate(), above.certificate()][..],
        &[above.certificate(), below.certificate()],
        &[below.certificate(), above.certificate(), root.certificate()],
    ] {
        let certificates = [&[leaf], behind].concat();
        let chain = CertificateChain::new(&certificates, P256);
        let mut connection = Connection::new(1);
        let pending = create_request(&mut connection.server, &parameters(CONTEXT));
        let request = Request::parse(pending.as_bytes()).unwrap();
        let mut out = [0; 4096];
        let unsigned = (connection.client).authenticate(&request, &chain, &mut out);
        let authenticator = sign(unsigned.unwrap(), &identity.key);
        let validated = validate(&mut connection.server, pending, &authenticator, &root).unwrap();
        assert_eq!(validated.leaf().as_der(), leaf);
        let entries = validated.entries().map(|entry| entry.certificate);
        assert!(entries.eq(certificates));
    }
}

/// Extensions that were requested are sent with the leaf, and others are left out.
#[test]
fn sends_only_requested_extensions_with_leaf() {
    let pki = Pki::new();
    let certificates = [
        pki.server.certificate.as_slice(),
        pki.authority.certificate(),
    ];
    let extension = |extension_type, data| Extension {
        extension_type,
        data,
    };
    let own = [
        extension(
            ExtensionType::SIGNED_CERTIFICATE_TIMESTAMP,
            &b"timestamps"[..],
        ),
        extension(ExtensionType::STATUS_REQUEST, b"an OCSP response"),
        extension(ExtensionType::SIGNATURE_ALGORITHMS, b"of requests only"),
        extension(ExtensionType(0xfe00), b""),
    ];
    let mut chain = CertificateChain::new(&certificates, P256);
    chain.extensions = &own;
    let expected = |types: &[ExtensionType]| -> Vec<Extension<'static>> {
        let own = own.iter().copied();
        own.filter(|one| types.contains(&one.extension_type))
            .collect()
    };
    let assert_extensions = |validated: &Validated<'_>, expected: &[Extension<'_>]| {
        let mut entries = validated.entries();
        let of_leaf = entries.next().unwrap().extensions;
        assert!(of_leaf.eq(expected.iter().copied()));
        let status = of_leaf.find(ExtensionType::STATUS_REQUEST);
        assert_eq!(
            status.is_some(),
            expected.iter().any(|one| one.data.starts_with(b"an OCSP"))
        );
        assert_eq!(entries.next().unwrap().extensions.count(), 0);
    };
    let unknown = ExtensionType(0xfe00);
    let mut out = [0; 4096];
    for types in [
        &[][..],
        &[ExtensionType::STATUS_REQUEST],
        &[unknown, ExtensionType::STATUS_REQUEST],
        &[ExtensionType::SIGNED_CERTIFICATE_TIMESTAMP],
    ] {
        let requested: Vec<_> = types.iter().map(|&one| extension(one, b"")).collect();
        let mut parameters = parameters(CONTEXT);
        parameters.other = &requested;
        let mut connection = Connection::new(1);
        let pending = create_request(&mut connection.client, &parameters);
        let request = Request::parse(pending.as_bytes()).unwrap();
        let unsigned = (connection.server).authenticate(&request, &chain, &mut out);
        let authenticator = sign(unsigned.unwrap(), &pki.server.key);
        let validated = validate(
            &mut connection.client,
            pending,
            &authenticator,
            &pki.authority,
        );
        assert_extensions(&validated.unwrap(), &expected(types));
    }
    // In a spontaneous authenticator, the extensions that the ClientHello had.
    let mut connection = Connection::new(1);
    let server = &mut connection.server;
    let unsigned = server.authenticate_spontaneously(CONTEXT, &OFFERED, &chain, &mut out);
    let authenticator = sign(unsigned.unwrap(), &pki.server.key);
    let validated = validate_spontaneous(&mut connection.client, &authenticator, &pki.authority);
    assert_extensions(
        &validated.unwrap(),
        &expected(&[ExtensionType::STATUS_REQUEST]),
    );
}

/// Validates a client's authenticator for a request without extensions by `rules`, and passes it to `then`.
fn validated_by<T>(
    identity: &Issued,
    rules: &PathRules<'_>,
    then: impl FnOnce(&Validated<'_>) -> T,
) -> Result<T, ValidateError> {
    let mut connection = Connection::new(1);
    let pending = create_request(&mut connection.server, &parameters(CONTEXT));
    let authenticator = authenticate(&mut connection.client, pending.as_bytes(), identity);
    let validated = connection.server.validate(pending, &authenticator, rules)?;
    Ok(then(&validated))
}

#[test]
fn exposes_names_and_subject_of_validated_leaf() {
    let authority = Authority::new("authority").unwrap();
    let identity = authority.issue(|params| {
        for_clients(params);
        params.subject_alt_names = vec![
            SanType::DnsName("device.example".try_into().unwrap()),
            SanType::URI("spiffe://example/device/7".try_into().unwrap()),
            SanType::IpAddress([192, 0, 2, 7].into()),
            SanType::IpAddress("2001:db8::7".parse().unwrap()),
            SanType::Rfc822Name("device@example".try_into().unwrap()),
        ];
        params
            .distinguished_name
            .push(DnType::CommonName, "Gerät 7");
    });
    let identity = identity.unwrap();
    let anchors = Anchors::new(&[authority.certificate()]).unwrap();
    let rules = PathRules::new(&anchors, Usage::ClientAuth, now());
    validated_by(&identity, &rules, |validated| {
        let leaf = validated.leaf();
        let names: Vec<_> = leaf.subject_alt_names().collect();
        let expected = [
            SubjectAltName::Dns("device.example"),
            SubjectAltName::Uri("spiffe://example/device/7"),
            SubjectAltName::Ip([192, 0, 2, 7].into()),
            SubjectAltName::Ip("2001:db8::7".parse().unwrap()),
            SubjectAltName::Email("device@example"),
        ];
        assert_eq!(names, expected);
        assert_eq!(leaf.common_name(), Some("Gerät 7"));
        // SEQUENCE { SET { SEQUENCE { 2.5.4.3, UTF8String } } }
        let subject = [
            b"\x30\x13\x31\x11\x30\x0f\x06\x03\x55\x04\x03\x0c\x08",
            "Gerät 7".as_bytes(),
        ];
        assert_eq!(leaf.subject(), subject.concat());
        leaf.has_name("device.example").unwrap();
        leaf.has_name("192.0.2.7").unwrap();
        leaf.has_name("2001:db8::7").unwrap();
    })
    .unwrap();
}

#[test]
fn enforces_spki_pin() {
    let pki = Pki::new();
    let anchors = Anchors::new(&[pki.authority.certificate()]).unwrap();
    let rules = PathRules::new(&anchors, Usage::ClientAuth, now());
    let right = spki_sha256(&pki.client.certificate).unwrap();
    let wrong = spki_sha256(&pki.server.certificate).unwrap();
    let result = validated_by(&pki.client, &rules.with_spki_pin(&right), |_| ());
    assert_eq!(result, Ok(()));
    let result = validated_by(&pki.client, &rules.with_spki_pin(&wrong), |_| ());
    assert_eq!(result, Err(PathError::Pin.into()));
}

#[test]
fn checks_validity_with_known_earliest_or_unknown_time() {
    let authority = Authority::new("authority").unwrap();
    let identity = authority.issue(|params| {
        for_clients(params);
        params.not_before = date_time_ymd(2030, 1, 1);
        params.not_after = date_time_ymd(2040, 1, 1);
    });
    let identity = identity.unwrap();
    let anchors = Anchors::new(&[authority.certificate()]).unwrap();
    let validate_at = |time| {
        let rules = PathRules::new(&anchors, Usage::ClientAuth, time);
        validated_by(&identity, &rules, |_| ())
    };
    const IN_2029: u64 = 1_861_920_000;
    const IN_2041: u64 = 2_240_524_800;
    assert_eq!(validate_at(Time::dangerous_unknown()), Ok(()));
    assert_eq!(validate_at(Time::NotBefore(IN_2029)), Ok(()));
    let early = validate_at(Time::At(IN_2029)).unwrap_err();
    assert!(matches!(
        early,
        ValidateError::Path(PathError::NotYetValid { .. })
    ));
    for time in [Time::At(IN_2041), Time::NotBefore(IN_2041)] {
        let late = validate_at(time).unwrap_err();
        assert!(matches!(
            late,
            ValidateError::Path(PathError::Expired { .. })
        ));
    }
}

#[test]
fn validates_every_signature_scheme_of_the_host() {
    for (algorithm, schemes) in [
        (&PKCS_ECDSA_P256_SHA256, &[P256][..]),
        (
            &PKCS_ECDSA_P384_SHA384,
            &[SignatureScheme::ECDSA_SECP384R1_SHA384],
        ),
        (&PKCS_ED25519, &[SignatureScheme::ED25519]),
        (
            &PKCS_RSA_SHA256,
            &[
                SignatureScheme::RSA_PSS_RSAE_SHA256,
                SignatureScheme::RSA_PSS_RSAE_SHA384,
                SignatureScheme::RSA_PSS_RSAE_SHA512,
            ],
        ),
    ] {
        let identity = OtherKey::new(algorithm);
        let certificates = [identity.certificate.as_slice()];
        for &scheme in schemes {
            for mut connection in connections() {
                // Certificates with RSA keys are signed with PKCS #1.
                let in_certificates = [SignatureScheme::RSA_PKCS1_SHA256, scheme];
                let offered = [scheme];
                let mut parameters = RequestParameters::new(CONTEXT, &offered);
                parameters.signature_algorithms_cert = &in_certificates;
                let pending = create_request(&mut connection.server, &parameters);
                let request = Request::parse(pending.as_bytes()).unwrap();
                let chain = CertificateChain::new(&certificates, scheme);
                let mut out = [0; 4096];
                let unsigned = (connection.client).authenticate(&request, &chain, &mut out);
                let unsigned = unsigned.unwrap();
                assert_eq!(unsigned.scheme(), scheme);
                let signature = identity.sign(scheme, unsigned.content());
                let authenticator = unsigned.sign(&signature).unwrap();
                let validated = identity
                    .validate_as_server(&mut connection.server, pending, authenticator)
                    .unwrap();
                assert_eq!(validated.scheme(), scheme);
                assert_eq!(validated.leaf().as_der(), identity.certificate);
            }
        }
    }
}
