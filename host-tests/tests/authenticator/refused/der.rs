//! Certificates that an authority has signed and that no tool would make: what webpki verifies and what core reads of it must be the
//! same, or nothing.

use super::{handmade::*, *};
use chanbind_core::x509::SubjectAltName;
use rand_core::OsRng;

#[test]
fn the_handmade_one_is_accepted() {
    let world = World::new();
    let certificate = world.client.signed_by(&world.authority_key);
    let said = world.verdict_of(&certificate, |validated| {
        let names: Vec<_> = validated.leaf().subject_alt_names().collect();
        let expected = [
            SubjectAltName::Dns("device.example"),
            SubjectAltName::Ip([192, 0, 2, 1].into()),
            SubjectAltName::Uri("urn:device:1"),
        ];
        assert_eq!(names, expected);
        assert_eq!(validated.leaf().common_name(), Some("client"));
    });
    assert_eq!(said, Ok(()));
    assert_eq!(world.verdict(|_| {}), Ok(()));
    assert_eq!(world.verdict(|client| client.extensions.clear()), Ok(()));
    let empty = |client: &mut Fields| client.subject = tlv(SEQUENCE, &[]);
    assert_eq!(world.verdict(empty), Ok(()));
}

#[test]
fn fields_in_another_form() {
    let world = World::new();
    let spki = world.client.spki.clone();
    let usage = extension(KEY_USAGE, DIGITAL_SIGNATURE);
    let malformed = Err(PathError::Certificate.into());
    let refused = |change: &dyn Fn(&mut Fields)| {
        assert_eq!(world.verdict(change), malformed);
    };
    // Versions 1 and 2.
    refused(&|client| client.version.clear());
    refused(&|client| client.version = tlv(0xa0, &[&[INTEGER, 1, 1]]));
    refused(&|client| client.version = tlv(0xa0, &[&[INTEGER, 1, 2, 0]]));
    refused(&|client| client.version = [&*client.version, &client.version].concat());
    // Lengths that are not minimal, or not definite.
    refused(&|client| client.serial = long(INTEGER, &[1]));
    refused(&|client| client.issuer = long(SEQUENCE, &client.issuer[2..]));
    refused(&|client| client.subject = long(SEQUENCE, &client.subject[2..]));
    refused(&|client| client.spki = long(SEQUENCE, &spki[2..]));
    refused(&|client| client.spki = [&[SEQUENCE, 0x80], &spki[2..], &[0, 0]].concat());
    refused(&|client| client.spki = [&[SEQUENCE, 0x81, 0x59], &spki[2..]].concat()[..10].to_vec());
    // Other tags.
    refused(&|client| client.serial[0] = OCTET_STRING);
    refused(&|client| client.subject[0] = SET);
    refused(&|client| client.spki[0] = SET);
    refused(&|client| client.serial = [0x1f, 2, 1, 1].to_vec());
    // One field more, or less.
    refused(&|client| client.serial.extend([INTEGER, 1, 1]));
    refused(&|client| client.spki = [&*spki, &spki].concat());
    refused(&|client| client.spki.clear());
    refused(&|client| client.subject.clear());
    // Unique identifiers, before the extensions and alone.
    refused(&|client| {
        client
            .extensions
            .splice(..0, [0x81, 2, 0, 1])
            .for_each(drop);
    });
    refused(&|client| client.extensions = vec![0x82, 2, 0, 1]);
    // Extensions twice, and bytes behind and within them.
    refused(&|client| client.extensions = [&*client.extensions, &client.extensions].concat());
    refused(&|client| client.extensions.extend([5, 0]));
    refused(&|client| client.extensions = tlv(0xa3, &[&tlv(SEQUENCE, &[&usage]), &[5, 0]]));
    refused(&|client| client.extensions = extensions(&[&usage, &[5, 0]]));
    refused(&|client| client.extensions = extensions(&[&[SEQUENCE, 0]]));
    refused(&|client| {
        client.extensions = extensions(&[&[&usage[..1], &[0x80], &usage[2..]].concat()])
    });
    // Behind the certificate, and within it.
    refused(&|client| client.behind = vec![0]);
    refused(&|client| client.outer_algorithm.extend([5, 0]));
    // The algorithm of the signature, inside and outside.
    let mismatch = Err(PathError::SignatureAlgorithm.into());
    let with_null = tlv(SEQUENCE, &[ECDSA_WITH_SHA256, &[5, 0]]);
    let said = world.verdict(|client| client.outer_algorithm = with_null.clone());
    assert_eq!(said, mismatch);
    let said = world.verdict(|client| client.algorithm = with_null.clone());
    assert_eq!(said, mismatch);
    let said = world.verdict(|client| {
        client.algorithm = with_null.clone();
        client.outer_algorithm = with_null.clone();
    });
    assert_eq!(said, mismatch);
}

