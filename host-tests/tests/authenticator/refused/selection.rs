//! Whether a certificate is what is asked for (RFC 9261 section 5.2.1).

use super::*;
use rcgen::KeyUsagePurpose;
use rustls::{RootCertStore, pki_types::CertificateDer};

const P384: SignatureScheme = SignatureScheme::ECDSA_SECP384R1_SHA384;
const KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1d, 0x0f];
const EXTENDED_KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1d, 0x25];
/// id-kp-serverAuth and id-kp-clientAuth
const SERVER_AUTH: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2];
/// anyExtendedKeyUsage
const ANY: &[u8] = &[6, 4, 0x55, 0x1d, 0x25, 0];

/// Whether these certificates suit what a client asks a server for; and that what does not suit is not made, and uses nothing up.
fn suits_all(parameters: &RequestParameters<'_>, certificates: &[&[u8]]) -> Result<(), Unsuitable> {
    let mut client = Connection::new(1).client;
    let request = ask(&mut client, parameters).as_bytes().to_vec();
    let request = Request::parse(&request).unwrap();
    let chain = CertificateChain::new(certificates, P256);
    let suits = request.is_satisfied_by(&chain);
    let mut server = Connection::new(1).server;
    let mut out = [0; 4096];
    let made = (server.authenticate(&request, &chain, &mut out)).map(|_| ());
    assert_eq!(made, suits.map_err(AuthenticateError::from));
    let used = usize::from(suits.is_ok());
    assert_eq!(server.contexts_left(), 16 - used);
    if suits.is_err() {
        server.decline(&request, &mut out).unwrap();
    }
    suits
}

fn suits(parameters: &RequestParameters<'_>, who: &Issued) -> Result<(), Unsuitable> {
    suits_all(parameters, &[&who.certificate])
}

fn name_of(authority: &Authority) -> Vec<u8> {
    let mut store = RootCertStore::empty();
    let certificate = CertificateDer::from(authority.certificate());
    store.add(certificate).unwrap();
    store.subjects()[0].as_ref().to_vec()
}

