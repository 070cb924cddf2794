//! Certificates that do or do not match a request (RFC 9261 section 5.2.1).

use super::*;
use rcgen::KeyUsagePurpose;
use rustls::{RootCertStore, pki_types::CertificateDer};

const P384: SignatureScheme = SignatureScheme::ECDSA_SECP384R1_SHA384;
const KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1d, 0x0f];
const EXTENDED_KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1d, 0x25];
/// id-kp-serverAuth
const SERVER_AUTH: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
/// id-kp-clientAuth
const CLIENT_AUTH: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2];
/// anyExtendedKeyUsage
const ANY: &[u8] = &[6, 4, 0x55, 0x1d, 0x25, 0];

/// Checks these certificates against a client's request, and asserts that the server creates an authenticator only if they match,
/// and otherwise uses no context.
fn check_chain(
    parameters: &RequestParameters<'_>,
    certificates: &[&[u8]],
) -> Result<(), Unsuitable> {
    let mut client = Connection::new(1).client;
    let request = create_request(&mut client, parameters).as_bytes().to_vec();
    let request = Request::parse(&request).unwrap();
    let chain = CertificateChain::new(certificates, P256);
    let expected = request.is_satisfied_by(&chain);
    let mut server = Connection::new(1).server;
    let mut out = [0; 4096];
    let actual = (server.authenticate(&request, &chain, &mut out)).map(|_| ());
    assert_eq!(actual, expected.map_err(AuthenticateError::from));
    let used = usize::from(expected.is_ok());
    assert_eq!(server.contexts_left(), 16 - used);
    if expected.is_err() {
        server.decline(&request, &mut out).unwrap();
    }
    expected
}

fn check_certificate(
    parameters: &RequestParameters<'_>,
    identity: &Issued,
) -> Result<(), Unsuitable> {
    check_chain(parameters, &[&identity.certificate])
}

fn name_of(authority: &Authority) -> Vec<u8> {
    let mut store = RootCertStore::empty();
    let certificate = CertificateDer::from(authority.certificate());
    store.add(certificate).unwrap();
    store.subjects()[0].as_ref().to_vec()
}

/// The endpoint rejects a certificate that does not match the request, even if the certificate is valid.
#[test]
fn validate_rejects_certificates_that_do_not_match_request() {
    let root = Authority::new("root").unwrap();
    let subordinate = root.subordinate("subordinate").unwrap();
    let other = Authority::new("another").unwrap();
    let identity = subordinate.issue(|_| {}).unwrap();
    let (root_name, subordinate_name) = (name_of(&root), name_of(&subordinate));
    let other_name = name_of(&other);
    let verdict = |name, filters: &[OidFilter<'_>], authorities: &[&[u8]]| {
        let mut parameters = parameters(CONTEXT);
        parameters.server_name = name;
        parameters.oid_filters = filters;
        parameters.certificate_authorities = authorities;
        let mut client = Connection::new(1).client;
        let pending = create_request(&mut client, &parameters);
        let request = pending.as_bytes().to_vec();
        let mut maker = Maker::new(Side::Server, &request, CONTEXT, &identity);
        // The last certificate is of the other authority, and the path does not need it.
        for certificate in [subordinate.certificate(), other.certificate()] {
            maker.entries.push((certificate.to_vec(), Vec::new()));
        }
        validate(&mut client, pending, &maker.make(), &root).map(|_| ())
    };
    let server_auth = [&[0x30, 10][..], SERVER_AUTH].concat();
    let client_auth = [&[0x30, 10][..], CLIENT_AUTH].concat();
    let unsuitable = |reason| Err(ValidateError::Unsuitable(reason));

    assert_eq!(verdict(None, &[], &[]), Ok(()));
    assert_eq!(verdict(Some("localhost"), &[], &[]), Ok(()));
    let elsewhere = verdict(Some("other.example"), &[], &[]);
    assert_eq!(elsewhere, unsuitable(Unsuitable::ServerName));
    for (oid, values, expected) in [
        (KEY_USAGE, &[3, 2, 7, 0x80][..], Ok(())),
        (KEY_USAGE, &[3, 2, 3, 0x88], unsuitable(Unsuitable::Usage)),
        (EXTENDED_KEY_USAGE, &server_auth, Ok(())),
        (
            EXTENDED_KEY_USAGE,
            &client_auth,
            unsuitable(Unsuitable::Usage),
        ),
    ] {
        assert_eq!(verdict(None, &[OidFilter { oid, values }], &[]), expected);
    }
    for (name, expected) in [
        (&root_name, Ok(())),
        (&subordinate_name, Ok(())),
        (&other_name, Err(PathError::Authority.into())),
    ] {
        assert_eq!(verdict(None, &[], &[name]), expected);
    }
}