#[test]
fn extensions_twice_or_malformed() {
    let world = World::new();
    let san = subject_alt_name();
    let usage = extension(KEY_USAGE, DIGITAL_SIGNATURE);
    let other_san = extension(
        SUBJECT_ALT_NAME,
        &tlv(SEQUENCE, &[&tlv(0x82, &[b"other.example"])]),
    );
    let no_signing = extension(KEY_USAGE, &[3, 2, 3, 8]);
    let client_auth = tlv(SEQUENCE, &[&[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2]]);
    let purpose = extension(EXTENDED_KEY_USAGE, &client_auth);
    let with = |all: &[&[u8]]| world.verdict(|client| client.extensions = extensions(all));
    let malformed = Err(PathError::Certificate.into());
    assert_eq!(with(&[&san, &usage, &purpose]), Ok(()));
    // Which of the two counts is not asked.
    for twice in [
        [&san, &other_san],
        [&san, &san],
        [&usage, &no_signing],
        [&no_signing, &usage],
        [&purpose, &purpose],
    ] {
        assert_eq!(with(&twice.map(Vec::as_slice)), malformed);
    }
    // critical: a BOOLEAN that is neither, or too long; something else in its place; something behind the value.
    let id = [6, 3, 0x55, 0x1d, KEY_USAGE];
    let value = tlv(OCTET_STRING, &[DIGITAL_SIGNATURE]);
    for parts in [
        &[&id[..], &[1, 1, 1], &value][..],
        &[&id, &[1, 2, 0, 0xff], &value],
        &[&id, &[1, 1, 0xff], &[1, 1, 0xff], &value],
        &[&id, &[5, 0], &value],
        &[&id, &value, &value],
        &[&id, &value, &[5, 0]],
        &[&id],
        &[&value],
        &[&id, &id, &value],
    ] {
        assert_eq!(with(&[&tlv(SEQUENCE, parts)]), malformed, "{parts:02x?}");
    }
    let critical = tlv(SEQUENCE, &[&id, &[1, 1, 0xff], &value]);
    assert_eq!(with(&[&critical]), Ok(()));
    // Values with bytes behind them.
    let names = tlv(SEQUENCE, &[&tlv(0x82, &[b"device.example"])]);
    let names = extension(SUBJECT_ALT_NAME, &[&*names, &[0]].concat());
    assert_eq!(with(&[&names]), malformed);
    let purpose = extension(EXTENDED_KEY_USAGE, &[&*client_auth, &[0]].concat());
    assert_eq!(with(&[&purpose]), malformed);
    let none = extension(EXTENDED_KEY_USAGE, &[SEQUENCE, 0]);
    assert_eq!(with(&[&none]), malformed);
}

#[test]
fn key_usages_that_do_not_allow_signing() {
    let world = World::new();
    let with = |value: &[u8]| {
        let usage = extension(KEY_USAGE, value);
        world.verdict(|client| client.extensions = extensions(&[&usage]))
    };
    let refused = Err(PathError::Usage.into());
    assert_eq!(with(DIGITAL_SIGNATURE), Ok(()));
    assert_eq!(with(&[3, 3, 7, 0x80, 0x80]), Ok(()));
    for value in [
        &[][..],
        &[3],
        &[3, 0],
        &[3, 1, 0],
        &[3, 2, 6, 0x40],
        &[3, 2, 0, 0x7f],
        &[4, 2, 7, 0x80],
        &[3, 0x81, 2, 7, 0x80],
        &[3, 3, 7, 0x80],
        &[1, 1, 0xff],
    ] {
        assert_eq!(with(value), refused, "{value:02x?}");
    }
}

