//! Certificates that are rejected although the sender has their keys.

use super::*;
use chanbind_core::crypto::ecdsa::{P256 as Verifier, PUBLIC_KEY_LEN, RUST_CRYPTO};
use rcgen::{
    CidrSubnet, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, KeyUsagePurpose,
    NameConstraints, SanType, date_time_ymd,
};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Validates a client's authenticator with the certificate of `identity`, followed by the certificates `behind`.
fn verdict_of(
    authority: &Authority,
    identity: &Issued,
    behind: &[&[u8]],
) -> Result<(), ValidateError> {
    let request = request();
    let mut maker = Maker::new(Side::Client, &request, CONTEXT, identity);
    let behind = behind.iter().map(|one| (one.to_vec(), Vec::new()));
    maker.entries.extend(behind);
    verdict_with(&parameters(CONTEXT), authority, &maker.make())
}

fn assert_rejected(change: impl FnOnce(&mut CertificateParams), expected: PathError) {
    let authority = Authority::new("authority").unwrap();
    let identity = authority
        .issue(|params| {
            for_clients(params);
            change(params);
        })
        .unwrap();
    assert_eq!(verdict_of(&authority, &identity, &[]), Err(expected.into()));
}

#[test]
fn rejects_certificate_of_other_authority() {
    let (ours, other) = (
        Authority::new("authority").unwrap(),
        Authority::new("authority").unwrap(),
    );
    let identity = client_of(&other);
    // An authority of the same name with another key.
    let expected = Err(PathError::Signature.into());
    assert_eq!(verdict_of(&ours, &identity, &[]), expected);
    assert_eq!(
        verdict_of(&ours, &identity, &[other.certificate()]),
        expected
    );
    let other = Authority::new("another authority").unwrap();
    let identity = client_of(&other);
    let expected = Err(PathError::UnknownIssuer.into());
    assert_eq!(verdict_of(&ours, &identity, &[]), expected);
    assert_eq!(
        verdict_of(&ours, &identity, &[other.certificate()]),
        expected
    );
    assert_eq!(
        verdict_of(&ours, &identity, &[ours.certificate()]),
        expected
    );
}

#[test]
fn rejects_self_signed_certificate() {
    let authority = Authority::new("authority").unwrap();
    let identity = Issued::self_signed(for_clients).unwrap();
    let expected = Err(PathError::UnknownIssuer.into());
    assert_eq!(verdict_of(&authority, &identity, &[]), expected);
}

#[test]
fn rejects_expired_and_not_yet_valid_certificates() {
    let authority = Authority::new("authority").unwrap();
    let expired = authority
        .issue(|params| {
            for_clients(params);
            params.not_after = date_time_ymd(2020, 1, 1);
        })
        .unwrap();
    let result = verdict_of(&authority, &expired, &[]);
    let Err(ValidateError::Path(PathError::Expired { not_after, .. })) = result else {
        panic!("{result:?}");
    };
    assert_eq!(not_after, 1_577_836_800);
    let early = authority
        .issue(|params| {
            for_clients(params);
            params.not_before = date_time_ymd(2100, 1, 1);
        })
        .unwrap();
    let result = verdict_of(&authority, &early, &[]);
    let Err(ValidateError::Path(PathError::NotYetValid { not_before, .. })) = result else {
        panic!("{result:?}");
    };
    assert_eq!(not_before, 4_102_444_800);
}

#[test]
fn rejects_server_certificate_of_client_and_vice_versa() {
    let pki = Pki::new();
    let result = verdict_of(&pki.authority, &pki.server, &[]);
    assert_eq!(result, Err(PathError::Usage.into()));

    let mut client = Connection::new(1).client;
    let authenticator = Maker::new(Side::Server, &[], CONTEXT, &pki.client).make();
    // The endpoint overrules the usage ClientAuth of the given rules.
    let result = validate_spontaneous(&mut client, &authenticator, &pki.authority);
    assert_eq!(result.unwrap_err(), PathError::Usage.into());
    let pending = create_request(&mut client, &parameters(CONTEXT));
    let request = pending.as_bytes().to_vec();
    let authenticator = Maker::new(Side::Server, &request, CONTEXT, &pki.client).make();
    let result = validate(&mut client, pending, &authenticator, &pki.authority);
    assert_eq!(result.unwrap_err(), PathError::Usage.into());
}