#[test]
fn matches_requested_certificate_authorities() {
    let root = Authority::new("root").unwrap();
    let subordinate = root.subordinate("subordinate").unwrap();
    let identity = subordinate.issue(|_| {}).unwrap();
    let (root_name, subordinate_name) = (name_of(&root), name_of(&subordinate));
    let other_name = name_of(&Authority::new("another").unwrap());
    let chain = [identity.certificate.as_slice(), subordinate.certificate()];
    let check = |names: &[&[u8]], certificates: &[&[u8]]| {
        let mut parameters = parameters(CONTEXT);
        parameters.certificate_authorities = names;
        check_chain(&parameters, certificates)
    };
    let refused = Err(Unsuitable::Authority);
    assert_eq!(check(&[], &chain), Ok(()));
    assert_eq!(check(&[&root_name], &chain), Ok(()));
    assert_eq!(check(&[&subordinate_name], &chain), Ok(()));
    assert_eq!(check(&[&other_name, &subordinate_name], &chain), Ok(()));
    assert_eq!(check(&[&other_name], &chain), refused);
    // Without the intermediate, the chain does not show that the root is above it.
    assert_eq!(check(&[&root_name], &chain[..1]), refused);
    assert_eq!(check(&[&root_name[1..]], &chain), refused);
    let longer = [&*root_name, &[0]].concat();
    assert_eq!(check(&[&longer], &chain), refused);
}

#[test]
fn matches_requested_key_usages() {
    let authority = Authority::new("authority").unwrap();
    let issue = |usages: &[KeyUsagePurpose]| {
        authority
            .issue(|params| params.key_usages = usages.to_vec())
            .unwrap()
    };
    let none = issue(&[]);
    let sign = issue(&[KeyUsagePurpose::DigitalSignature]);
    let all = issue(&[
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyAgreement,
        KeyUsagePurpose::DecipherOnly,
    ]);
    let check = |values: &[u8], identity| {
        let mut parameters = parameters(CONTEXT);
        let filters = [OidFilter {
            oid: KEY_USAGE,
            values,
        }];
        parameters.oid_filters = &filters;
        check_certificate(&parameters, identity)
    };
    let refused = Err(Unsuitable::Usage);
    // Without values, the extension only has to be present.
    assert_eq!(check(&[], &none), refused);
    assert_eq!(check(&[], &sign), Ok(()));
    // digitalSignature alone, with keyAgreement, and with decipherOnly, which is the ninth bit.
    for (values, by_sign) in [
        (&[3, 2, 7, 0x80][..], Ok(())),
        (&[3, 2, 3, 0x88], refused),
        (&[3, 3, 7, 0x80, 0x80], refused),
        (&[3, 3, 7, 0x00, 0x80], refused),
        (&[3, 1, 0], Ok(())),
    ] {
        assert_eq!(check(values, &none), refused, "{values:02x?}");
        assert_eq!(check(values, &sign), by_sign, "{values:02x?}");
        assert_eq!(check(values, &all), Ok(()), "{values:02x?}");
    }
    // keyCertSign, which no certificate has.
    assert_eq!(check(&[3, 2, 2, 4], &all), refused);
    // Values that are not a BIT STRING.
    for values in [&[3][..], &[3, 0], &[3, 9, 7, 0x80], &[4, 2, 7, 0x80], &[0]] {
        assert_eq!(check(values, &all), refused, "{values:02x?}");
    }
}

