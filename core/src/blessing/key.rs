//! Public keys, and the verification of signatures by them.

use super::{
    hash::{Digest, Hash},
    signature::{Signature, SignatureValue},
};
use crate::crypto::{
    SignatureScheme,
    ecdsa::{self, P256, PUBLIC_KEY_LEN},
};
use core::fmt;

/// The maximum length of a public key, in bytes. An RSA key of 4,096 bits has 550.
pub const MAX_PUBLIC_KEY_LEN: usize = 600;

/// The encoding of a public key on P-256 before its uncompressed point (RFC 5480 section 2).
pub(crate) const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
#[cfg(feature = "blessing-p384")]
const P384_PREFIX: [u8; 23] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];
/// The encoding of an Ed25519 key before its 32 bytes (RFC 8410 section 4).
#[cfg(feature = "blessing-ed25519")]
const ED25519_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The length of a public key on P-256, in bytes.
pub const P256_LEN: usize = P256_PREFIX.len() + PUBLIC_KEY_LEN;

/// Returns the SubjectPublicKeyInfo of a key on P-256, from its uncompressed point.
#[must_use]
pub fn p256_public_key(point: &[u8; PUBLIC_KEY_LEN]) -> [u8; P256_LEN] {
    let mut key = [0; P256_LEN];
    for (to, from) in key.iter_mut().zip(P256_PREFIX.iter().chain(point)) {
        *to = *from;
    }
    key
}

