//! Certificates that are not accepted, of senders who have their keys.

use super::*;
use chanbind_core::crypto::ecdsa::{P256 as Verifier, PUBLIC_KEY_LEN, RUST_CRYPTO};
use rcgen::{
    CidrSubnet, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, KeyUsagePurpose,
    NameConstraints, SanType, date_time_ymd,
};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A client with this certificate, and these behind it.
fn verdict_of(authority: &Authority, who: &Issued, behind: &[&[u8]]) -> Result<(), ValidateError> {
    let request = request();
    let mut maker = Maker::new(Side::Client, &request, CONTEXT, who);
    let behind = behind.iter().map(|one| (one.to_vec(), Vec::new()));
    maker.entries.extend(behind);
    verdict_with(&parameters(CONTEXT), authority, &maker.make())
}

fn refused_as(change: impl FnOnce(&mut CertificateParams), expected: PathError) {
    let authority = Authority::new("authority").unwrap();
    let who = authority
        .issue(|params| {
            for_clients(params);
            change(params);
        })
        .unwrap();
    assert_eq!(verdict_of(&authority, &who, &[]), Err(expected.into()));
}

#[test]
fn of_another_authority() {
    let (ours, other) = (
        Authority::new("authority").unwrap(),
        Authority::new("authority").unwrap(),
    );
    let who = client_of(&other);
    // Of the same name, with another key.
    let expected = Err(PathError::Signature.into());
    assert_eq!(verdict_of(&ours, &who, &[]), expected);
    assert_eq!(verdict_of(&ours, &who, &[other.certificate()]), expected);
    let other = Authority::new("another authority").unwrap();
    let who = client_of(&other);
    let expected = Err(PathError::UnknownIssuer.into());
    assert_eq!(verdict_of(&ours, &who, &[]), expected);
    assert_eq!(verdict_of(&ours, &who, &[other.certificate()]), expected);
    assert_eq!(verdict_of(&ours, &who, &[ours.certificate()]), expected);
}

#[test]
fn signed_by_itself() {
    let authority = Authority::new("authority").unwrap();
    let who = Issued::self_signed(for_clients).unwrap();
    let expected = Err(PathError::UnknownIssuer.into());
    assert_eq!(verdict_of(&authority, &who, &[]), expected);
}

#[test]
fn expired_and_not_yet_valid() {
    let authority = Authority::new("authority").unwrap();
    let expired = authority
        .issue(|params| {
            for_clients(params);
            params.not_after = date_time_ymd(2020, 1, 1);
        })
        .unwrap();
    let said = verdict_of(&authority, &expired, &[]);
    let Err(ValidateError::Path(PathError::Expired { not_after, .. })) = said else {
        panic!("{said:?}");
    };
    assert_eq!(not_after, 1_577_836_800);
    let early = authority
        .issue(|params| {
            for_clients(params);
            params.not_before = date_time_ymd(2100, 1, 1);
        })
        .unwrap();
    let said = verdict_of(&authority, &early, &[]);
    let Err(ValidateError::Path(PathError::NotYetValid { not_before, .. })) = said else {
        panic!("{said:?}");
    };
    assert_eq!(not_before, 4_102_444_800);
}

#[test]
fn for_servers_from_a_client_and_the_reverse() {
    let pki = Pki::new();
    let said = verdict_of(&pki.authority, &pki.server, &[]);
    assert_eq!(said, Err(PathError::Usage.into()));

    let mut client = Connection::new(1).client;
    let made = Maker::new(Side::Server, &[], CONTEXT, &pki.client).make();
    // The rules that are given say ClientAuth, and are overruled.
    let said = judge_spontaneous(&mut client, &made, &pki.authority);
    assert_eq!(said.unwrap_err(), PathError::Usage.into());
    let pending = ask(&mut client, &parameters(CONTEXT));
    let request = pending.as_bytes().to_vec();
    let made = Maker::new(Side::Server, &request, CONTEXT, &pki.client).make();
    let said = judge(&mut client, pending, &made, &pki.authority);
    assert_eq!(said.unwrap_err(), PathError::Usage.into());
}

#[test]
fn for_other_usages() {
    refused_as(
        |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning],
        PathError::Usage,
    );
    refused_as(
        |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any],
        PathError::Usage,
    );
    for usages in [
        vec![KeyUsagePurpose::KeyAgreement],
        vec![KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::CrlSign],
        vec![KeyUsagePurpose::DecipherOnly],
    ] {
        refused_as(|params| params.key_usages = usages, PathError::Usage);
    }
}

#[test]
fn an_authoritys_own() {
    refused_as(
        |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        },
        PathError::CaOrLeaf,
    );
}

#[test]
fn with_a_critical_extension_that_is_not_known() {
    let custom = |critical| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(critical);
        extension
    };
    refused_as(
        |params| params.custom_extensions = vec![custom(true)],
        PathError::Certificate,
    );
    let authority = Authority::new("authority").unwrap();
    let who = authority.issue(|params| {
        for_clients(params);
        params.custom_extensions = vec![custom(false)];
    });
    assert_eq!(verdict_of(&authority, &who.unwrap(), &[]), Ok(()));
}

#[test]
fn five_intermediates() {
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
        let who = client_of(&chain[count]);
        let behind: Vec<_> = (1..=count)
            .rev()
            .map(|at| chain[at].certificate())
            .collect();
        assert_eq!(verdict_of(&chain[0], &who, &behind), expected);
    }
    // The root may be sent too.
    let who = client_of(&chain[4]);
    let mut behind: Vec<_> = (1..=4).rev().map(|at| chain[at].certificate()).collect();
    behind.push(chain[0].certificate());
    assert_eq!(verdict_of(&chain[0], &who, &behind), Ok(()));
}