#[test]
fn matches_requested_extended_key_usages() {
    let authority = Authority::new("authority").unwrap();
    let issue = |usages: &[ExtendedKeyUsagePurpose]| {
        authority
            .issue(|params| params.extended_key_usages = usages.to_vec())
            .unwrap()
    };
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    let none = issue(&[]);
    let server = issue(&[ServerAuth]);
    let both = issue(&[ClientAuth, ServerAuth]);
    let any = issue(&[Any]);
    let check = |values: &[u8], identity| {
        let mut parameters = parameters(CONTEXT);
        let filters = [OidFilter {
            oid: EXTENDED_KEY_USAGE,
            values,
        }];
        parameters.oid_filters = &filters;
        check_certificate(&parameters, identity)
    };
    let sequence = |parts: &[&[u8]]| {
        let parts = parts.concat();
        [&[0x30, u8::try_from(parts.len()).unwrap()], &*parts].concat()
    };
    let refused = Err(Unsuitable::Usage);
    assert_eq!(check(&[], &none), refused);
    assert_eq!(check(&[], &server), Ok(()));
    let of_server = sequence(&[SERVER_AUTH]);
    let of_both = sequence(&[SERVER_AUTH, CLIENT_AUTH]);
    let of_any = sequence(&[ANY]);
    assert_eq!(check(&of_server, &none), refused);
    assert_eq!(check(&of_server, &server), Ok(()));
    assert_eq!(check(&of_server, &both), Ok(()));
    assert_eq!(check(&of_server, &any), refused);
    assert_eq!(check(&of_both, &server), refused);
    assert_eq!(check(&of_both, &both), Ok(()));
    assert_eq!(check(&of_any, &both), refused);
    // Values that are not a SEQUENCE OF OBJECT IDENTIFIER.
    for values in [&of_server[1..], &of_server[..5], &[0x30, 1, 6], SERVER_AUTH] {
        assert_eq!(check(values, &both), refused, "{values:02x?}");
    }
}

/// "The client MUST ignore and skip any unrecognized certificate extension OIDs" (RFC 8446 section 4.2.5).
#[test]
fn ignores_unknown_oid_filters() {
    let pki = Pki::new();
    let subject_alt_name = &[6, 3, 0x55, 0x1d, 0x11];
    let check = |filters: &[OidFilter<'_>]| {
        let mut parameters = parameters(CONTEXT);
        parameters.oid_filters = filters;
        check_certificate(&parameters, &pki.server)
    };
    let filter = |oid, values| OidFilter { oid, values };
    let unknown = [
        filter(&[6, 3, 0x2a, 3, 4], &[][..]),
        filter(&[6, 3, 0x2a, 3, 5], b"anything"),
        filter(subject_alt_name, b"anything"),
        filter(&[6, 0], &[]),
    ];
    assert_eq!(check(&unknown), Ok(()));
    // They are skipped, and the next filter is checked.
    let next = [unknown[0], filter(KEY_USAGE, &[3, 2, 2, 4])];
    assert_eq!(check(&next), Err(Unsuitable::Usage));
    let next = [filter(KEY_USAGE, &[3, 2, 7, 0x80]), unknown[1]];
    assert_eq!(check(&next), Ok(()));
    // A filter without a valid OBJECT IDENTIFIER is not met by any certificate.
    assert_eq!(check(&[filter(&[5], &[])]), Err(Unsuitable::Usage));
}

#[test]
fn matches_requested_certificate_signature_algorithms() {
    let root = Authority::new("root").unwrap();
    let subordinate = root.subordinate("subordinate").unwrap();
    let identity = subordinate.issue(|_| {}).unwrap();
    let chain = [
        identity.certificate.as_slice(),
        subordinate.certificate(),
        root.certificate(),
    ];
    let check = |cert: &[SignatureScheme], certificates: &[&[u8]]| {
        let mut parameters = parameters(CONTEXT);
        parameters.signature_algorithms_cert = cert;
        check_chain(&parameters, certificates)
    };
    let refused = Err(Unsuitable::CertificateSignature);
    for count in 1..=3 {
        assert_eq!(check(&[], &chain[..count]), Ok(()));
        assert_eq!(check(&[P384, P256], &chain[..count]), Ok(()));
        assert_eq!(check(&[P384], &chain[..count]), refused);
    }
    // A certificate that is signed with another algorithm than the leaf.
    let other = OtherKey::new(&rcgen::PKCS_ED25519);
    let mixed = [identity.certificate.as_slice(), &other.certificate];
    assert_eq!(check(&[], &mixed), refused);
    let ed25519 = SignatureScheme::ED25519;
    assert_eq!(check(&[P256, ed25519], &mixed), Ok(()));
    assert_eq!(check(&[ed25519], &mixed), refused);
    // The signature of a self-signed certificate is not checked.
    let root = [identity.certificate.as_slice(), &other.authority];
    assert_eq!(check(&[], &root), Ok(()));
}

