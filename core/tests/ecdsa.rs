//! Comparison of the encoding and verification of ECDSA signatures with the crate `p256`.
#![cfg(test)]
#![cfg(feature = "x509")]

use chanbind_core::{
    crypto::{
        ecdsa::{MAX_DER_LEN, PUBLIC_KEY_LEN, PublicPoint, RUST_CRYPTO, Signature},
        sha256,
    },
    wire::Full,
};
use p256::ecdsa::{self, SigningKey, signature::hazmat::PrehashSigner};

fn scalar(edge: u8, at: usize) -> [u8; 32] {
    let mut scalar = [0; 32];
    scalar[at] = edge;
    if at < 31 {
        scalar[31] = 1;
    }
    scalar
}

#[test]
fn der_encoding_matches_the_p256_crate() {
    for edge in [0x01, 0x7f, 0x80, 0xff] {
        for at in [0, 1, 15, 30, 31] {
            let (r, s) = (scalar(edge, at), scalar(edge ^ 0x81 | 1, 31 - at));
            let Ok(theirs) = ecdsa::Signature::from_scalars(r, s) else {
                continue;
            };
            let ours = Signature { r, s };
            let mut out = [0; MAX_DER_LEN];
            let der = ours.to_der(&mut out).unwrap();
            assert_eq!(der, theirs.to_der().as_bytes());
            assert_eq!(Signature::from_der(der), Ok(ours));
            let mut short = vec![0; der.len() - 1];
            assert_eq!(ours.to_der(&mut short), Err(Full));
        }
    }
}

#[test]
fn der_parsing_matches_the_p256_crate() {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let theirs: ecdsa::Signature = key.sign_prehash(&sha256(b"message")).unwrap();
    let der = theirs.to_der().as_bytes().to_vec();
    let mut accepted = 0;
    for at in 0..der.len() {
        for byte in 0..=255 {
            let mut changed = der.clone();
            changed[at] = byte;
            let (ours, theirs) = (
                Signature::from_der(&changed),
                ecdsa::Signature::from_der(&changed),
            );
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => {
                    accepted += 1;
                    assert_eq!(theirs.to_bytes().as_slice(), [ours.r, ours.s].concat());
                }
                // Parsing accepts scalars that are out of range, and verification rejects them.
                (Ok(ours), Err(_)) => {
                    assert!(ecdsa::Signature::from_scalars(ours.r, ours.s).is_err())
                }
                (Err(_), theirs) => assert!(theirs.is_err(), "{changed:02x?}"),
            }
        }
        assert!(Signature::from_der(&der[..at]).is_err());
    }
    assert!(accepted > 60 * 255);
    assert!(Signature::from_der(&[&der[..], &[0]].concat()).is_err());
}

#[test]
fn rejects_changed_digest_signature_or_key() {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let public_key: [u8; 65] = key
        .verifying_key()
        .to_encoded_point(false)
        .as_bytes()
        .try_into()
        .unwrap();
    let good = &sha256(b"message");
    let digest = *good;
    let theirs: ecdsa::Signature = key.sign_prehash(&digest).unwrap();
    let signature = Signature {
        r: theirs.r().to_bytes().into(),
        s: theirs.s().to_bytes().into(),
    };
    assert!(RUST_CRYPTO.verify(&public_key, &digest, &signature));
    for bit in (0..256).step_by(5) {
        let (byte, flip) = (bit / 8, 1 << (bit % 8));
        let (mut digest, mut r, mut s, mut key) = (digest, signature, signature, public_key);
        digest[byte] ^= flip;
        r.r[byte] ^= flip;
        s.s[byte] ^= flip;
        key[1 + byte] ^= flip;
        assert!(!RUST_CRYPTO.verify(&public_key, &digest, &signature));
        assert!(!RUST_CRYPTO.verify(&public_key, good, &r));
        assert!(!RUST_CRYPTO.verify(&public_key, good, &s));
        assert!(!RUST_CRYPTO.verify(&key, good, &signature));
    }
    let zero = Signature {
        r: [0; 32],
        s: [0; 32],
    };
    assert!(!RUST_CRYPTO.verify(&public_key, &digest, &zero));
}

#[test]
fn points_are_encoded_and_parsed_as_uncompressed_sec1() {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let uncompressed = key.verifying_key().to_encoded_point(false);
    let point = PublicPoint::from_sec1(uncompressed.as_bytes()).unwrap();
    assert_eq!(point.x.as_slice(), uncompressed.x().unwrap().as_slice());
    assert_eq!(point.y.as_slice(), uncompressed.y().unwrap().as_slice());
    assert_eq!(point.to_sec1(), uncompressed.as_bytes());

    let compressed = key.verifying_key().to_encoded_point(true);
    assert_eq!(PublicPoint::from_sec1(compressed.as_bytes()), None);
    for len in 0..PUBLIC_KEY_LEN {
        assert_eq!(PublicPoint::from_sec1(&point.to_sec1()[..len]), None);
    }
    let mut longer = point.to_sec1().to_vec();
    longer.push(0);
    assert_eq!(PublicPoint::from_sec1(&longer), None);
    for tag in (0..=u8::MAX).filter(|tag| *tag != 4) {
        let mut other = point.to_sec1();
        other[0] = tag;
        assert_eq!(PublicPoint::from_sec1(&other), None);
    }
}
