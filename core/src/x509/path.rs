use super::{
    Algorithms, Anchors, Fields, MAX_CANDIDATES, P256, PathError, PublicKey, SignatureScheme,
    VerifiedLeaf, algorithm::is_signed, candidates::Candidates, deferred::Deferred,
};
use crate::crypto::{ecdsa::RUST_CRYPTO, equal, sha256};
use core::{cell::Cell, time::Duration};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};

/// The maximum number of certificates between leaf and trust anchor in a path.
pub const MAX_INTERMEDIATES: usize = 4;

/// The rules for a certificate path: trust anchors, usage, time, pinned key and signature algorithms.
#[derive(Debug, Clone, Copy)]
pub struct PathRules<'a> {
    anchors: &'a Anchors<'a>,
    usage: Usage,
    time: Time,
    pin: Option<&'a [u8; 32]>,
    verifier: Verifier<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Verifier<'a> {
    P256(&'static dyn P256),
    Algorithms(Algorithms<'a>),
}

/// The use of the leaf's key. If the leaf has an extended key usage, it must include this use (RFC 5280 section 4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Usage {
    /// Authentication of a TLS server (id-kp-serverAuth).
    ServerAuth,
    /// Authentication of a TLS client (id-kp-clientAuth).
    ClientAuth,
}

/// The time at which a path must be valid, in seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// The current time is known.
    At(u64),
    /// The current time is not known, but is not earlier than this, for example for a device without a clock that knows when its
    /// firmware was built. A certificate that had expired by then is rejected. A certificate that becomes valid later is treated
    /// as valid, unless an expired certificate with the same name is sent before it.
    NotBefore(u64),
}

impl Time {
    /// Returns a time for which certificates never expire, for a device that knows nothing about the time.
    ///
    /// An attacker who has ever obtained the key of a certificate can use the key without a time limit.
    #[must_use]
    pub const fn dangerous_unknown() -> Self {
        Self::NotBefore(0)
    }
}

impl<'a> PathRules<'a> {
    /// Creates rules for a path to one of `anchors` that permits `usage` and is valid at `time`. Signatures are verified by
    /// [`RUST_CRYPTO`].
    #[must_use]
    pub fn new(anchors: &'a Anchors<'a>, usage: Usage, time: Time) -> Self {
        Self {
            anchors,
            usage,
            time,
            pin: None,
            verifier: Verifier::P256(RUST_CRYPTO),
        }
    }

    /// Requires, in addition, that the SubjectPublicKeyInfo of the leaf has this SHA-256 hash; [`super::spki_sha256`] computes it.
    #[must_use]
    pub fn with_spki_pin(mut self, pin: &'a [u8; 32]) -> Self {
        self.pin = Some(pin);
        self
    }

    /// Replaces the usage.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// Replaces the implementation of P-256.
    #[must_use]
    pub fn with_p256(mut self, p256: &'static dyn P256) -> Self {
        self.verifier = Verifier::P256(p256);
        self
    }

