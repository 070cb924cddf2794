use super::{
    Algorithms, Anchors, Fields, P256, PathError, PublicKey, SignatureScheme, VerifiedLeaf,
    algorithm::is_signed, deferred::Deferred,
};
use crate::crypto::{ecdsa::RUST_CRYPTO, equal, sha256};
use core::time::Duration;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};

/// The most certificates between leaf and trust anchor.
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

    /// Verifies the path from `leaf` (DER) by way of any of `intermediates` to an anchor. Names are for the caller to look at.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn verify<'c>(
        &self,
        leaf: &'c [u8],
        intermediates: &[&'c [u8]],
    ) -> Result<VerifiedLeaf<'c>, PathError> {
        match self.verifier {
            Verifier::P256(p256) => {
                let anchors = self.anchors.as_slice();
                let deferred = Deferred::new(leaf, intermediates, anchors);
                // At least one signature more is known to be wrong each time.
                loop {
                    self.build(leaf, intermediates, &[&deferred])?;
                    if deferred.settle(p256) {
                        break;
                    }
                }
            }
            Verifier::Algorithms(algorithms) => {
                self.build(leaf, intermediates, algorithms.certificates)?;
            }
        }
        self.accept(leaf)
    }

    /// Has webpki build a path. Apart from what comes before and after: this is deep.
    #[inline(never)]
    fn build(
        &self,
        leaf: &[u8],
        intermediates: &[&[u8]],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), PathError> {
        let mut chain = [(); MAX_INTERMEDIATES].map(|()| CertificateDer::from([].as_slice()));
        for (at, intermediate) in intermediates.iter().enumerate() {
            *chain.get_mut(at).ok_or(PathError::TooManyIntermediates)? =
                CertificateDer::from(*intermediate);
        }
        let chain = chain.get(..intermediates.len()).unwrap_or_default();
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
            Time::NotBefore(earliest) => (earliest, MAX_INTERMEDIATES.saturating_add(1)),
        };
        loop {
            let refused = certificate.verify_for_usage(
                algorithms,
                self.anchors.as_slice(),
                chain,
                UnixTime::since_unix_epoch(Duration::from_secs(time)),
                usage,
                None,
                Some(&issuers_may_sign),
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

    /// What is left to do when the path is verified; apart from the frame that verifies it, which is deep.
    #[inline(never)]
    fn accept<'c>(&self, leaf: &'c [u8]) -> Result<VerifiedLeaf<'c>, PathError> {
        let fields = Fields::of(leaf)?;
        if !fields.may_sign() {
            return Err(PathError::Usage);
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
                let key = PublicKey::point_of_certificate(leaf.as_der());
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

/// Of a path that webpki has found: it looks for another one if this is refused.
fn issuers_may_sign(path: &VerifiedPath<'_>) -> Result<(), Error> {
    let may_sign = path.intermediate_certificates().all(|certificate| {
        Fields::of(&certificate.der()).is_ok_and(|fields| fields.may_sign_certificates())
    });
    if may_sign {
        Ok(())
    } else {
        Err(Error::EndEntityUsedAsCa)
    }
}