/// A public key of a principal: a SubjectPublicKeyInfo in DER (RFC 5280 section 4.1), whose algorithm is supported.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey<'a> {
    der: &'a [u8],
    kind: KeyKind<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyKind<'a> {
    P256(&'a [u8; PUBLIC_KEY_LEN]),
    #[cfg(feature = "blessing-p384")]
    P384(&'a [u8]),
    #[cfg(feature = "blessing-ed25519")]
    Ed25519(&'a [u8; 32]),
    #[cfg(feature = "blessing-sha512")]
    Other(Hash),
}

/// The algorithms by which signatures are verified.
#[derive(Clone, Copy)]
pub struct Algorithms {
    /// ECDSA on P-256.
    pub p256: &'static dyn P256,
    /// Algorithms that this crate does not have, for hosts.
    #[cfg(feature = "blessing-sha512")]
    pub others: Option<&'static dyn OtherAlgorithms>,
}

impl Algorithms {
    /// The algorithms of this crate: ECDSA on P-256 by the crate `p256`, and those that features add.
    pub const DEFAULT: Self = Self {
        p256: ecdsa::RUST_CRYPTO,
        #[cfg(feature = "blessing-sha512")]
        others: None,
    };
}

/// Algorithms that this crate does not have, such as RSA.
#[cfg(feature = "blessing-sha512")]
pub trait OtherAlgorithms: Sync {
    /// Returns the hash that belongs to the public key; `None` if its algorithm is not supported.
    fn hash(&self, public_key: &[u8]) -> Option<Hash>;

    /// Returns whether the signature over the message, which the algorithm hashes by [`OtherAlgorithms::hash`], is valid.
    fn verify(&self, public_key: &[u8], message: &[u8], signature: &SignatureValue<'_>) -> bool;
}

impl<'a> PublicKey<'a> {
    /// Parses a SubjectPublicKeyInfo. A point must be uncompressed. Returns `None` if the key is malformed or its algorithm is not supported.
    #[must_use]
    pub fn parse(der: &'a [u8], algorithms: &Algorithms) -> Option<Self> {
        let kind = Self::kind(der).or_else(|| Self::other(der, algorithms))?;
        Some(Self { der, kind })
    }

    fn kind(der: &'a [u8]) -> Option<KeyKind<'a>> {
        if let Some(point) = der.strip_prefix(&P256_PREFIX) {
            let point = <&[u8; PUBLIC_KEY_LEN]>::try_from(point).ok()?;
            return (point.first() == Some(&4)).then_some(KeyKind::P256(point));
        }
        #[cfg(feature = "blessing-p384")]
        if let Some(point) = der.strip_prefix(&P384_PREFIX) {
            let is_uncompressed = point.len() == 97 && point.first() == Some(&4);
            return is_uncompressed.then_some(KeyKind::P384(point));
        }
        #[cfg(feature = "blessing-ed25519")]
        if let Some(key) = der.strip_prefix(&ED25519_PREFIX) {
            return key.try_into().ok().map(KeyKind::Ed25519);
        }
        None
    }

    #[cfg(feature = "blessing-sha512")]
    fn other(der: &'a [u8], algorithms: &Algorithms) -> Option<KeyKind<'a>> {
        if der.len() > MAX_PUBLIC_KEY_LEN {
            return None;
        }
        algorithms.others?.hash(der).map(KeyKind::Other)
    }

    #[cfg(not(feature = "blessing-sha512"))]
    fn other(_: &'a [u8], _: &Algorithms) -> Option<KeyKind<'a>> {
        None
    }

    /// Returns the SubjectPublicKeyInfo.
    #[must_use]
    pub fn as_der(&self) -> &'a [u8] {
        self.der
    }

    /// Returns the hash that belongs to the key: by it the key's owner signs, and the digests of certificates that it signs are made.
    #[must_use]
    pub fn hash(&self) -> Hash {
        match self.kind {
            KeyKind::P256(_) => Hash::Sha256,
            #[cfg(feature = "blessing-p384")]
            KeyKind::P384(_) => Hash::Sha384,
            #[cfg(feature = "blessing-ed25519")]
            KeyKind::Ed25519(_) => Hash::Sha512,
            #[cfg(feature = "blessing-sha512")]
            KeyKind::Other(hash) => hash,
        }
    }

    /// Returns the scheme by which the key signs; `None` for keys of other algorithms, which this crate does not request signatures from.
    #[must_use]
    pub fn scheme(&self) -> Option<SignatureScheme> {
        match self.kind {
            KeyKind::P256(_) => Some(SignatureScheme::ECDSA_SECP256R1_SHA256),
            #[cfg(feature = "blessing-p384")]
            KeyKind::P384(_) => Some(SignatureScheme::ECDSA_SECP384R1_SHA384),
            #[cfg(feature = "blessing-ed25519")]
            KeyKind::Ed25519(_) => Some(SignatureScheme::ED25519),
            #[cfg(feature = "blessing-sha512")]
            KeyKind::Other(_) => None,
        }
    }

    /// Returns whether the key signs the digest of its message, and not the message.
    pub(crate) fn signs_digest(&self) -> bool {
        match self.kind {
            #[cfg(feature = "blessing-ed25519")]
            KeyKind::Ed25519(_) => true,
            _ => false,
        }
    }

    /// Verifies a signature over the message `parts` for a purpose. The signature must name this purpose and the key's own hash.
    pub(crate) fn verify(
        &self,
        purpose: &[u8],
        parts: &[&[u8]],
        signature: &Signature<'_>,
        algorithms: &Algorithms,
    ) -> bool {
        let hash = self.hash();
        if signature.purpose != purpose || signature.hash != hash.name().as_bytes() {
            return false;
        }
        let hashed = hash.of(parts);
        let [key, message, purpose] = hashed_parts(self.der, hash, &hashed, purpose);
        let all = [key.as_bytes(), message.as_bytes(), purpose.as_bytes()];
        match (&self.kind, &signature.value) {
            (KeyKind::P256(point), SignatureValue::Ecdsa { r, s }) => {
                let (Some(r), Some(s)) = (scalar(r), scalar(s)) else {
                    return false;
                };
                let digest = hash.of(&all);
                let Some(digest) = digest.as_bytes().first_chunk() else {
                    return false;
                };
                let signature = ecdsa::Signature { r, s };
                algorithms.p256.verify(point, digest, &signature)
            }
            #[cfg(feature = "blessing-p384")]
            (KeyKind::P384(point), SignatureValue::Ecdsa { r, s }) => {
                verify_p384(point, hash.of(&all).as_bytes(), r, s)
            }
            #[cfg(feature = "blessing-ed25519")]
            (KeyKind::Ed25519(key), SignatureValue::Ed25519(signature)) => {
                verify_ed25519(key, hash.of(&all).as_bytes(), signature)
            }
            #[cfg(feature = "blessing-sha512")]
            (KeyKind::Other(_), value) => {
                let mut message = heapless::Vec::<u8, { 3 * super::hash::MAX_DIGEST_LEN }>::new();
                for part in all {
                    let _ = message.extend_from_slice(part);
                }
                algorithms
                    .others
                    .is_some_and(|others| others.verify(self.der, &message, value))
            }
            #[allow(
                unreachable_patterns,
                reason = "without features there is one kind of key"
            )]
            _ => false,
        }
    }
}

/// Returns the three hashes whose hash is signed: of the public key, of the message, which is hashed already, and of the purpose.
pub(crate) fn hashed_parts(
    public_key: &[u8],
    hash: Hash,
    message: &Digest,
    purpose: &[u8],
) -> [Digest; 3] {
    [hash.of(&[public_key]), *message, hash.of(&[purpose])]
}

/// Returns a scalar of a signature, whose encoding has no leading zeroes.
fn scalar<const LEN: usize>(octets: &[u8]) -> Option<[u8; LEN]> {
    let mut scalar = [0; LEN];
    let start = LEN.checked_sub(octets.len())?;
    if octets.first().is_none_or(|first| *first == 0) {
        return None;
    }
    scalar.get_mut(start..)?.copy_from_slice(octets);
    Some(scalar)
}

#[cfg(feature = "blessing-p384")]
fn verify_p384(point: &[u8], digest: &[u8], r: &[u8], s: &[u8]) -> bool {
    use p384::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
    let (Ok(key), Some(r), Some(s)) = (
        VerifyingKey::from_sec1_bytes(point),
        scalar::<48>(r),
        scalar::<48>(s),
    ) else {
        return false;
    };
    Signature::from_scalars(r, s)
        .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok())
}

#[cfg(feature = "blessing-ed25519")]
fn verify_ed25519(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (
        ed25519_dalek::VerifyingKey::from_bytes(key),
        ed25519_dalek::Signature::from_slice(signature),
    ) else {
        return false;
    };
    key.verify_strict(message, &signature).is_ok()
}

impl fmt::Debug for PublicKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        for octet in self.der.iter().rev().take(4) {
            write!(f, "{octet:02x}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Algorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Algorithms({:?})", self.p256)
    }
}
