//! Certificate paths on P-256 by core, whose signatures are verified when webpki has found its way, against webpki with aws-lc-rs, which
//! verifies each at once.

use chanbind::tls;
use chanbind_core::x509::{Anchors, PathError, PathRules, Time, Usage};
use chanbind_host_tests::pki::Authority;
use std::time::{SystemTime, UNIX_EPOCH};

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Time::At(since.as_secs())
}

/// What both say, which is the same.
fn verdict(anchors: &[&[u8]], leaf: &[u8], intermediates: &[&[u8]]) -> Result<(), PathError> {
    let anchors = Anchors::new(anchors).unwrap();
    let rules = PathRules::new(&anchors, Usage::ServerAuth, now());
    let verify = |rules: &PathRules<'_>| rules.verify(leaf, intermediates).map(|_| ());
    let ours = verify(&rules);
    let theirs = verify(&rules.with_algorithms(tls::signature_algorithms()));
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?} {theirs:?}");
    ours
}

#[test]
fn authorities_of_one_name_are_all_tried() {
    let [real, namesake, third] = ["one name"; 3].map(|name| Authority::new(name).unwrap());
    let leaf = real.issue(|_| {}).unwrap().certificate;
    let [real, namesake, third] = [&real, &namesake, &third].map(Authority::certificate);
    for anchors in [
        &[real][..],
        &[real, namesake],
        &[namesake, real],
        &[namesake, third, real],
        &[namesake, namesake, third, real],
    ] {
        assert_eq!(verdict(anchors, &leaf, &[]), Ok(()));
    }
    for anchors in [&[namesake][..], &[namesake, third]] {
        let refused = verdict(anchors, &leaf, &[]);
        assert!(
            matches!(
                refused,
                Err(PathError::Signature | PathError::UnknownIssuer)
            ),
            "{refused:?}"
        );
    }
}

#[test]
fn intermediates_of_one_name_are_all_tried() {
    let root = Authority::new("root").unwrap();
    let real = root.subordinate("intermediate").unwrap();
    // One of the same name and authority with another key, and one that an impostor signed.
    let other = root.subordinate("intermediate").unwrap();
    let impostor = Authority::new("root").unwrap();
    let forged = impostor.subordinate("intermediate").unwrap();
    let leaf = real.issue(|_| {}).unwrap().certificate;
    let leaf_of_forged = forged.issue(|_| {}).unwrap().certificate;
    let anchors = [root.certificate()];
    let [real, other, forged] = [&real, &other, &forged].map(Authority::certificate);
    for intermediates in [
        &[real][..],
        &[other, real],
        &[forged, other, real],
        &[real, forged],
        &[other, forged, other, real],
    ] {
        assert_eq!(verdict(&anchors, &leaf, intermediates), Ok(()));
    }
    for (leaf, intermediates) in [
        (&leaf, &[][..]),
        (&leaf, &[other]),
        (&leaf, &[forged]),
        (&leaf_of_forged, &[forged]),
        (&leaf_of_forged, &[forged, real, other]),
    ] {
        assert!(verdict(&anchors, leaf, intermediates).is_err());
    }
    assert_eq!(
        verdict(&anchors, &leaf, &[real; 5]),
        Err(PathError::TooManyIntermediates)
    );
}

/// Whatever bit is changed in a path, both say the same of it; and hardly ever that it is right.
#[test]
fn every_bit_of_a_path_counts() {
    let root = Authority::new("root").unwrap();
    let intermediate = root.subordinate("intermediate").unwrap();
    let leaf = intermediate.issue(|_| {}).unwrap().certificate;
    let intermediate = intermediate.certificate();
    let anchors = [root.certificate()];
    assert_eq!(verdict(&anchors, &leaf, &[intermediate]), Ok(()));
    for bit in 0..leaf.len() * 8 {
        let mut changed = leaf.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(
            verdict(&anchors, &changed, &[intermediate]).is_err(),
            "{bit}"
        );
    }
    for bit in 0..intermediate.len() * 8 {
        let mut changed = intermediate.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(verdict(&anchors, &leaf, &[&changed]).is_err(), "{bit}");
        // With the right one beside it, it is in nobody's way.
        if bit % 32 == 0 {
            assert_eq!(verdict(&anchors, &leaf, &[&changed, intermediate]), Ok(()));
        }
    }
}
