//! Compares the verification of certificate paths on P-256 by core, which verifies signatures after webpki has found a path, with
//! webpki on aws-lc-rs, which verifies each signature during the search.
#![cfg(test)]

use chanbind::tls;
use chanbind_core::x509::{Anchors, PathError, PathRules, Time, Usage};
use chanbind_host_tests::pki::Authority;
use std::time::{SystemTime, UNIX_EPOCH};

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Time::At(since.as_secs())
}

/// Returns the result of core, and asserts that webpki with aws-lc-rs has the same result.
fn verdict(anchors: &[&[u8]], leaf: &[u8], intermediates: &[&[u8]]) -> Result<(), PathError> {
    let anchors = Anchors::new(anchors).unwrap();
    let rules = PathRules::new(&anchors, Usage::ServerAuth, now());
    let verify = |rules: &PathRules<'_>| {
        rules
            .verify(leaf, intermediates.iter().copied())
            .map(|_| ())
    };
    let by_core = verify(&rules);
    let by_webpki = verify(&rules.with_algorithms(tls::signature_algorithms()));
    // For an invalid encoding of a point, aws-lc-rs only reports an invalid signature.
    if (by_core, by_webpki) != (Err(PathError::PublicKey), Err(PathError::Signature)) {
        assert_eq!(by_core, by_webpki);
    }
    by_core
}