#[test]
fn keys_that_are_none() {
    let world = World::new();
    let point = world.key.verifying_key().to_encoded_point(false);
    let compressed = world.key.verifying_key().to_encoded_point(true);
    let (ec, p256) = (EC_PUBLIC_KEY, PRIME256V1);
    let with = |algorithm: &[&[u8]], point: &[u8]| {
        world.verdict(|client| client.spki = spki(algorithm, point))
    };
    let right = [&[0], point.as_bytes()].concat();
    assert_eq!(with(&[ec, p256], &right), Ok(()));
    let refused = Err(PathError::PublicKey.into());
    let compressed = [&[0], compressed.as_bytes()].concat();
    assert_eq!(with(&[ec, p256], &compressed), refused);
    assert_eq!(with(&[ec, p256], &[0, 0]), refused);
    assert_eq!(with(&[ec, p256], &[]), refused);
    assert_eq!(with(&[ec, p256], &right[1..]), refused);
    assert_eq!(with(&[ec, p256], &[&*right, &[0]].concat()), refused);
    assert_eq!(with(&[ec, p256, &[5, 0]], &right), refused);
    assert_eq!(with(&[ec], &right), refused);
    assert_eq!(with(&[ec, &[5, 0]], &right), refused);
    assert_eq!(with(&[p256, ec], &right), refused);
    let hybrid = [&[0, 6 + (right[65] & 1)], &right[2..]].concat();
    assert_eq!(with(&[ec, p256], &hybrid), refused);
    // Points that are on no curve.
    let refused = Err(ValidateError::CertificateVerify);
    assert_eq!(with(&[ec, p256], &flipped(&right, 65 * 8)), refused);
    assert_eq!(
        with(&[ec, p256], &[&[0, 4][..], &[0; 64]].concat()),
        refused
    );
    assert_eq!(
        with(&[ec, p256], &[&[0, 4][..], &[0xff; 64]].concat()),
        refused
    );
}

/// webpki reads at most 65,534 bytes of one element, core has no such limit.
#[test]
fn certificates_of_more_than_64_kilobytes() {
    let world = World::new();
    let refused = Err(PathError::Certificate.into());
    for len in [65_000, 65_535, 65_536, 100_000, 1 << 24] {
        let padding = tlv(
            SEQUENCE,
            &[&[6, 3, 0x2a, 3, 4], &tlv(OCTET_STRING, &[&vec![0; len]])],
        );
        let mut client = world.client.clone();
        client.extensions = extensions(&[&padding]);
        let certificate = client.signed_by(&world.authority_key);
        if certificate.len() >= 1 << 24 {
            continue;
        }
        let said = world.verdict_of(&certificate, |_| {});
        let expected = if len == 65_000 { Ok(()) } else { refused };
        assert_eq!(said, expected, "{len}");
    }
}

/// Each byte of what an authority signs, one bit of it flipped, and signed by the authority: what is accepted has the names that webpki
/// sees, and the key that has signed.
#[test]
fn what_is_accepted_is_read_alike() {
    let world = World::new();
    let to_be_signed = world.client.to_be_signed();
    let mut accepted = 0;
    for byte in 0..to_be_signed.len() {
        let changed = flipped(&to_be_signed, byte * 8 + byte % 8);
        let certificate = world.client.around(&changed, &world.authority_key);
        let said = world.verdict_of(&certificate, |validated| {
            accepted += 1;
            let leaf = validated.leaf();
            assert_eq!(leaf.subject_public_key_info(), world.client.spki);
            for name in leaf.subject_alt_names() {
                let (name, said) = match name {
                    SubjectAltName::Dns(name) => (name.to_owned(), leaf.has_name(name)),
                    SubjectAltName::Ip(ip) => (ip.to_string(), leaf.has_name(&ip.to_string())),
                    _ => continue,
                };
                assert!(
                    matches!(said, Ok(()) | Err(PathError::InvalidName)),
                    "byte {byte}: {name}: {said:?}"
                );
            }
        });
        assert_ne!(said, Err(ValidateError::Finished));
    }
    assert!(accepted > 50, "{accepted}");
}

