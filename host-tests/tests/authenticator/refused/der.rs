//! Certificates that an authority has signed and that no tool would create: either webpki and core read the same from a
//! certificate, or it is rejected.

use super::{handmade::*, *};
use chanbind_core::x509::SubjectAltName;
use rand_core::OsRng;

#[test]
fn accepts_handmade_certificates() {
    let pki = HandmadePki::new();
    let certificate = pki.client.signed_by(&pki.authority_key);
    let result = pki.verdict_of(&certificate, |validated| {
        let names: Vec<_> = validated.leaf().subject_alt_names().collect();
        let expected = [
            SubjectAltName::Dns("device.example"),
            SubjectAltName::Ip([192, 0, 2, 1].into()),
            SubjectAltName::Uri("urn:device:1"),
        ];
        assert_eq!(names, expected);
        assert_eq!(validated.leaf().common_name(), Some("client"));
    });
    assert_eq!(result, Ok(()));
    assert_eq!(pki.verdict(|_| {}), Ok(()));
    assert_eq!(pki.verdict(|client| client.extensions.clear()), Ok(()));
    let empty = |client: &mut Fields| client.subject = tlv(SEQUENCE, &[]);
    assert_eq!(pki.verdict(empty), Ok(()));
}

#[test]
fn rejects_malformed_certificate_fields() {
    let pki = HandmadePki::new();
    let spki = pki.client.spki.clone();
    let usage = extension(KEY_USAGE, DIGITAL_SIGNATURE);
    let malformed = Err(PathError::Certificate.into());
    let refused = |change: &dyn Fn(&mut Fields)| {
        assert_eq!(pki.verdict(change), malformed);
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
    // One field more or less.
    refused(&|client| client.serial.extend([INTEGER, 1, 1]));
    refused(&|client| client.spki = [&*spki, &spki].concat());
    refused(&|client| client.spki.clear());
    refused(&|client| client.subject.clear());
    // Unique identifiers, before the extensions and without them.
    refused(&|client| {
        client
            .extensions
            .splice(..0, [0x81, 2, 0, 1])
            .for_each(drop);
    });
    refused(&|client| client.extensions = vec![0x82, 2, 0, 1]);
    // Duplicate extensions, and stray bytes behind and within them.
    refused(&|client| client.extensions = [&*client.extensions, &client.extensions].concat());
    refused(&|client| client.extensions.extend([5, 0]));
    refused(&|client| client.extensions = tlv(0xa3, &[&tlv(SEQUENCE, &[&usage]), &[5, 0]]));
    refused(&|client| client.extensions = extensions(&[&usage, &[5, 0]]));
    refused(&|client| client.extensions = extensions(&[&[SEQUENCE, 0]]));
    refused(&|client| {
        client.extensions = extensions(&[&[&usage[..1], &[0x80], &usage[2..]].concat()])
    });
    // Stray bytes behind the certificate, and within it.
    refused(&|client| client.behind = vec![0]);
    refused(&|client| client.outer_algorithm.extend([5, 0]));
    // The signature algorithm, inside and outside of the signed part.
    let mismatch = Err(PathError::SignatureAlgorithm.into());
    let with_null = tlv(SEQUENCE, &[ECDSA_WITH_SHA256, &[5, 0]]);
    let result = pki.verdict(|client| client.outer_algorithm = with_null.clone());
    assert_eq!(result, mismatch);
    let result = pki.verdict(|client| client.algorithm = with_null.clone());
    assert_eq!(result, mismatch);
    let result = pki.verdict(|client| {
        client.algorithm = with_null.clone();
        client.outer_algorithm = with_null.clone();
    });
    assert_eq!(result, mismatch);
}

#[test]
fn rejects_duplicate_or_malformed_certificate_extensions() {
    let pki = HandmadePki::new();
    let san = subject_alt_name();
    let usage = extension(KEY_USAGE, DIGITAL_SIGNATURE);
    let other_san = extension(
        SUBJECT_ALT_NAME,
        &tlv(SEQUENCE, &[&tlv(0x82, &[b"other.example"])]),
    );
    let no_signing = extension(KEY_USAGE, &[3, 2, 3, 8]);
    let client_auth = tlv(SEQUENCE, &[&[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2]]);
    let purpose = extension(EXTENDED_KEY_USAGE, &client_auth);
    let with = |all: &[&[u8]]| pki.verdict(|client| client.extensions = extensions(all));
    let malformed = Err(PathError::Certificate.into());
    assert_eq!(with(&[&san, &usage, &purpose]), Ok(()));
    // Duplicates are rejected, whichever of them comes first.
    for twice in [
        [&san, &other_san],
        [&san, &san],
        [&usage, &no_signing],
        [&no_signing, &usage],
        [&purpose, &purpose],
    ] {
        assert_eq!(with(&twice.map(Vec::as_slice)), malformed);
    }
    // `critical` with an invalid BOOLEAN, with two BOOLEANs or with another type, and stray fields.
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
    // Values with stray bytes behind them.
    let names = tlv(SEQUENCE, &[&tlv(0x82, &[b"device.example"])]);
    let names = extension(SUBJECT_ALT_NAME, &[&*names, &[0]].concat());
    assert_eq!(with(&[&names]), malformed);
    let purpose = extension(EXTENDED_KEY_USAGE, &[&*client_auth, &[0]].concat());
    assert_eq!(with(&[&purpose]), malformed);
    let none = extension(EXTENDED_KEY_USAGE, &[SEQUENCE, 0]);
    assert_eq!(with(&[&none]), malformed);
}

#[test]
fn rejects_key_usages_without_digital_signature() {
    let pki = HandmadePki::new();
    let with = |value: &[u8]| {
        let usage = extension(KEY_USAGE, value);
        pki.verdict(|client| client.extensions = extensions(&[&usage]))
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
fn rejects_invalid_public_keys() {
    let pki = HandmadePki::new();
    let point = pki.key.verifying_key().to_encoded_point(false);
    let compressed = pki.key.verifying_key().to_encoded_point(true);
    let (ec, p256) = (EC_PUBLIC_KEY, PRIME256V1);
    let with = |algorithm: &[&[u8]], point: &[u8]| {
        pki.verdict(|client| client.spki = spki(algorithm, point))
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
    // Points that are not on the curve.
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

/// webpki reads at most 65,534 bytes of one element; core has no such limit.
#[test]
fn rejects_certificates_larger_than_64_kilobytes() {
    let pki = HandmadePki::new();
    let refused = Err(PathError::Certificate.into());
    for len in [65_000, 65_535, 65_536, 100_000, 1 << 24] {
        let padding = tlv(
            SEQUENCE,
            &[&[6, 3, 0x2a, 3, 4], &tlv(OCTET_STRING, &[&vec![0; len]])],
        );
        let mut client = pki.client.clone();
        client.extensions = extensions(&[&padding]);
        let certificate = client.signed_by(&pki.authority_key);
        if certificate.len() >= 1 << 24 {
            continue;
        }
        let result = pki.verdict_of(&certificate, |_| {});
        let expected = if len == 65_000 { Ok(()) } else { refused };
        assert_eq!(result, expected, "{len}");
    }
}

/// Flips one bit in each byte of the signed part before the authority signs it: an accepted certificate has the names that webpki
/// reads, and the key that has signed.
#[test]
fn core_and_webpki_read_accepted_certificates_alike() {
    let pki = HandmadePki::new();
    let to_be_signed = pki.client.to_be_signed();
    let mut accepted = 0;
    for byte in 0..to_be_signed.len() {
        let changed = flipped(&to_be_signed, byte * 8 + byte % 8);
        let certificate = pki.client.sign(&changed, &pki.authority_key);
        let result = pki.verdict_of(&certificate, |validated| {
            accepted += 1;
            let leaf = validated.leaf();
            assert_eq!(leaf.subject_public_key_info(), pki.client.spki);
            for name in leaf.subject_alt_names() {
                let (name, result) = match name {
                    SubjectAltName::Dns(name) => (name.to_owned(), leaf.has_name(name)),
                    SubjectAltName::Ip(ip) => (ip.to_string(), leaf.has_name(&ip.to_string())),
                    _ => continue,
                };
                assert!(
                    matches!(result, Ok(()) | Err(PathError::InvalidName)),
                    "byte {byte}: {name}: {result:?}"
                );
            }
        });
        assert_ne!(result, Err(ValidateError::Finished));
    }
    assert!(accepted > 50, "{accepted}");
}

/// Only an authority can create such a certificate, and webpki does not check the key usage.
#[test]
fn rejects_key_usage_that_is_not_der() {
    let pki = HandmadePki::new();
    for value in [
        &[3, 2, 7, 0x80, 0][..],
        &[3, 2, 7, 0xff],
        &[3, 2, 8, 0x80],
        &[3, 2, 0xff, 0x80],
    ] {
        let usage = extension(KEY_USAGE, value);
        let result = pki.verdict(|client| client.extensions = extensions(&[&usage]));
        assert_eq!(result, Err(PathError::Usage.into()), "{value:02x?}");
    }
}

/// webpki reads the names only when it verifies or constrains one: a malformed list is rejected as a whole.
#[test]
fn rejects_malformed_subject_alt_names() {
    let pki = HandmadePki::new();
    let good = tlv(0x82, &[b"device.example"]);
    for behind in [&[0x82][..], &[0x82, 0x7f, b'x'], &[0x1f, 0], &[0x9f, 0]] {
        let names = tlv(SEQUENCE, &[&good, behind]);
        let mut client = pki.client.clone();
        client.extensions = extensions(&[&extension(SUBJECT_ALT_NAME, &names)]);
        let certificate = client.signed_by(&pki.authority_key);
        let result = pki.verdict_of(&certificate, |_| {});
        assert_eq!(result, Err(PathError::Certificate.into()), "{behind:02x?}");
    }
}

/// Core checks RFC 5280 section 6.1.4 (n), which webpki leaves to its caller.
#[test]
fn rejects_intermediate_without_key_cert_sign() {
    let pki = HandmadePki::new();
    let key = SigningKey::random(&mut OsRng);
    let is_ca = extension(BASIC_CONSTRAINTS, &tlv(SEQUENCE, &[&[1, 1, 0xff]]));
    let usage = extension(KEY_USAGE, DIGITAL_SIGNATURE);
    let between = Fields::new(&key, b"between", extensions(&[&is_ca, &usage]));
    let between = between.signed_by(&pki.authority_key);
    let mut client = pki.client.clone();
    client.issuer = name(b"between");
    let certificate = client.signed_by(&key);
    let anchors = Anchors::new(&[&pki.authority]).unwrap();
    let rules = PathRules::new(&anchors, Usage::ClientAuth, now());
    let result = rules.verify(&certificate, [&*between]).map(|_| ());
    assert_eq!(result, Err(PathError::CaOrLeaf));
}

/// A limitation of [`Time::NotBefore`]: webpki reports the expired certificate that comes first, and so the time is not moved
/// forward.
#[test]
fn not_before_time_fails_if_expired_intermediate_comes_first() {
    let pki = HandmadePki::new();
    let key = SigningKey::random(&mut OsRng);
    let is_ca = extension(BASIC_CONSTRAINTS, &tlv(SEQUENCE, &[&[1, 1, 0xff]]));
    let between = |from: &[u8], until: &[u8]| {
        let mut between = Fields::new(&key, b"between", extensions(&[&is_ca]));
        let time = |at| tlv(UTC_TIME, &[at]);
        between.validity = tlv(SEQUENCE, &[&time(from), &time(until)]);
        between.signed_by(&pki.authority_key)
    };
    let expired = between(b"200101000000Z", b"210101000000Z");
    let not_yet_valid = between(b"300101000000Z", b"491231235959Z");
    let mut client = pki.client.clone();
    client.issuer = name(b"between");
    let certificate = client.signed_by(&key);
    let anchors = Anchors::new(&[&pki.authority]).unwrap();
    let in_2026 = Time::NotBefore(1_767_225_600);
    let rules = PathRules::new(&anchors, Usage::ClientAuth, in_2026);
    let verify = |between: &[&[u8]]| {
        rules
            .verify(&certificate, between.iter().copied())
            .map(|_| ())
    };
    assert_eq!(verify(&[&not_yet_valid]), Ok(()));
    assert_eq!(verify(&[&not_yet_valid, &expired]), Ok(()));
    let result = verify(&[&expired, &not_yet_valid]);
    assert!(
        matches!(result, Err(PathError::Expired { .. })),
        "{result:?}"
    );
}