#[test]
fn matches_requested_server_name() {
    let authority = Authority::new("authority").unwrap();
    let identity = authority
        .issue(|params| {
            let names = ["gateway.example", "*.wild.example"];
            let names = names.map(|name| rcgen::SanType::DnsName(name.try_into().unwrap()));
            params.subject_alt_names = names.to_vec();
        })
        .unwrap();
    let check = |name| {
        let mut parameters = parameters(CONTEXT);
        parameters.server_name = Some(name);
        check_certificate(&parameters, &identity)
    };
    for name in ["gateway.example", "GATEWAY.example", "one.wild.example"] {
        assert_eq!(check(name), Ok(()), "{name}");
    }
    for name in [
        "example",
        "a.gateway.example",
        "wild.example",
        "one.two.wild.example",
        "*.wild.example",
        ".",
    ] {
        assert_eq!(check(name), Err(Unsuitable::ServerName), "{name}");
    }
}

#[test]
fn rejects_invalid_certificates_in_own_chain() {
    let pki = Pki::new();
    let refused = Err(Unsuitable::Certificate);
    let parameters = parameters(CONTEXT);
    assert_eq!(check_chain(&parameters, &[]), refused);
    let certificate = pki.server.certificate.as_slice();
    for bytes in [&[][..], b"no certificate", &certificate[..100]] {
        assert_eq!(check_chain(&parameters, &[bytes]), refused);
        assert_eq!(check_chain(&parameters, &[certificate, bytes]), refused);
    }
}

/// Every peer would reject such an authenticator, so it is not created.
#[test]
fn spontaneous_rejects_invalid_certificates_in_own_chain() {
    let pki = Pki::new();
    let certificate = pki.server.certificate.as_slice();
    let mut out = [0; 4096];
    for certificates in [&[&[][..]][..], &[certificate, &[]], &[b"no certificate"]] {
        let chain = CertificateChain::new(certificates, P256);
        let mut server = Connection::new(1).server;
        let refused = server.authenticate_spontaneously(CONTEXT, &OFFERED, &chain, &mut out);
        let expected = AuthenticateError::Unsuitable(Unsuitable::Certificate);
        assert_eq!(refused.map(|_| ()), Err(expected));
    }
}

/// Every peer would reject such an authenticator as malformed, so it is not created.
#[test]
fn rejects_duplicate_extensions_of_own_chain() {
    let pki = Pki::new();
    let status = Extension {
        extension_type: ExtensionType::STATUS_REQUEST,
        data: b"an answer",
    };
    let mut parameters = parameters(CONTEXT);
    let requested = [Extension {
        data: &[],
        ..status
    }];
    parameters.other = &requested;
    let request = request_with(&parameters);
    let request = Request::parse(&request).unwrap();
    let certificates = [pki.client.certificate.as_slice()];
    let twice = [status, status];
    let mut chain = CertificateChain::new(&certificates, P256);
    chain.extensions = &twice;
    let mut out = [0; 4096];
    let mut client = Connection::new(1).client;
    let refused = client.authenticate(&request, &chain, &mut out);
    assert!(refused.is_err());
}

/// RFC 9261 section 5.2.1 demands also of spontaneous authenticators that certificates are signed with algorithms that the peer
/// offered.
#[test]
fn spontaneous_rejects_certificate_signature_algorithm_not_offered() {
    let pki = Pki::new();
    let other = OtherKey::new(&rcgen::PKCS_ED25519);
    let certificates = [pki.server.certificate.as_slice(), &other.certificate];
    let chain = CertificateChain::new(&certificates, P256);
    let mut out = [0; 4096];
    let mut server = Connection::new(1).server;
    let refused = server.authenticate_spontaneously(CONTEXT, &OFFERED, &chain, &mut out);
    let expected = AuthenticateError::Unsuitable(Unsuitable::CertificateSignature);
    assert_eq!(refused.map(|_| ()), Err(expected));
}
