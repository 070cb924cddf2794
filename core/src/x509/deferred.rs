//! Signatures that are verified when webpki has found its way.
//!
//! webpki verifies each signature deep in its recursion, where the stack of ECDSA comes on top of its own. Here it is told that they are
//! all right, and which it asked for is written down: they are verified afterwards. If one is wrong, webpki is asked again, and told so
//! of that one, until it has found a way of signatures that are right, or none.

use super::{
    MAX_ANCHORS, MAX_INTERMEDIATES, P256, PublicKey, algorithm::is_signed, certificate::Signed,
};
use core::{
    fmt,
    sync::atomic::{AtomicU8, Ordering},
};
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, TrustAnchor, alg_id,
};

/// Who may be an issuer: a bit each, the intermediates first.
const _: () = assert!(MAX_INTERMEDIATES + MAX_ANCHORS == 8, "the bits of a u8");

/// Leaf and intermediates.
const SUBJECTS: usize = MAX_INTERMEDIATES + 1;

/// ecdsa-with-SHA256 by keys on P-256, for webpki to ask.
pub(super) struct Deferred<'a> {
    leaf: &'a [u8],
    intermediates: &'a [&'a [u8]],
    anchors: &'a [TrustAnchor<'a>],
    /// For each subject the issuers by which its signature was asked for. Atomic, as webpki's algorithms are shared by threads.
    asked: [AtomicU8; SUBJECTS],
    right: [AtomicU8; SUBJECTS],
    wrong: [AtomicU8; SUBJECTS],
}

impl<'a> Deferred<'a> {
    pub(super) fn new(
        leaf: &'a [u8],
        intermediates: &'a [&'a [u8]],
        anchors: &'a [TrustAnchor<'a>],
    ) -> Self {
        let none = || [(); SUBJECTS].map(|()| AtomicU8::new(0));
        Self {
            leaf,
            intermediates,
            anchors,
            asked: none(),
            right: none(),
            wrong: none(),
        }
    }

    /// Verifies what was asked for since the last time; whether all of it was right.
    pub(super) fn settle(&self, p256: &dyn P256) -> bool {
        let mut all_right = true;
        for (at, asked) in self.asked.iter().enumerate() {
            let bits = asked.load(Ordering::Relaxed);
            asked.store(0, Ordering::Relaxed);
            for issuer in 0..8 {
                let bit = bits & 1 << issuer;
                let [right, wrong] = [&self.right, &self.wrong].map(|bits| bits.get(at));
                let (Some(right), Some(wrong)) = (right, wrong) else {
                    continue;
                };
                if bit & !right.load(Ordering::Relaxed) == 0 {
                    continue;
                }
                let is_right = self.is_right(at, issuer, p256);
                all_right &= is_right;
                let known = if is_right { right } else { wrong };
                known.store(known.load(Ordering::Relaxed) | bit, Ordering::Relaxed);
            }
        }
        all_right
    }

    fn is_right(&self, subject: usize, issuer: usize, p256: &dyn P256) -> bool {
        let signed = self.subject(subject).and_then(Signed::of);
        match (signed, self.key(issuer)) {
            (Some(signed), Some(key)) => is_signed(p256, key, signed.tbs, signed.signature),
            _ => false,
        }
    }

    fn subject(&self, at: usize) -> Option<&'a [u8]> {
        match at.checked_sub(1) {
            None => Some(self.leaf),
            Some(at) => self.intermediates.get(at).copied(),
        }
    }

    /// The key of an issuer, where it stands.
    fn key(&self, at: usize) -> Option<&'a [u8; 65]> {
        match at.checked_sub(MAX_INTERMEDIATES) {
            None => PublicKey::point_of_certificate(self.intermediates.get(at)?),
            Some(at) => {
                // webpki has taken tag and length off.
                let anchor = self.anchors.get(at)?;
                PublicKey::point_of_contents(anchor.subject_public_key_info.as_ref())
            }
        }
    }
}

impl SignatureVerificationAlgorithm for Deferred<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        _: &[u8],
    ) -> Result<(), InvalidSignature> {
        // By their places, and not their contents: that they are the same bytes needs no comparison then.
        let subject = (0..SUBJECTS).find(|&at| {
            let signed = self.subject(at).and_then(Signed::of);
            signed.is_some_and(|signed| core::ptr::eq(signed.tbs, message))
        });
        let mut issuers = 0..8;
        let issuer = issuers.find(|&at| {
            (self.key(at)).is_some_and(|key| core::ptr::eq(key.as_slice(), public_key))
        });
        let (Some(subject), Some(issuer)) = (subject, issuer) else {
            return Err(InvalidSignature);
        };
        let bit = 1 << issuer;
        let wrong = self.wrong.get(subject).ok_or(InvalidSignature)?;
        let asked = self.asked.get(subject).ok_or(InvalidSignature)?;
        if wrong.load(Ordering::Relaxed) & bit != 0 {
            return Err(InvalidSignature);
        }
        asked.store(asked.load(Ordering::Relaxed) | bit, Ordering::Relaxed);
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}

// Derived, it would bring all of the formatting of lists to a firmware.
impl fmt::Debug for Deferred<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deferred")
    }
}
