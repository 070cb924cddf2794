//! Signatures that are verified after webpki has searched for a path.
//!
//! webpki verifies each signature deep in its recursion, where the stack of ECDSA comes on top of its own. [`Deferred`] answers that a
//! signature is valid and records the question; [`Deferred::verify`] verifies the recorded ones afterwards. The search is repeated, with
//! the invalid ones known, until every answer that it was given was true. Its last result, a path or an error, is then the one that webpki
//! gives when it verifies each signature at once, within the same budgets.

use super::{
    MAX_ANCHORS, MAX_CANDIDATES, P256, PublicKey, algorithm::is_signed, certificate::Signed,
};
use core::{
    fmt,
    sync::atomic::{AtomicU16, Ordering},
};
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm,
    TrustAnchor, alg_id,
};

/// Possible issuers, one bit each: the intermediates, then the anchors.
const ISSUERS: usize = MAX_CANDIDATES + MAX_ANCHORS;
const _: () = assert!(ISSUERS <= 16, "an issuer is a bit of a u16");

/// The leaf and the intermediates.
const SUBJECTS: usize = MAX_CANDIDATES + 1;

/// Issuers of one subject. Atomic because webpki requires algorithms to be `Sync`; one thread uses it at a time.
type Issuers = AtomicU16;

/// The algorithm that webpki is given: ecdsa-with-SHA256 with keys on P-256.
pub(super) struct Deferred<'a> {
    leaf: &'a [u8],
    intermediates: &'a [CertificateDer<'a>],
    anchors: &'a [TrustAnchor<'a>],
    /// For each subject, the issuers with whose keys webpki wanted its signature verified since the last `verify`.
    asked: [Issuers; SUBJECTS],
    valid: [Issuers; SUBJECTS],
    invalid: [Issuers; SUBJECTS],
}

impl<'a> Deferred<'a> {
    pub(super) fn new(
        leaf: &'a [u8],
        intermediates: &'a [CertificateDer<'a>],
        anchors: &'a [TrustAnchor<'a>],
    ) -> Self {
        let none = || [(); SUBJECTS].map(|()| Issuers::new(0));
        Self {
            leaf,
            intermediates,
            anchors,
            asked: none(),
            valid: none(),
            invalid: none(),
        }
    }

    /// Verifies the signatures that were asked for since the last call, each pair of subject and issuer once. Returns whether all of them
    /// are valid, that is, whether webpki was told the truth.
    pub(super) fn verify(&self, p256: &dyn P256) -> bool {
        let mut all_valid = true;
        for (at, asked) in self.asked.iter().enumerate() {
            let bits = asked.load(Ordering::Relaxed);
            asked.store(0, Ordering::Relaxed);
            for issuer in 0..ISSUERS {
                let bit = bits & 1 << issuer;
                let [valid, invalid] = [&self.valid, &self.invalid].map(|bits| bits.get(at));
                let (Some(valid), Some(invalid)) = (valid, invalid) else {
                    continue;
                };
                if bit & !valid.load(Ordering::Relaxed) == 0 {
                    continue;
                }
                let is_valid = self.is_valid(at, issuer, p256);
                all_valid &= is_valid;
                let known = if is_valid { valid } else { invalid };
                known.store(known.load(Ordering::Relaxed) | bit, Ordering::Relaxed);
            }
        }
        all_valid
    }

    fn is_valid(&self, subject: usize, issuer: usize, p256: &dyn P256) -> bool {
        let signed = self.subject(subject).and_then(Signed::of);
        let key = self.key(issuer).and_then(PublicKey::uncompressed);
        match (signed, key) {
            (Some(signed), Some(key)) => is_signed(p256, key, signed.tbs, signed.signature),
            _ => false,
        }
    }

    fn subject(&self, at: usize) -> Option<&'a [u8]> {
        match at.checked_sub(1) {
            None => Some(self.leaf),
            Some(at) => self.intermediates.get(at).map(AsRef::as_ref),
        }
    }

    /// The encoded point of an issuer's key, within the certificate or anchor that holds it.
    fn key(&self, at: usize) -> Option<&'a [u8]> {
        match at.checked_sub(MAX_CANDIDATES) {
            None => PublicKey::point_of_certificate(self.intermediates.get(at)?),
            Some(at) => {
                // webpki has stripped tag and length.
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
        // By address: the slices are parts of the same certificates, so their contents need not be compared.
        let subject = (0..SUBJECTS).find(|&at| {
            let signed = self.subject(at).and_then(Signed::of);
            signed.is_some_and(|signed| core::ptr::eq(signed.tbs, message))
        });
        let issuer = (0..ISSUERS)
            .find(|&at| (self.key(at)).is_some_and(|key| core::ptr::eq(key, public_key)));
        let (Some(subject), Some(issuer)) = (subject, issuer) else {
            return Err(InvalidSignature);
        };
        let bit = 1 << issuer;
        let invalid = self.invalid.get(subject).ok_or(InvalidSignature)?;
        let asked = self.asked.get(subject).ok_or(InvalidSignature)?;
        if invalid.load(Ordering::Relaxed) & bit != 0 {
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

// A derived implementation would link the formatting of lists into firmware.
impl fmt::Debug for Deferred<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deferred")
    }
}
