use super::{
    Anchors, P256, PathError, PublicKey, algorithm::EcdsaP256Sha256, subject_public_key_info,
};
use crate::crypto::{ecdsa::RUST_CRYPTO, equal, sha256};
use core::{fmt, time::Duration};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

/// The most certificates between leaf and trust anchor.
pub const MAX_INTERMEDIATES: usize = 4;

/// What a path must be like.
#[derive(Debug, Clone, Copy)]
pub struct PathRules<'a> {
    anchors: &'a Anchors<'a>,
    usage: Usage,
    time: Time,
    pin: Option<&'a [u8; 32]>,
    p256: &'static dyn P256,
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
    /// refused, and a certificate that begins later is taken to have begun.
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
            p256: RUST_CRYPTO,
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
        self.p256 = p256;
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
        let empty: &'c [u8] = &[];
        let mut chain = [(); MAX_INTERMEDIATES].map(|()| CertificateDer::from(empty));
        for (at, intermediate) in intermediates.iter().enumerate() {
            *chain.get_mut(at).ok_or(PathError::TooManyIntermediates)? =
                CertificateDer::from(*intermediate);
        }
        let chain = chain.get(..intermediates.len()).unwrap_or_default();
        let algorithm = EcdsaP256Sha256(self.p256);
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
                &[&algorithm],
                self.anchors.as_slice(),
                chain,
                UnixTime::since_unix_epoch(Duration::from_secs(time)),
                usage,
                None,
                None,
            );
            let Some(error) = refused.err() else {
                break;
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
        self.accept(leaf)
    }

    /// What is left to do when the path is verified; apart from the frame that verifies it, which is deep.
    #[inline(never)]
    fn accept<'c>(&self, leaf: &'c [u8]) -> Result<VerifiedLeaf<'c>, PathError> {
        let spki = subject_public_key_info(leaf)?;
        if self.pin.is_some_and(|pin| !equal(pin, &sha256(spki))) {
            return Err(PathError::Pin);
        }
        Ok(VerifiedLeaf {
            certificate: leaf,
            public_key: PublicKey::from_spki(spki)?,
        })
    }
}

/// A certificate whose path has been verified.
#[derive(Clone, Copy)]
pub struct VerifiedLeaf<'c> {
    certificate: &'c [u8],
    public_key: PublicKey,
}

impl<'c> VerifiedLeaf<'c> {
    /// Whether it is for `name`: a DNS name or an IP address that its subject alternative names have (RFC 9525 section 6).
    ///
    /// # Errors
    /// [`PathError::Name`] if not, [`PathError::InvalidName`] if `name` is neither.
    #[inline(never)]
    pub fn has_name(&self, name: &str) -> Result<(), PathError> {
        let name = ServerName::try_from(name).map_err(|_| PathError::InvalidName)?;
        let der = CertificateDer::from(self.certificate);
        EndEntityCert::try_from(&der)
            .and_then(|certificate| certificate.verify_is_valid_for_subject_name(&name))
            .map_err(PathError::from)
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The certificate, DER.
    #[must_use]
    pub fn as_der(&self) -> &'c [u8] {
        self.certificate
    }
}

impl fmt::Debug for VerifiedLeaf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedLeaf({} bytes)", self.certificate.len())
    }
}