#[test]
fn rejects_certificates_for_other_usages() {
    assert_rejected(
        |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning],
        PathError::Usage,
    );
    assert_rejected(
        |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any],
        PathError::Usage,
    );
    for usages in [
        vec![KeyUsagePurpose::KeyAgreement],
        vec![KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::CrlSign],
        vec![KeyUsagePurpose::DecipherOnly],
    ] {
        assert_rejected(|params| params.key_usages = usages, PathError::Usage);
    }
}

#[test]
fn rejects_ca_certificate_as_leaf() {
    assert_rejected(
        |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        },
        PathError::CaOrLeaf,
    );
}

#[test]
fn rejects_unknown_critical_extension() {
    let custom = |critical| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(critical);
        extension
    };
    assert_rejected(
        |params| params.custom_extensions = vec![custom(true)],
        PathError::Certificate,
    );
    let authority = Authority::new("authority").unwrap();
    let identity = authority.issue(|params| {
        for_clients(params);
        params.custom_extensions = vec![custom(false)];
    });
    assert_eq!(verdict_of(&authority, &identity.unwrap(), &[]), Ok(()));
}

#[test]
fn rejects_more_than_four_intermediates() {
    let root = Authority::new("root").unwrap();
    let mut chain = vec![root];
    for number in 0..5 {
        let last = chain.last().unwrap();
        let next = last.subordinate(&format!("subordinate {number}")).unwrap();
        chain.push(next);
    }
    for (count, expected) in [
        (4, Ok(())),
        (5, Err(PathError::TooManyIntermediates.into())),
    ] {
        let identity = client_of(&chain[count]);
        let behind: Vec<_> = (1..=count)
            .rev()
            .map(|at| chain[at].certificate())
            .collect();
        assert_eq!(verdict_of(&chain[0], &identity, &behind), expected);
    }
    // The root can also be sent.
    let identity = client_of(&chain[4]);
    let mut behind: Vec<_> = (1..=4).rev().map(|at| chain[at].certificate()).collect();
    behind.push(chain[0].certificate());
    assert_eq!(verdict_of(&chain[0], &identity, &behind), Ok(()));
}

#[test]
fn rejects_missing_or_non_ca_intermediate() {
    let root = Authority::new("root").unwrap();
    let subordinate = root.subordinate("subordinate").unwrap();
    let identity = client_of(&subordinate);
    let link = subordinate.certificate();
    assert_eq!(verdict_of(&root, &identity, &[link]), Ok(()));
    let unknown = Err(PathError::UnknownIssuer.into());
    assert_eq!(verdict_of(&root, &identity, &[]), unknown);
    let other = root.subordinate("another").unwrap();
    assert_eq!(
        verdict_of(&root, &identity, &[other.certificate()]),
        unknown
    );

    let leaf = client_of(&root);
    let identity = leaf.issue(for_clients).unwrap();
    let result = verdict_of(&root, &identity, &[&leaf.certificate]);
    assert_eq!(result, Err(PathError::CaOrLeaf.into()));
}

/// The first entry is the leaf, whatever follows it.
#[test]
fn rejects_leaf_that_is_not_first_entry() {
    let pki = Pki::new();
    let request = request();
    let mut maker = maker(&pki, &request);
    let other = client_of(&pki.authority);
    maker.entries.insert(0, (other.certificate, Vec::new()));
    let result = verdict(&pki, &maker.make());
    assert_eq!(result, Err(ValidateError::CertificateVerify));
    let authority = pki.authority.certificate();
    maker.entries[0].0 = authority.to_vec();
    let result = verdict(&pki, &maker.make());
    assert_eq!(result, Err(PathError::CaOrLeaf.into()));
}