/// Only an authority can make such a certificate, and webpki does not look at key usage.
#[test]
fn a_key_usage_that_is_no_der() {
    let world = World::new();
    for value in [
        &[3, 2, 7, 0x80, 0][..],
        &[3, 2, 7, 0xff],
        &[3, 2, 8, 0x80],
        &[3, 2, 0xff, 0x80],
    ] {
        let usage = extension(KEY_USAGE, value);
        let said = world.verdict(|client| client.extensions = extensions(&[&usage]));
        assert_eq!(said, Err(PathError::Usage.into()), "{value:02x?}");
    }
}

/// webpki reads the names only when one is asked for, or constrained: they are not believed in part.
#[test]
fn subject_alt_names_that_are_malformed() {
    let world = World::new();
    let good = tlv(0x82, &[b"device.example"]);
    for behind in [&[0x82][..], &[0x82, 0x7f, b'x'], &[0x1f, 0], &[0x9f, 0]] {
        let names = tlv(SEQUENCE, &[&good, behind]);
        let mut client = world.client.clone();
        client.extensions = extensions(&[&extension(SUBJECT_ALT_NAME, &names)]);
        let certificate = client.signed_by(&world.authority_key);
        let said = world.verdict_of(&certificate, |_| {});
        assert_eq!(said, Err(PathError::Certificate.into()), "{behind:02x?}");
    }
}

/// RFC 5280 section 6.1.4 (n), which webpki leaves to its caller.
#[test]
fn an_intermediate_that_may_not_sign_certificates() {
    let world = World::new();
    let key = SigningKey::random(&mut OsRng);
    let is_ca = extension(BASIC_CONSTRAINTS, &tlv(SEQUENCE, &[&[1, 1, 0xff]]));
    let usage = extension(KEY_USAGE, DIGITAL_SIGNATURE);
    let between = Fields::new(&key, b"between", extensions(&[&is_ca, &usage]));
    let between = between.signed_by(&world.authority_key);
    let mut client = world.client.clone();
    client.issuer = name(b"between");
    let certificate = client.signed_by(&key);
    let anchors = Anchors::new(&[&world.authority]).unwrap();
    let rules = PathRules::new(&anchors, Usage::ClientAuth, now());
    let said = rules.verify(&certificate, [&*between]).map(|_| ());
    assert_eq!(said, Err(PathError::CaOrLeaf));
}

/// The limit of [`Time::NotBefore`]: webpki tells of the expired certificate that comes first, and so the time is not put forward.
#[test]
fn an_expired_certificate_beside_one_that_has_not_begun() {
    let world = World::new();
    let key = SigningKey::random(&mut OsRng);
    let is_ca = extension(BASIC_CONSTRAINTS, &tlv(SEQUENCE, &[&[1, 1, 0xff]]));
    let between = |from: &[u8], until: &[u8]| {
        let mut between = Fields::new(&key, b"between", extensions(&[&is_ca]));
        let time = |at| tlv(UTC_TIME, &[at]);
        between.validity = tlv(SEQUENCE, &[&time(from), &time(until)]);
        between.signed_by(&world.authority_key)
    };
    let old = between(b"200101000000Z", b"210101000000Z");
    let new = between(b"300101000000Z", b"491231235959Z");
    let mut client = world.client.clone();
    client.issuer = name(b"between");
    let certificate = client.signed_by(&key);
    let anchors = Anchors::new(&[&world.authority]).unwrap();
    let in_2026 = Time::NotBefore(1_767_225_600);
    let rules = PathRules::new(&anchors, Usage::ClientAuth, in_2026);
    let verify = |between: &[&[u8]]| {
        rules
            .verify(&certificate, between.iter().copied())
            .map(|_| ())
    };
    assert_eq!(verify(&[&new]), Ok(()));
    assert_eq!(verify(&[&new, &old]), Ok(()));
    let said = verify(&[&old, &new]);
    assert!(matches!(said, Err(PathError::Expired { .. })), "{said:?}");
}
