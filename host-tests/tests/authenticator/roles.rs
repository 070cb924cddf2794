//! What works: both roles, asked and unasked, empty or not, with every hash and every kind of key.

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

/// A connection of each hash.
fn connections() -> [Connection; 2] {
    [Connection::new(1), Connection::sha384(1)]
}

#[test]
fn a_client_authenticates() {
    let pki = Pki::new();
    for context in [&[][..], &[7], &[7; 16], &[7; 255]] {
        for mut connection in connections() {
            let pending = ask(&mut connection.server, &parameters(context));
            assert_eq!(pending.context(), context);
            let request = Request::parse(pending.as_bytes()).unwrap();
            assert_eq!(request.context(), context);
            let made = answer(&mut connection.client, pending.as_bytes(), &pki.client);
            let read = Authenticator::parse(&made).unwrap();
            assert_eq!(read.context(), Some(context));
            let validated = judge(&mut connection.server, pending, &made, &pki.authority);
            let validated = validated.unwrap();
            assert_eq!(validated.leaf().as_der(), pki.client.certificate);
            assert_eq!(validated.context(), context);
            assert_eq!(validated.scheme(), P256);
            assert_eq!(validated.entries().count(), 1);
        }
    }
}

#[test]
fn a_server_authenticates_by_the_name_that_is_asked_for() {
    let pki = Pki::new();
    for context in [&[][..], &[7; 255]] {
        for mut connection in connections() {
            let mut parameters = parameters(context);
            parameters.server_name = Some("localhost");
            let pending = ask(&mut connection.client, &parameters);
            let request = Request::parse(pending.as_bytes()).unwrap();
            assert_eq!(request.server_name(), Some("localhost"));
            let made = answer(&mut connection.server, pending.as_bytes(), &pki.server);
            let validated = judge(&mut connection.client, pending, &made, &pki.authority);
            let validated = validated.unwrap();
            validated.leaf().has_name("localhost").unwrap();
            assert_eq!(validated.leaf().has_name("another"), Err(PathError::Name));
            assert_eq!(validated.context(), context);
        }
    }
}

#[test]
fn a_server_authenticates_unasked() {
    let pki = Pki::new();
    for context in [&[][..], &[7; 255]] {
        for mut connection in connections() {
            let made = spontaneous(&mut connection.server, context, &pki.server);
            let read = Authenticator::parse(&made).unwrap();
            assert_eq!(read.context(), Some(context));
            let validated = judge_spontaneous(&mut connection.client, &made, &pki.authority);
            let validated = validated.unwrap();
            assert_eq!(validated.leaf().as_der(), pki.server.certificate);
            assert_eq!(validated.context(), context);
            assert_eq!(connection.client.contexts_left(), 15);
            assert_eq!(connection.server.contexts_left(), 15);
        }
    }
}

#[test]
fn either_side_declines() {
    let pki = Pki::new();
    for (hash_len, [mut one, mut two]) in [
        (32, [Connection::new(1), Connection::new(1)]),
        (48, [Connection::sha384(1), Connection::sha384(1)]),
    ] {
        let pending = ask(&mut one.server, &parameters(CONTEXT));
        let empty = decline(&mut one.client, pending.as_bytes());
        assert_eq!(empty.len(), 4 + hash_len);
        assert_eq!(Authenticator::parse(&empty).unwrap().context(), None);
        let said = judge(&mut one.server, pending, &empty, &pki.authority);
        assert_eq!(said.unwrap_err(), ValidateError::Empty);

        let pending = ask(&mut two.client, &parameters(CONTEXT));
        let empty_of_server = decline(&mut two.server, pending.as_bytes());
        assert_ne!(empty_of_server, empty);
        let said = judge(&mut two.client, pending, &empty_of_server, &pki.authority);
        assert_eq!(said.unwrap_err(), ValidateError::Empty);
    }
}

/// Several are under way at once, both ways, and their answers come in another order.
#[test]
fn several_at_once() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let contexts = [b"one", b"two", b"six"];
    let of_server = contexts.map(|context| ask(&mut connection.server, &parameters(context)));
    let contexts = [b"ONE", b"TWO", b"SIX"];
    let of_client = contexts.map(|context| ask(&mut connection.client, &parameters(context)));
    let unasked = spontaneous(&mut connection.server, b"unasked", &pki.server);
    for pending in of_server.into_iter().rev() {
        let made = answer(&mut connection.client, pending.as_bytes(), &pki.client);
        judge(&mut connection.server, pending, &made, &pki.authority).unwrap();
    }
    for pending in of_client {
        let made = answer(&mut connection.server, pending.as_bytes(), &pki.server);
        judge(&mut connection.client, pending, &made, &pki.authority).unwrap();
    }
    judge_spontaneous(&mut connection.client, &unasked, &pki.authority).unwrap();
    assert_eq!(connection.client.contexts_left(), 16 - 7);
    assert_eq!(connection.server.contexts_left(), 16 - 7);
}

#[test]
fn a_chain_with_intermediates() {
    let root = Authority::new("root").unwrap();
    let above = root.subordinate("above").unwrap();
    let below = above.subordinate("below").unwrap();
    let who = client_of(&below);
    let leaf = who.certificate.as_slice();
    // In any order, and with the root's own.
    for behind in [
        &[below.certificate(), above.certificate()][..],
        &[above.certificate(), below.certificate()],
        &[below.certificate(), above.certificate(), root.certificate()],
    ] {
        let certificates = [&[leaf], behind].concat();
        let chain = CertificateChain::new(&certificates, P256);
        let mut connection = Connection::new(1);
        let pending = ask(&mut connection.server, &parameters(CONTEXT));
        let request = Request::parse(pending.as_bytes()).unwrap();
        let mut out = [0; 4096];
        let unsigned = (connection.client).authenticate(&request, &chain, &mut out);
        let made = sign(unsigned.unwrap(), &who.key);
        let validated = judge(&mut connection.server, pending, &made, &root).unwrap();
        assert_eq!(validated.leaf().as_der(), leaf);
        let entries = validated.entries().map(|entry| entry.certificate);
        assert!(entries.eq(certificates));
    }
}