#[test]
fn a_link_that_is_missing_or_may_not_sign() {
    let root = Authority::new("root").unwrap();
    let subordinate = root.subordinate("subordinate").unwrap();
    let who = client_of(&subordinate);
    let link = subordinate.certificate();
    assert_eq!(verdict_of(&root, &who, &[link]), Ok(()));
    let unknown = Err(PathError::UnknownIssuer.into());
    assert_eq!(verdict_of(&root, &who, &[]), unknown);
    let other = root.subordinate("another").unwrap();
    assert_eq!(verdict_of(&root, &who, &[other.certificate()]), unknown);

    let leaf = client_of(&root);
    let who = leaf.issue(for_clients).unwrap();
    let said = verdict_of(&root, &who, &[&leaf.certificate]);
    assert_eq!(said, Err(PathError::CaOrLeaf.into()));
}

/// The leaf is the first, whatever stands behind it.
#[test]
fn the_leaf_behind_another() {
    let pki = Pki::new();
    let request = request();
    let mut maker = maker(&pki, &request);
    let other = client_of(&pki.authority);
    maker.entries.insert(0, (other.certificate, Vec::new()));
    let said = verdict(&pki, &maker.make());
    assert_eq!(said, Err(ValidateError::CertificateVerify));
    let authority = pki.authority.certificate();
    maker.entries[0].0 = authority.to_vec();
    let said = verdict(&pki, &maker.make());
    assert_eq!(said, Err(PathError::CaOrLeaf.into()));
}

/// An authority that may sign for some names signs for others: what is handed out as identity is covered, DNS names or not.
#[test]
fn outside_name_constraints() {
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
        let who = OtherKey {
            certificate: params.signed_by(&key, &root).unwrap().der().to_vec(),
            authority: root.der().to_vec(),
            key,
        };
        let mut server = Connection::new(1).server;
        let pending = ask(&mut server, &parameters(CONTEXT));
        let request = pending.as_bytes().to_vec();
        let pki = Pki::new();
        let mut maker = maker(&pki, &request);
        maker.entries[0].0.clone_from(&who.certificate);
        maker.signer = Box::new(|message| who.sign(P256, message));
        let made = maker.make();
        let said = who.judge(&mut server, pending, &made).map(|_| ());
        let expected = if accepted {
            Ok(())
        } else {
            Err(PathError::Constraints.into())
        };
        assert_eq!(said, expected, "{name:?}");
    }
}

/// A certificate of the right authority, and not the one that is expected.
#[test]
fn with_another_key_than_the_pinned_one() {
    let pki = Pki::new();
    let request = request();
    let made = maker(&pki, &request).make();
    let anchors = Anchors::new(&[pki.authority.certificate()]).unwrap();
    let pin = chanbind_core::x509::spki_sha256(&pki.server.certificate).unwrap();
    let rules = PathRules::new(&anchors, Usage::ClientAuth, now()).with_spki_pin(&pin);
    let mut server = Connection::new(1).server;
    let pending = ask(&mut server, &parameters(CONTEXT));
    let said = server.validate(pending, &made, &rules);
    assert_eq!(said.unwrap_err(), PathError::Pin.into());
}

/// Counts what is verified.
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

/// Four authorities that have the name of the trusted one, and that it has not signed: every order of them is a path to try. A device
/// takes some 0.1 s for each signature, and one that knows no time begins anew for each certificate that has not begun.
fn verifications(begin: impl Fn(i32) -> i32, time: Time) -> usize {
    static COUNTING: Counting = Counting(AtomicUsize::new(0));
    let trusted = Authority::new("authority").unwrap();
    let others: Vec<_> = (0..4)
        .map(|number| {
            let mut params = CertificateParams::default();
            let name = &mut params.distinguished_name;
            name.push(DnType::CommonName, "authority");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.not_before = date_time_ymd(begin(number), 1, 1);
            let key = KeyPair::generate().unwrap();
            CertifiedIssuer::self_signed(params, key).unwrap()
        })
        .collect();
    let who = client_of(&Authority::new("authority").unwrap());
    let request = request();
    let mut maker = Maker::new(Side::Client, &request, CONTEXT, &who);
    let behind = others.iter().map(|one| (one.der().to_vec(), Vec::new()));
    maker.entries.extend(behind);
    let made = maker.make();
    let anchors = Anchors::new(&[trusted.certificate()]).unwrap();
    let rules = PathRules::new(&anchors, Usage::ClientAuth, time).with_p256(&COUNTING);
    let mut server = Connection::new(1).server;
    let pending = ask(&mut server, &parameters(CONTEXT));
    COUNTING.0.store(0, Ordering::Relaxed);
    server.validate(pending, &made, &rules).unwrap_err();
    COUNTING.0.load(Ordering::Relaxed)
}

#[test]
fn the_work_that_a_peer_can_cause() {
    let known = verifications(|_| 2000, now());
    let unknown = verifications(|number| 2030 + number, Time::dangerous_unknown());
    // webpki tries 1 + 4 + 4 * 3 + 4 * 3 * 2 + 4 * 3 * 2 paths, and without a time those of 0, 1, 2 and 3 that have begun before. Each
    // signature in them is verified once at most.
    assert_eq!([known, unknown], [16, 18]);
}