    /// Verifies signatures with the given algorithms instead of ECDSA on P-256.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms<'a>) -> Self {
        self.verifier = Verifier::Algorithms(algorithms);
        self
    }

    /// Verifies a path from `leaf` (DER) to a trust anchor, through certificates among those `sent` with the leaf.
    ///
    /// `sent` can be in any order and can include certificates that are not part of the path, which are ignored (RFC 8446 section
    /// 4.4.2). The path can have at most [`MAX_INTERMEDIATES`] certificates between leaf and trust anchor. The caller must check
    /// the name with [`VerifiedLeaf::has_name`].
    ///
    /// # Errors
    /// [`PathError`] if no path satisfies the rules. If there are several reasons, webpki selects the one that is returned.
    pub fn verify<'c, 'i>(
        &self,
        leaf: &'c [u8],
        sent: impl IntoIterator<Item = &'i [u8], IntoIter: Clone>,
    ) -> Result<VerifiedLeaf<'c>, PathError> {
        self.verify_issued_by(leaf, sent, &|_| true)
    }

    /// Verifies a path as [`Self::verify`] does, and requires that it contains a certificate whose issuer (a distinguished name in
    /// DER) satisfies `is_wanted`.
    pub(crate) fn verify_issued_by<'c, 'i>(
        &self,
        leaf: &'c [u8],
        sent: impl IntoIterator<Item = &'i [u8], IntoIter: Clone>,
        is_wanted: &dyn Fn(&[u8]) -> bool,
    ) -> Result<VerifiedLeaf<'c>, PathError> {
        let candidates = Candidates::select(leaf, sent.into_iter())?;
        self.verify_candidates(leaf, candidates.as_slice(), is_wanted)?;
        self.accept(leaf)
    }

    #[inline(never)]
    fn verify_candidates(
        &self,
        leaf: &[u8],
        candidates: &[CertificateDer<'_>],
        is_wanted: &dyn Fn(&[u8]) -> bool,
    ) -> Result<(), PathError> {
        let checks = PathChecks {
            leaf_is_wanted: is_wanted(Fields::parse(leaf)?.issuer),
            is_wanted,
            failed: Cell::new(None),
        };
        let result = match self.verifier {
            Verifier::P256(p256) => {
                let deferred = Deferred::new(leaf, candidates, self.anchors.as_slice());
                // Terminates, because each round except the last finds at least one more invalid signature.
                loop {
                    // An authority error does not count if the search relied on signatures that turned out to be invalid. An error
                    // about the form of a key does count, because signatures by that key are invalid.
                    if checks.failed.get() == Some(PathError::Authority) {
                        checks.failed.set(None);
                    }
                    let result = self.build(leaf, candidates, &[&deferred], &checks);
                    if deferred.verify(p256) {
                        break result;
                    }
                }
            }
            Verifier::Algorithms(algorithms) => {
                let algorithms = algorithms.certificates;
                self.build(leaf, candidates, algorithms, &checks)
            }
        };
        result.map_err(|error| checks.failed.get().unwrap_or(error))
    }

    /// Builds a path with webpki. Not inlined, because its stack frame is large.
    #[inline(never)]
    fn build(
        &self,
        leaf: &[u8],
        candidates: &[CertificateDer<'_>],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
        checks: &PathChecks<'_>,
    ) -> Result<(), PathError> {
        let der = CertificateDer::from(leaf);
        let certificate = EndEntityCert::try_from(&der).map_err(PathError::from)?;
        let usage = match self.usage {
            Usage::ServerAuth => KeyUsage::server_auth(),
            Usage::ClientAuth => KeyUsage::client_auth(),
        };
        // With `Time::NotBefore`, a certificate that becomes valid later is treated as valid: each further attempt uses a later
        // time, at which at least one more certificate is valid. There is only one call, because its result takes a kilobyte of
        // stack.
        let (mut time, mut tries) = match self.time {
            Time::At(now) => (now, 0),
            Time::NotBefore(earliest) => (earliest, MAX_CANDIDATES.saturating_add(1)),
        };
        loop {
            let result = certificate.verify_for_usage(
                algorithms,
                self.anchors.as_slice(),
                candidates,
                UnixTime::since_unix_epoch(Duration::from_secs(time)),
                usage,
                None,
                Some(&|path: &VerifiedPath<'_>| checks.check(path)),
            );
            let Some(error) = result.err() else {
                return Ok(());
            };
            match (error, tries.checked_sub(1)) {
                (Error::CertNotValidYet { not_before, .. }, Some(left))
                    if not_before.as_secs() > time =>
                {
                    (time, tries) = (not_before.as_secs(), left);
                }
                (error, _) => return Err(error.into()),
            }
        }
    }

    /// Performs the checks of a leaf that webpki leaves to the caller: key usage, form of the key, pin and names. Not inlined, so
    /// that its stack frame is not added to that of the path search.
    #[inline(never)]
    fn accept<'c>(&self, leaf: &'c [u8]) -> Result<VerifiedLeaf<'c>, PathError> {
        let fields = Fields::parse(leaf)?;
        if !fields.may_sign() {
            return Err(PathError::Usage);
        }
        if PublicKey::is_unsupported_point(PublicKey::point_of_spki(fields.spki)) {
            return Err(PathError::PublicKey);
        }
        if self
            .pin
            .is_some_and(|pin| !equal(pin, &sha256(fields.spki)))
        {
            return Err(PathError::Pin);
        }
        VerifiedLeaf::new(leaf, fields).ok_or(PathError::Certificate)
    }

    /// Verifies a signature by the leaf's key over `message`.
    ///
    /// # Errors
    /// [`PathError::SignatureAlgorithm`] if the scheme is not supported, [`PathError::PublicKey`] if the leaf's key is not of the
    /// kind that the scheme requires, [`PathError::Signature`] if the signature is invalid.
    #[inline(never)]
    pub fn verify_signature(
        &self,
        leaf: &VerifiedLeaf<'_>,
        scheme: SignatureScheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), PathError> {
        let verified = match self.verifier {
            Verifier::P256(p256) => {
                if scheme != SignatureScheme::ECDSA_SECP256R1_SHA256 {
                    return Err(PathError::SignatureAlgorithm);
                }
                let point = PublicKey::point_of_certificate(leaf.as_der());
                let key = point.and_then(PublicKey::uncompressed);
                let key = key.ok_or(PathError::PublicKey)?;
                return if is_signed(p256, key, message, signature) {
                    Ok(())
                } else {
                    Err(PathError::Signature)
                };
            }
            Verifier::Algorithms(algorithms) => {
                let mut all = algorithms.schemes.iter();
                let (_, algorithm) = all
                    .find(|(one, _)| *one == scheme)
                    .ok_or(PathError::SignatureAlgorithm)?;
                let der = CertificateDer::from(leaf.as_der());
                EndEntityCert::try_from(&der).and_then(|certificate| {
                    certificate.verify_signature(*algorithm, message, signature)
                })
            }
        };
        verified.map_err(|error| match error.into() {
            PathError::SignatureAlgorithm => PathError::PublicKey,
            other => other,
        })
    }

    /// Returns whether [`Self::verify_signature`] supports this scheme.
    #[must_use]
    pub fn verifies(&self, scheme: SignatureScheme) -> bool {
        match self.verifier {
            Verifier::P256(_) => scheme == SignatureScheme::ECDSA_SECP256R1_SHA256,
            Verifier::Algorithms(algorithms) => {
                algorithms.schemes.iter().any(|(one, _)| *one == scheme)
            }
        }
    }
}

