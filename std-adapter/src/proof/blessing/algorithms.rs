//! The algorithms of principals on hosts: those of chanbind-core, and RSA and ECDSA on P-521 by aws-lc.

use chanbind_core::{
    blessing::{Algorithms, Hash, OtherAlgorithms, SignatureValue},
    der::{Reader, Tag},
};
use rustls::{crypto::aws_lc_rs, pki_types::SignatureVerificationAlgorithm};

/// All algorithms that Vanadium's principals have, with the sizes of keys that aws-lc accepts: RSA of 2,048 to 8,192 bits.
pub const ALGORITHMS: Algorithms = Algorithms {
    others: Some(&AwsLc),
    ..Algorithms::DEFAULT
};

struct AwsLc;

impl OtherAlgorithms for AwsLc {
    fn hash(&self, public_key: &[u8]) -> Option<Hash> {
        // All of these sign by SHA-512.
        find(public_key).map(|_| Hash::Sha512)
    }

    fn verify(&self, public_key: &[u8], message: &[u8], signature: &SignatureValue<'_>) -> bool {
        let Some((algorithm, key)) = find(public_key) else {
            return false;
        };
        let is_rsa = is_rsa(algorithm);
        let encoded = match signature {
            SignatureValue::Rsa(value) if is_rsa => value.to_vec(),
            SignatureValue::Ecdsa { r, s } if !is_rsa => match (integer(r), integer(s)) {
                (Some(r), Some(s)) => element(Tag::SEQUENCE, &[r, s].concat()),
                _ => return false,
            },
            _ => return false,
        };
        algorithm.verify_signature(key, message, &encoded).is_ok()
    }
}

/// Returns the algorithm for a public key, and the bytes of the key.
fn find(public_key: &[u8]) -> Option<(&'static dyn SignatureVerificationAlgorithm, &[u8])> {
    let mut outer = Reader::new(public_key);
    let mut fields = outer.sequence().ok()?;
    let algorithm = fields.contents(Tag::SEQUENCE).ok()?;
    let key = fields.bit_string_of_bytes().ok()?;
    if !fields.is_empty() || !outer.is_empty() {
        return None;
    }
    let provider = aws_lc_rs::default_provider();
    let mut all = provider.signature_verification_algorithms.all.iter();
    all.find(|candidate| {
        candidate.public_key_alg_id().as_ref() == algorithm && has_hash(**candidate)
    })
    .map(|found| (*found, key))
}

/// Returns whether an algorithm is one of those that principals use with keys that only hosts have: by SHA-512.
fn has_hash(algorithm: &dyn SignatureVerificationAlgorithm) -> bool {
    let id = algorithm.signature_alg_id();
    // ecdsa-with-SHA512 (RFC 5758), and sha512WithRSAEncryption (RFC 4055).
    let ecdsa = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];
    let is_p521 = algorithm
        .public_key_alg_id()
        .as_ref()
        .ends_with(&[0x2b, 0x81, 0x04, 0x00, 0x23]);
    is_rsa(algorithm) || (id.as_ref() == ecdsa && is_p521)
}

fn is_rsa(algorithm: &dyn SignatureVerificationAlgorithm) -> bool {
    let id = algorithm.signature_alg_id();
    id.as_ref().starts_with(&[
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d,
    ])
}

/// Encodes a scalar, which must have no leading zeroes, as an INTEGER.
fn integer(scalar: &[u8]) -> Option<Vec<u8>> {
    let first = scalar.first().filter(|first| **first != 0)?;
    let sign: &[u8] = if first & 0x80 == 0 { &[] } else { &[0] };
    Some(element(Tag::INTEGER, &[sign, scalar].concat()))
}

/// Encodes an element of DER, whose contents have less than 256 bytes.
fn element(tag: Tag, contents: &[u8]) -> Vec<u8> {
    let len = u8::try_from(contents.len()).unwrap_or(u8::MAX);
    let long: &[u8] = if len < 0x80 { &[] } else { &[0x81] };
    [&[tag.0], long, &[len], contents].concat()
}
