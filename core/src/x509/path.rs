use super::{
    Algorithms, Anchors, Fields, MAX_CANDIDATES, P256, PathError, PublicKey, SignatureScheme,
    VerifiedLeaf, algorithm::is_signed, candidates::Candidates, deferred::Deferred,
};
use crate::crypto::{ecdsa::RUST_CRYPTO, equal, sha256};
use core::{cell::Cell, time::Duration};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};

/// The most certificates between leaf and trust anchor in a path.
pub const MAX_INTERMEDIATES: usize = 4;

/// What a path must be like.
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

/// What the leaf's key is used for: its extended key usage, if it has one, must say so (RFC 5280 section 4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Usage {
    /// id-kp-serverAuth
    ServerAuth,
    /// id-kp-clientAuth
    ClientAuth,
}

/// What is known of the time, in seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// It is this.
    At(u64),
    /// It is this or later, as for a device without a clock that knows when its firmware was built: what had expired by then is
    /// refused, and a certificate that begins later is taken to have begun, unless an expired one of the same name is sent before it.
    NotBefore(u64),
}

impl Time {
    /// Nothing is known of it: certificates never expire. Whoever once stole the key of a certificate can use it for ever.
    #[must_use]
    pub const fn dangerous_unknown() -> Self {
        Self::NotBefore(0)
    }
}

impl<'a> PathRules<'a> {
    /// A path to one of `anchors`, for `usage`, good at `time`.
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

    /// The leaf must have the key whose SubjectPublicKeyInfo has this SHA-256 as well; [`super::spki_sha256`] computes it.
    #[must_use]
    pub fn with_spki_pin(mut self, pin: &'a [u8; 32]) -> Self {
        self.pin = Some(pin);
        self
    }

    /// Another usage.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// Another implementation of P-256.
    #[must_use]
    pub fn with_p256(mut self, p256: &'static dyn P256) -> Self {
        self.verifier = Verifier::P256(p256);
        self
    }

    /// Other algorithms than ECDSA on P-256.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms<'a>) -> Self {
        self.verifier = Verifier::Algorithms(algorithms);
        self
    }

    /// Verifies the path from `leaf` (DER) by way of any of the certificates `sent` with it to an anchor. These may be in any order, and may
    /// include some that are not part of the path (RFC 8446 section 4.4.2): those are ignored. The path may have [`MAX_INTERMEDIATES`]
    /// certificates between leaf and anchor. The caller must compare names.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn verify<'c, 'i>(
        &self,
        leaf: &'c [u8],
        sent: impl IntoIterator<Item = &'i [u8], IntoIter: Clone>,
    ) -> Result<VerifiedLeaf<'c>, PathError> {
        self.verify_issued_by(leaf, sent, &|_| true)
    }

    /// As [`Self::verify`], for paths with a certificate whose issuer (a distinguished name, DER) is among those wanted.
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
            leaf_is_wanted: is_wanted(Fields::of(leaf)?.issuer),
            is_wanted,
            failed: Cell::new(None),
        };
        let built = match self.verifier {
            Verifier::P256(p256) => {
                let deferred = Deferred::new(leaf, candidates, self.anchors.as_slice());
                // Each round but the last finds at least one more signature to be invalid.
                loop {
                    // Found under signatures that were not verified yet, it does not count; a key's form does, as it makes them invalid.
                    if checks.failed.get() == Some(PathError::Authority) {
                        checks.failed.set(None);
                    }
                    let built = self.build(leaf, candidates, &[&deferred], &checks);
                    if deferred.verify(p256) {
                        break built;
                    }
                }
            }
            Verifier::Algorithms(algorithms) => {
                let algorithms = algorithms.certificates;
                self.build(leaf, candidates, algorithms, &checks)
            }
        };
        built.map_err(|error| checks.failed.get().unwrap_or(error))
    }

    /// Has webpki build a path. Not inlined, because its frame is deep.
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
        // A certificate that begins later than the earliest time there can be is taken to have begun: each further try begins at least
        // one more of them. (One call, as what it returns takes a kilobyte of stack.)
        let (mut time, mut tries) = match self.time {
            Time::At(now) => (now, 0),
            Time::NotBefore(earliest) => (earliest, MAX_CANDIDATES.saturating_add(1)),
        };
        loop {
            let refused = certificate.verify_for_usage(
                algorithms,
                self.anchors.as_slice(),
                candidates,
                UnixTime::since_unix_epoch(Duration::from_secs(time)),
                usage,
                None,
                Some(&|path: &VerifiedPath<'_>| checks.check(path)),
            );
            let Some(error) = refused.err() else {
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

    /// Checks what webpki leaves to the caller, of a leaf whose path is verified. Not inlined, to stay out of the deep frame above.
    #[inline(never)]
    fn accept<'c>(&self, leaf: &'c [u8]) -> Result<VerifiedLeaf<'c>, PathError> {
        let fields = Fields::of(leaf)?;
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
    /// [`PathError::SignatureAlgorithm`] for schemes that are not verified here, [`PathError::PublicKey`] for a key that is not of the
    /// scheme's kind, [`PathError::Signature`].
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

    /// Whether signatures of this scheme are verified here.
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

/// Further checks of a path that webpki has found; webpki looks for another one where they fail.
struct PathChecks<'w> {
    is_wanted: &'w dyn Fn(&[u8]) -> bool,
    leaf_is_wanted: bool,
    /// The reason for which a path was rejected, where webpki has no error for it.
    failed: Cell<Option<PathError>>,
}

impl PathChecks<'_> {
    fn check(&self, path: &VerifiedPath<'_>) -> Result<(), Error> {
        let (mut len, mut is_wanted) = (0usize, self.leaf_is_wanted);
        for certificate in path.intermediate_certificates() {
            let der = certificate.der();
            let fields = Fields::of(&der).map_err(|_| Error::BadDer)?;
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