/// Additional checks of a path that webpki has found. If they fail, webpki searches for another path.
struct PathChecks<'w> {
    is_wanted: &'w dyn Fn(&[u8]) -> bool,
    leaf_is_wanted: bool,
    /// The reason why a path was rejected, if webpki has no error for it.
    failed: Cell<Option<PathError>>,
}

impl PathChecks<'_> {
    fn check(&self, path: &VerifiedPath<'_>) -> Result<(), Error> {
        let (mut len, mut is_wanted) = (0usize, self.leaf_is_wanted);
        for certificate in path.intermediate_certificates() {
            let der = certificate.der();
            let fields = Fields::parse(&der).map_err(|_| Error::BadDer)?;
            if !fields.may_sign_certificates() {
                return Err(Error::EndEntityUsedAsCa);
            }
            if PublicKey::is_unsupported_point(PublicKey::point_of_spki(fields.spki)) {
                self.failed.set(Some(PathError::PublicKey));
                return Err(Error::BadDer);
            }
            is_wanted |= (self.is_wanted)(fields.issuer);
            len = len.saturating_add(1);
        }
        if len > MAX_INTERMEDIATES {
            return Err(Error::MaximumPathDepthExceeded);
        }
        if !is_wanted {
            self.failed.set(Some(PathError::Authority));
            return Err(Error::UnknownIssuer);
        }
        Ok(())
    }
}