#[test]
fn tries_all_anchors_of_the_same_name() {
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
fn tries_all_intermediates_of_the_same_name() {
    let root = Authority::new("root").unwrap();
    let real = root.subordinate("intermediate").unwrap();
    // An intermediate of the same name and authority with another key, and one that an impostor has signed.
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
    // Repetitions of a certificate count once.
    assert_eq!(verdict(&anchors, &leaf, &[real; 50]), Ok(()));
}

/// RFC 8446 section 4.4.2 demands that unneeded certificates, the root, and any order are tolerated.
#[test]
fn ignores_unneeded_certificates_in_any_order() {
    let mut chain = vec![Authority::new("root").unwrap()];
    for number in 0..5 {
        let last = chain.last().unwrap();
        let next = last.subordinate(&format!("between {number}")).unwrap();
        chain.push(next);
    }
    let others: Vec<_> = (0..20)
        .map(|number| Authority::new(&format!("other {number}")).unwrap())
        .collect();
    let ders = |authorities: &[Authority]| -> Vec<Vec<u8>> {
        let certificates = authorities.iter().map(Authority::certificate);
        certificates.map(<[u8]>::to_vec).collect()
    };
    let (chain_ders, other_ders) = (ders(&chain), ders(&others));
    let anchors = [chain[0].certificate()];
    let malformed = vec![0x30; 100];
    for between in 0..=5 {
        let leaf = chain[between].issue(|_| {}).unwrap().certificate;
        let expected = match between {
            5 => Err(PathError::TooManyIntermediates),
            _ => Ok(()),
        };
        let mut needed: Vec<&[u8]> = chain_ders[1..=between].iter().map(|one| &**one).collect();
        assert_eq!(verdict(&anchors, &leaf, &needed), expected);
        // The root is sent as well.
        needed.insert(0, &chain_ders[0]);
        assert_eq!(verdict(&anchors, &leaf, &needed), expected);
        let mut all: Vec<&[u8]> = other_ders.iter().map(|one| &**one).collect();
        all.insert(3, &malformed);
        all.extend(needed);
        assert_eq!(verdict(&anchors, &leaf, &all), expected);
        all.reverse();
        assert_eq!(verdict(&anchors, &leaf, &all), expected);
        if between > 0 {
            let missing: Vec<_> = all
                .into_iter()
                .filter(|one| *one != &*chain_ders[between])
                .collect();
            assert_eq!(
                verdict(&anchors, &leaf, &missing),
                Err(PathError::UnknownIssuer)
            );
        }
    }
}

#[test]
fn rejects_too_many_intermediates_of_the_same_name() {
    let root = Authority::new("root").unwrap();
    let namesakes: Vec<_> = (0..9)
        .map(|_| root.subordinate("one name").unwrap())
        .collect();
    let leaf = namesakes[0].issue(|_| {}).unwrap().certificate;
    let mut sent: Vec<_> = namesakes.iter().map(Authority::certificate).collect();
    sent.reverse();
    let anchors = [root.certificate()];
    assert_eq!(verdict(&anchors, &leaf, &sent[1..]), Ok(()));
    assert_eq!(
        verdict(&anchors, &leaf, &sent),
        Err(PathError::TooManyIntermediates)
    );
}

/// Libraries of the host also verify with compressed keys. Here both verifiers reject them for the same reason, which RFC 5480
/// section 2.2 allows.
#[test]
fn rejects_compressed_public_keys() {
    let root = Authority::new("root").unwrap();
    let between = root.subordinate("between").unwrap();
    let leaf = between.issue(|_| {}).unwrap().certificate;
    let compressed = between.compressed(&root).unwrap();
    let anchors = [root.certificate()];
    let refused = Err(PathError::PublicKey);
    assert_eq!(verdict(&anchors, &leaf, &[&compressed]), refused);
    // The uncompressed certificate next to it is found.
    let both: [&[u8]; 2] = [&compressed, between.certificate()];
    assert_eq!(verdict(&anchors, &leaf, &both), Ok(()));
    // A compressed key in a leaf and in an anchor.
    let subordinate = between.compressed(&root).unwrap();
    let leaf_of_root = root.compressed_leaf().unwrap();
    assert_eq!(verdict(&anchors, &leaf_of_root, &[]), refused);
    let anchor = root.compressed(&root).unwrap();
    assert_eq!(Anchors::new(&[&anchor]).err(), Some(PathError::PublicKey));
    assert!(Anchors::new(&[&subordinate]).is_err());
}

/// Searches that exhaust webpki's budget before the signatures are verified are stored inputs of the fuzz target
/// `certificate_path`.
#[test]
fn finds_path_if_all_intermediates_have_the_same_name() {
    let root = Authority::new("root").unwrap();
    let impostor = Authority::new("root").unwrap();
    // All intermediates have the same name, which is also their issuer's, so that all orders are tried below each anchor.
    let first = root.subordinate("one name").unwrap();
    let mut chain = vec![first];
    for _ in 0..3 {
        let next = chain.last().unwrap().subordinate("one name").unwrap();
        chain.push(next);
    }
    let leaf = chain[3].issue(|_| {}).unwrap().certificate;
    let sent: Vec<_> = chain.iter().map(Authority::certificate).collect();
    let anchors = [impostor.certificate(), root.certificate()];
    assert_eq!(verdict(&anchors, &leaf, &sent), Ok(()));
}

/// Whichever bit of a path is changed, both verifiers reject it with the same result.
#[test]
fn rejects_path_with_any_flipped_bit() {
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
        // The changed intermediate does no harm next to the right one.
        if bit % 32 == 0 {
            assert_eq!(verdict(&anchors, &leaf, &[&changed, intermediate]), Ok(()));
        }
    }
}

/// Counts steps instead of time: each sent certificate is read a bounded number of times, independent of their number.
#[test]
fn candidate_selection_takes_linear_time() {
    use std::cell::Cell;
    let root = Authority::new("root").unwrap();
    let mut chain = vec![root.subordinate("between 0").unwrap()];
    for number in 1..4 {
        let last = chain.last().unwrap();
        let next = last.subordinate(&format!("between {number}")).unwrap();
        chain.push(next);
    }
    let leaf = chain[3].issue(|_| {}).unwrap().certificate;
    let other = Authority::new("other").unwrap();
    let anchors = [root.certificate()];
    let anchors = Anchors::new(&anchors).unwrap();
    let rules = PathRules::new(&anchors, Usage::ServerAuth, now());
    let steps = |others: usize| {
        let mut sent = vec![other.certificate(); others];
        // An order in which each round finds one more certificate.
        sent.extend(chain.iter().map(Authority::certificate));
        let steps = Cell::new(0usize);
        let counted = sent.iter().copied().inspect(|_| steps.set(steps.get() + 1));
        rules.verify(&leaf, counted).unwrap();
        steps.get()
    };
    let (one, two) = (steps(1_000), steps(2_000));
    assert!(two < 2 * one, "{one}, {two}");
    assert!(one <= 10 * 1_004, "{one}");
}