/// What was asked for goes with the leaf; what was not is left out.
#[test]
fn extensions_of_the_entry() {
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
        extension(ExtensionType::STATUS_REQUEST, b"an OCSP answer"),
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
    let handed_out = |validated: &Validated<'_>, expected: &[Extension<'_>]| {
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
        let pending = ask(&mut connection.client, &parameters);
        let request = Request::parse(pending.as_bytes()).unwrap();
        let unsigned = (connection.server).authenticate(&request, &chain, &mut out);
        let made = sign(unsigned.unwrap(), &pki.server.key);
        let validated = judge(&mut connection.client, pending, &made, &pki.authority);
        handed_out(&validated.unwrap(), &expected(types));
    }
    // Unasked: what the ClientHello had.
    let mut connection = Connection::new(1);
    let server = &mut connection.server;
    let unsigned = server.authenticate_spontaneously(CONTEXT, &OFFERED, &chain, &mut out);
    let made = sign(unsigned.unwrap(), &pki.server.key);
    let validated = judge_spontaneous(&mut connection.client, &made, &pki.authority);
    handed_out(
        &validated.unwrap(),
        &expected(&[ExtensionType::STATUS_REQUEST]),
    );
}

/// A client's answer to a server that asks for nothing in particular, validated by `rules`.
fn validated_by<T>(
    who: &Issued,
    rules: &PathRules<'_>,
    then: impl FnOnce(&Validated<'_>) -> T,
) -> Result<T, ValidateError> {
    let mut connection = Connection::new(1);
    let pending = ask(&mut connection.server, &parameters(CONTEXT));
    let made = answer(&mut connection.client, pending.as_bytes(), who);
    let validated = connection.server.validate(pending, &made, rules)?;
    Ok(then(&validated))
}

#[test]
fn the_identity() {
    let authority = Authority::new("authority").unwrap();
    let who = authority.issue(|params| {
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
    let who = who.unwrap();
    let anchors = Anchors::new(&[authority.certificate()]).unwrap();
    let rules = PathRules::new(&anchors, Usage::ClientAuth, now());
    validated_by(&who, &rules, |validated| {
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
fn a_pin() {
    let pki = Pki::new();
    let anchors = Anchors::new(&[pki.authority.certificate()]).unwrap();
    let rules = PathRules::new(&anchors, Usage::ClientAuth, now());
    let right = spki_sha256(&pki.client.certificate).unwrap();
    let wrong = spki_sha256(&pki.server.certificate).unwrap();
    let said = validated_by(&pki.client, &rules.with_spki_pin(&right), |_| ());
    assert_eq!(said, Ok(()));
    let said = validated_by(&pki.client, &rules.with_spki_pin(&wrong), |_| ());
    assert_eq!(said, Err(PathError::Pin.into()));
}

#[test]
fn the_time_is_unknown_or_not_before_some() {
    let authority = Authority::new("authority").unwrap();
    let who = authority.issue(|params| {
        for_clients(params);
        params.not_before = date_time_ymd(2030, 1, 1);
        params.not_after = date_time_ymd(2040, 1, 1);
    });
    let who = who.unwrap();
    let anchors = Anchors::new(&[authority.certificate()]).unwrap();
    let said = |time| {
        let rules = PathRules::new(&anchors, Usage::ClientAuth, time);
        validated_by(&who, &rules, |_| ())
    };
    const IN_2029: u64 = 1_861_920_000;
    const IN_2041: u64 = 2_240_524_800;
    assert_eq!(said(Time::dangerous_unknown()), Ok(()));
    assert_eq!(said(Time::NotBefore(IN_2029)), Ok(()));
    let early = said(Time::At(IN_2029)).unwrap_err();
    assert!(matches!(
        early,
        ValidateError::Path(PathError::NotYetValid { .. })
    ));
    for time in [Time::At(IN_2041), Time::NotBefore(IN_2041)] {
        let late = said(time).unwrap_err();
        assert!(matches!(
            late,
            ValidateError::Path(PathError::Expired { .. })
        ));
    }
}

#[test]
fn every_kind_of_key_that_the_host_verifies() {
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
        let who = OtherKey::new(algorithm);
        let certificates = [who.certificate.as_slice()];
        for &scheme in schemes {
            for mut connection in connections() {
                // RSA's certificates are signed by PKCS #1.
                let in_certificates = [SignatureScheme::RSA_PKCS1_SHA256, scheme];
                let offered = [scheme];
                let mut parameters = RequestParameters::new(CONTEXT, &offered);
                parameters.signature_algorithms_cert = &in_certificates;
                let pending = ask(&mut connection.server, &parameters);
                let request = Request::parse(pending.as_bytes()).unwrap();
                let chain = CertificateChain::new(&certificates, scheme);
                let mut out = [0; 4096];
                let unsigned = (connection.client).authenticate(&request, &chain, &mut out);
                let unsigned = unsigned.unwrap();
                assert_eq!(unsigned.scheme(), scheme);
                let signature = who.sign(scheme, unsigned.content());
                let made = unsigned.sign(&signature).unwrap();
                let validated = who.judge(&mut connection.server, pending, made).unwrap();
                assert_eq!(validated.scheme(), scheme);
                assert_eq!(validated.leaf().as_der(), who.certificate);
            }
        }
    }
}