/// An authority that may sign for some names signs for others. Every kind of name that identifies the peer is covered, not only
/// DNS names.
#[test]
fn rejects_names_outside_name_constraints() {
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let email = |name: &str| SanType::Rfc822Name(name.try_into().unwrap());
    let permitted = |subtree| NameConstraints {
        permitted_subtrees: vec![subtree],
        excluded_subtrees: vec![],
    };
    let cases = [
        (
            permitted(GeneralSubtree::DnsName("example".into())),
            dns("device.example"),
            true,
        ),
        (
            permitted(GeneralSubtree::DnsName("example".into())),
            dns("device.other"),
            false,
        ),
        (
            permitted(GeneralSubtree::IpAddress(CidrSubnet::V4(
                [10, 0, 0, 0],
                [255, 0, 0, 0],
            ))),
            SanType::IpAddress([11, 0, 0, 1].into()),
            false,
        ),
        (
            permitted(GeneralSubtree::Rfc822Name("example".into())),
            email("someone@other"),
            false,
        ),
        (
            NameConstraints {
                permitted_subtrees: vec![],
                excluded_subtrees: vec![GeneralSubtree::DnsName("example".into())],
            },
            dns("device.example"),
            false,
        ),
    ];
    for (constraints, name, accepted) in cases {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.name_constraints = Some(constraints);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::default();
        for_clients(&mut params);
        params.subject_alt_names = vec![name.clone()];
        let key = KeyPair::generate().unwrap();
        let identity = OtherKey {
            certificate: params.signed_by(&key, &root).unwrap().der().to_vec(),
            authority: root.der().to_vec(),
            key,
        };
        let mut server = Connection::new(1).server;
        let pending = create_request(&mut server, &parameters(CONTEXT));
        let request = pending.as_bytes().to_vec();
        let pki = Pki::new();
        let mut maker = maker(&pki, &request);
        maker.entries[0].0.clone_from(&identity.certificate);
        maker.signer = Box::new(|message| identity.sign(P256, message));
        let authenticator = maker.make();
        let result = identity
            .validate_as_server(&mut server, pending, &authenticator)
            .map(|_| ());
        let expected = if accepted {
            Ok(())
        } else {
            Err(PathError::Constraints.into())
        };
        assert_eq!(result, expected, "{name:?}");
    }
}

/// The certificate is of the right authority, but has another key than the pinned one.
#[test]
fn rejects_certificate_with_key_that_is_not_pinned() {
    let pki = Pki::new();
    let request = request();
    let authenticator = maker(&pki, &request).make();
    let anchors = Anchors::new(&[pki.authority.certificate()]).unwrap();
    let pin = chanbind_core::x509::spki_sha256(&pki.server.certificate).unwrap();
    let rules = PathRules::new(&anchors, Usage::ClientAuth, now()).with_spki_pin(&pin);
    let mut server = Connection::new(1).server;
    let pending = create_request(&mut server, &parameters(CONTEXT));
    let result = server.validate(pending, &authenticator, &rules);
    assert_eq!(result.unwrap_err(), PathError::Pin.into());
}

/// A P-256 verifier that counts its calls.
#[derive(Debug)]
struct Counting(AtomicUsize);

impl Verifier for Counting {
    fn verify(
        &self,
        public_key: &[u8; PUBLIC_KEY_LEN],
        digest: &[u8; 32],
        signature: &Signature,
    ) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        RUST_CRYPTO.verify(public_key, digest, signature)
    }
}

/// Returns the number of signature verifications that a peer causes with four authorities that have the name of the trusted one,
/// but are not signed by it: every order of them is a path to try. A device takes about 0.1 s for each signature, and a device
/// that does not know the time starts again for each certificate that is not yet valid. `first_year` returns the first year of
/// validity of each authority.
fn verifications(first_year: impl Fn(i32) -> i32, time: Time) -> usize {
    static COUNTING: Counting = Counting(AtomicUsize::new(0));
    let trusted = Authority::new("authority").unwrap();
    let others: Vec<_> = (0..4)
        .map(|number| {
            let mut params = CertificateParams::default();
            let name = &mut params.distinguished_name;
            name.push(DnType::CommonName, "authority");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.not_before = date_time_ymd(first_year(number), 1, 1);
            let key = KeyPair::generate().unwrap();
            CertifiedIssuer::self_signed(params, key).unwrap()
        })
        .collect();
    let identity = client_of(&Authority::new("authority").unwrap());
    let request = request();
    let mut maker = Maker::new(Side::Client, &request, CONTEXT, &identity);
    let behind = others.iter().map(|one| (one.der().to_vec(), Vec::new()));
    maker.entries.extend(behind);
    let authenticator = maker.make();
    let anchors = Anchors::new(&[trusted.certificate()]).unwrap();
    let rules = PathRules::new(&anchors, Usage::ClientAuth, time).with_p256(&COUNTING);
    let mut server = Connection::new(1).server;
    let pending = create_request(&mut server, &parameters(CONTEXT));
    COUNTING.0.store(0, Ordering::Relaxed);
    server
        .validate(pending, &authenticator, &rules)
        .unwrap_err();
    COUNTING.0.load(Ordering::Relaxed)
}

#[test]
fn limits_signature_verifications_caused_by_peer() {
    let known = verifications(|_| 2000, now());
    let unknown = verifications(|number| 2030 + number, Time::dangerous_unknown());
    // webpki tries 1 + 4 + 4 * 3 + 4 * 3 * 2 + 4 * 3 * 2 paths, and without a time also those of the 0, 1, 2 and 3 authorities
    // that are valid earlier. Each signature in them is verified at most once.
    assert_eq!([known, unknown], [16, 18]);
}