/// A peer that answers with another certificate than the request asks for is rejected, however valid the certificate is.
#[test]
fn validate_rejects_answers_that_do_not_meet_the_request() {
    let root = Authority::new("root").unwrap();
    let subordinate = root.subordinate("subordinate").unwrap();
    let other = Authority::new("another").unwrap();
    let who = subordinate.issue(|_| {}).unwrap();
    let (root_name, subordinate_name) = (name_of(&root), name_of(&subordinate));
    let other_name = name_of(&other);
    let verdict = |name, filters: &[OidFilter<'_>], authorities: &[&[u8]]| {
        let mut parameters = parameters(CONTEXT);
        parameters.server_name = name;
        parameters.oid_filters = filters;
        parameters.certificate_authorities = authorities;
        let mut client = Connection::new(1).client;
        let pending = ask(&mut client, &parameters);
        let request = pending.as_bytes().to_vec();
        let mut maker = Maker::new(Side::Server, &request, CONTEXT, &who);
        // The last one is of the other authority, and the path does not need it.
        for certificate in [subordinate.certificate(), other.certificate()] {
            maker.entries.push((certificate.to_vec(), Vec::new()));
        }
        judge(&mut client, pending, &maker.make(), &root).map(|_| ())
    };
    let server_auth = [&[0x30, 10][..], SERVER_AUTH].concat();
    let client_auth = [&[0x30, 10][..], CLIENT_AUTH].concat();
    let unsuitable = |why| Err(ValidateError::Unsuitable(why));

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
fn authorities() {
    let root = Authority::new("root").unwrap();
    let subordinate = root.subordinate("subordinate").unwrap();
    let who = subordinate.issue(|_| {}).unwrap();
    let (root_name, subordinate_name) = (name_of(&root), name_of(&subordinate));
    let other_name = name_of(&Authority::new("another").unwrap());
    let chain = [who.certificate.as_slice(), subordinate.certificate()];
    let asked = |names: &[&[u8]], certificates: &[&[u8]]| {
        let mut parameters = parameters(CONTEXT);
        parameters.certificate_authorities = names;
        suits_all(&parameters, certificates)
    };
    let refused = Err(Unsuitable::Authority);
    assert_eq!(asked(&[], &chain), Ok(()));
    assert_eq!(asked(&[&root_name], &chain), Ok(()));
    assert_eq!(asked(&[&subordinate_name], &chain), Ok(()));
    assert_eq!(asked(&[&other_name, &subordinate_name], &chain), Ok(()));
    assert_eq!(asked(&[&other_name], &chain), refused);
    // Where the intermediate is left out, the root is not known to be behind it.
    assert_eq!(asked(&[&root_name], &chain[..1]), refused);
    assert_eq!(asked(&[&root_name[1..]], &chain), refused);
    let longer = [&*root_name, &[0]].concat();
    assert_eq!(asked(&[&longer], &chain), refused);
}

#[test]
fn key_usages() {
    let authority = Authority::new("authority").unwrap();
    let who = |usages: &[KeyUsagePurpose]| {
        authority
            .issue(|params| params.key_usages = usages.to_vec())
            .unwrap()
    };
    let none = who(&[]);
    let sign = who(&[KeyUsagePurpose::DigitalSignature]);
    let all = who(&[
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyAgreement,
        KeyUsagePurpose::DecipherOnly,
    ]);
    let asked = |values: &[u8], who| {
        let mut parameters = parameters(CONTEXT);
        let filters = [OidFilter {
            oid: KEY_USAGE,
            values,
        }];
        parameters.oid_filters = &filters;
        suits(&parameters, who)
    };
    let refused = Err(Unsuitable::Usage);
    // It has only to be there.
    assert_eq!(asked(&[], &none), refused);
    assert_eq!(asked(&[], &sign), Ok(()));
    // digitalSignature; with keyAgreement; with decipherOnly, the ninth.
    for (values, by_sign) in [
        (&[3, 2, 7, 0x80][..], Ok(())),
        (&[3, 2, 3, 0x88], refused),
        (&[3, 3, 7, 0x80, 0x80], refused),
        (&[3, 3, 7, 0x00, 0x80], refused),
        (&[3, 1, 0], Ok(())),
    ] {
        assert_eq!(asked(values, &none), refused, "{values:02x?}");
        assert_eq!(asked(values, &sign), by_sign, "{values:02x?}");
        assert_eq!(asked(values, &all), Ok(()), "{values:02x?}");
    }
    // keyCertSign, which none has.
    assert_eq!(asked(&[3, 2, 2, 4], &all), refused);
    // What is no BIT STRING.
    for values in [&[3][..], &[3, 0], &[3, 9, 7, 0x80], &[4, 2, 7, 0x80], &[0]] {
        assert_eq!(asked(values, &all), refused, "{values:02x?}");
    }
}

#[test]
fn extended_key_usages() {
    let authority = Authority::new("authority").unwrap();
    let who = |usages: &[ExtendedKeyUsagePurpose]| {
        authority
            .issue(|params| params.extended_key_usages = usages.to_vec())
            .unwrap()
    };
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    let none = who(&[]);
    let server = who(&[ServerAuth]);
    let both = who(&[ClientAuth, ServerAuth]);
    let any = who(&[Any]);
    let asked = |values: &[u8], who| {
        let mut parameters = parameters(CONTEXT);
        let filters = [OidFilter {
            oid: EXTENDED_KEY_USAGE,
            values,
        }];
        parameters.oid_filters = &filters;
        suits(&parameters, who)
    };
    let sequence = |parts: &[&[u8]]| {
        let parts = parts.concat();
        [&[0x30, u8::try_from(parts.len()).unwrap()], &*parts].concat()
    };
    let refused = Err(Unsuitable::Usage);
    assert_eq!(asked(&[], &none), refused);
    assert_eq!(asked(&[], &server), Ok(()));
    let of_server = sequence(&[SERVER_AUTH]);
    let of_both = sequence(&[SERVER_AUTH, CLIENT_AUTH]);
    let of_any = sequence(&[ANY]);
    assert_eq!(asked(&of_server, &none), refused);
    assert_eq!(asked(&of_server, &server), Ok(()));
    assert_eq!(asked(&of_server, &both), Ok(()));
    assert_eq!(asked(&of_server, &any), refused);
    assert_eq!(asked(&of_both, &server), refused);
    assert_eq!(asked(&of_both, &both), Ok(()));
    assert_eq!(asked(&of_any, &both), refused);
    // What is no SEQUENCE OF OBJECT IDENTIFIER.
    for values in [&of_server[1..], &of_server[..5], &[0x30, 1, 6], SERVER_AUTH] {
        assert_eq!(asked(values, &both), refused, "{values:02x?}");
    }
}

/// "The client MUST ignore and skip any unrecognized certificate extension OIDs" (RFC 8446 section 4.2.5).
#[test]
fn filters_that_are_not_known() {
    let pki = Pki::new();
    let subject_alt_name = &[6, 3, 0x55, 0x1d, 0x11];
    let asked = |filters: &[OidFilter<'_>]| {
        let mut parameters = parameters(CONTEXT);
        parameters.oid_filters = filters;
        suits(&parameters, &pki.server)
    };
    let filter = |oid, values| OidFilter { oid, values };
    let unknown = [
        filter(&[6, 3, 0x2a, 3, 4], &[][..]),
        filter(&[6, 3, 0x2a, 3, 5], b"anything"),
        filter(subject_alt_name, b"anything"),
        filter(&[6, 0], &[]),
    ];
    assert_eq!(asked(&unknown), Ok(()));
    // They are skipped, and the next is looked at.
    let next = [unknown[0], filter(KEY_USAGE, &[3, 2, 2, 4])];
    assert_eq!(asked(&next), Err(Unsuitable::Usage));
    let next = [filter(KEY_USAGE, &[3, 2, 7, 0x80]), unknown[1]];
    assert_eq!(asked(&next), Ok(()));
    // What is no OBJECT IDENTIFIER asks for nothing that there is.
    assert_eq!(asked(&[filter(&[5], &[])]), Err(Unsuitable::Usage));
}

#[test]
fn signatures_in_certificates() {
    let root = Authority::new("root").unwrap();
    let subordinate = root.subordinate("subordinate").unwrap();
    let who = subordinate.issue(|_| {}).unwrap();
    let chain = [
        who.certificate.as_slice(),
        subordinate.certificate(),
        root.certificate(),
    ];
    let asked = |cert: &[SignatureScheme], certificates: &[&[u8]]| {
        let mut parameters = parameters(CONTEXT);
        parameters.signature_algorithms_cert = cert;
        suits_all(&parameters, certificates)
    };
    let refused = Err(Unsuitable::CertificateSignature);
    for count in 1..=3 {
        assert_eq!(asked(&[], &chain[..count]), Ok(()));
        assert_eq!(asked(&[P384, P256], &chain[..count]), Ok(()));
        assert_eq!(asked(&[P384], &chain[..count]), refused);
    }
    // A certificate by another algorithm than the key's own, behind the leaf or as leaf.
    let other = OtherKey::new(&rcgen::PKCS_ED25519);
    let mixed = [who.certificate.as_slice(), &other.certificate];
    assert_eq!(asked(&[], &mixed), refused);
    let ed25519 = SignatureScheme::ED25519;
    assert_eq!(asked(&[P256, ed25519], &mixed), Ok(()));
    assert_eq!(asked(&[ed25519], &mixed), refused);
    // What signs itself is not verified.
    let root = [who.certificate.as_slice(), &other.authority];
    assert_eq!(asked(&[], &root), Ok(()));
}

#[test]
fn names() {
    let authority = Authority::new("authority").unwrap();
    let who = authority
        .issue(|params| {
            let names = ["gateway.example", "*.wild.example"];
            let names = names.map(|name| rcgen::SanType::DnsName(name.try_into().unwrap()));
            params.subject_alt_names = names.to_vec();
        })
        .unwrap();
    let asked = |name| {
        let mut parameters = parameters(CONTEXT);
        parameters.server_name = Some(name);
        suits(&parameters, &who)
    };
    for name in ["gateway.example", "GATEWAY.example", "one.wild.example"] {
        assert_eq!(asked(name), Ok(()), "{name}");
    }
    for name in [
        "example",
        "a.gateway.example",
        "wild.example",
        "one.two.wild.example",
        "*.wild.example",
        ".",
    ] {
        assert_eq!(asked(name), Err(Unsuitable::ServerName), "{name}");
    }
}

#[test]
fn what_is_no_certificate() {
    let pki = Pki::new();
    let refused = Err(Unsuitable::Certificate);
    let parameters = parameters(CONTEXT);
    assert_eq!(suits_all(&parameters, &[]), refused);
    let certificate = pki.server.certificate.as_slice();
    for bytes in [&[][..], b"no certificate", &certificate[..100]] {
        assert_eq!(suits_all(&parameters, &[bytes]), refused);
        assert_eq!(suits_all(&parameters, &[certificate, bytes]), refused);
    }
}

/// Every peer would refuse it: it is not made, and the context can be used.
#[test]
fn what_is_no_certificate_without_a_request() {
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

/// Every peer would refuse it as malformed: it is not made.
#[test]
fn extensions_of_the_own_chain_that_cannot_be_sent() {
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

/// RFC 9261 section 5.2.1 asks of spontaneous authenticators, too, that certificates be signed by what the peer has offered.
#[test]
fn signatures_in_certificates_without_a_request() {
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
