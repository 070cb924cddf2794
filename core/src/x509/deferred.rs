//! Verification of signatures after webpki has searched for a path.
//!
//! webpki verifies each signature deep in its recursion, where the stack use of ECDSA is added to its own. [`Deferred`] reports
//! each signature as valid and records it; [`Deferred::verify`] verifies the recorded signatures afterwards. The search is
//! repeated, with the invalid signatures known, until every reported result was correct. The last result of the search, a path or
//! an error, is then the one that webpki returns if it verifies each signature immediately, within the same limits.

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

/// The number of possible issuers: the intermediates, followed by the anchors. Each has one bit in [`Issuers`].
const ISSUERS: usize = MAX_CANDIDATES + MAX_ANCHORS;
const _: () = assert!(
    ISSUERS <= 16,
    "each issuer needs one bit of a u16: reduce MAX_CANDIDATES or MAX_ANCHORS"
);

/// The number of subjects: the leaf, followed by the intermediates.
const SUBJECTS: usize = MAX_CANDIDATES + 1;

/// A set of issuers of one subject. It is atomic only because webpki requires algorithms to be `Sync`; one thread uses it at a
/// time.
type Issuers = AtomicU16;

/// The signature algorithm that is passed to webpki: ecdsa-with-SHA256 with keys on P-256.
pub(super) struct Deferred<'a> {
    leaf: &'a [u8],
    intermediates: &'a [CertificateDer<'a>],
    anchors: &'a [TrustAnchor<'a>],
    /// For each subject, the issuers with whose keys webpki has requested verification since the last call of `verify`.
    requested: [Issuers; SUBJECTS],
    /// For each subject, the issuers whose key is known to verify its signature.
    valid: [Issuers; SUBJECTS],
    /// For each subject, the issuers whose key is known not to verify its signature.
    invalid: [Issuers; SUBJECTS],
}

impl<'a> Deferred<'a> {
    pub(super) fn new(
        leaf: &'a [u8],
        intermediates: &'a [CertificateDer<'a>],
        anchors: &'a [TrustAnchor<'a>],
    ) -> Self {
        let no_issuers = || [(); SUBJECTS].map(|()| Issuers::new(0));
        Self {
            leaf,
            intermediates,
            anchors,
            requested: no_issuers(),
            valid: no_issuers(),
            invalid: no_issuers(),
        }
    }

    /// Verifies the signatures that were requested since the last call, each pair of subject and issuer once. Returns whether all
    /// of them are valid, that is, whether the results reported to webpki were correct.
    pub(super) fn verify(&self, p256: &dyn P256) -> bool {
        let mut all_valid = true;
        for (at, requested) in self.requested.iter().enumerate() {
            let bits = requested.load(Ordering::Relaxed);
            requested.store(0, Ordering::Relaxed);
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
        let signed = self.subject(subject).and_then(Signed::parse);
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

    /// Returns the encoded point of an issuer's key, as a slice of the certificate or anchor that contains it.
    fn key(&self, at: usize) -> Option<&'a [u8]> {
        match at.checked_sub(MAX_CANDIDATES) {
            None => PublicKey::point_of_certificate(self.intermediates.get(at)?),
            Some(at) => {
                // webpki has removed the tag and the length.
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
        // Compare addresses: the slices are parts of the same certificates, so their contents need not be compared.
        let subject = (0..SUBJECTS).find(|&at| {
            let signed = self.subject(at).and_then(Signed::parse);
            signed.is_some_and(|signed| core::ptr::eq(signed.tbs, message))
        });
        let issuer = (0..ISSUERS)
            .find(|&at| (self.key(at)).is_some_and(|key| core::ptr::eq(key, public_key)));
        let (Some(subject), Some(issuer)) = (subject, issuer) else {
            return Err(InvalidSignature);
        };
        let bit = 1 << issuer;
        let invalid = self.invalid.get(subject).ok_or(InvalidSignature)?;
        let requested = self.requested.get(subject).ok_or(InvalidSignature)?;
        if invalid.load(Ordering::Relaxed) & bit != 0 {
            return Err(InvalidSignature);
        }
        requested.store(requested.load(Ordering::Relaxed) | bit, Ordering::Relaxed);
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
