//! Selection of the certificates from which a path can be built.

use super::{Fields, PathError};
use heapless::Vec;
use rustls_pki_types::CertificateDer;

/// The maximum number of certificates, other than the leaf, that are considered for a path.
pub const MAX_CANDIDATES: usize = 8;

/// The certificates that can be part of a path by their names, at most [`MAX_CANDIDATES`].
///
/// A peer can send other certificates too, in any number and order (RFC 8446 section 4.4.2). These are ignored, even if they are
/// malformed, and so are repetitions.
pub(super) struct Candidates<'i> {
    certificates: Vec<CertificateDer<'i>, MAX_CANDIDATES>,
}

impl<'i> Candidates<'i> {
    /// Selects from `sent` each certificate whose subject is the issuer of the leaf or of a certificate that is already selected.
    /// Keeps their order, because webpki's choice among equal errors depends on it. Iterates over `sent` at most
    /// [`MAX_CANDIDATES`] plus two times.
    ///
    /// # Errors
    /// [`PathError::Certificate`] if the leaf is malformed, [`PathError::TooManyIntermediates`] if more than [`MAX_CANDIDATES`]
    /// certificates would be selected.
    // Not inlined, so that its stack frame is released before the path is verified.
    #[inline(never)]
    pub(super) fn select(
        leaf: &[u8],
        sent: impl Iterator<Item = &'i [u8]> + Clone,
    ) -> Result<Self, PathError> {
        let issuer = Fields::parse(leaf)?.issuer;
        let mut selected = Self::new();
        loop {
            let before = selected.certificates.len();
            for certificate in sent.clone() {
                if selected.is_possible_issuer(certificate, issuer) {
                    selected.add(certificate)?;
                }
            }
            if selected.certificates.len() == before {
                break;
            }
        }
        let mut in_order = Self::new();
        for certificate in sent {
            if selected.contains(certificate) {
                in_order.add(certificate)?;
            }
        }
        Ok(in_order)
    }

    fn new() -> Self {
        Self {
            certificates: Vec::new(),
        }
    }

    /// Adds a certificate unless it is already present.
    #[inline(never)]
    fn add(&mut self, certificate: &'i [u8]) -> Result<(), PathError> {
        if !self.contains(certificate) {
            let pushed = self.certificates.push(CertificateDer::from(certificate));
            pushed.map_err(|_| PathError::TooManyIntermediates)?;
        }
        Ok(())
    }

    /// Returns whether a certificate, by its name, can be the issuer of the leaf or of a selected certificate.
    #[inline(never)]
    fn is_possible_issuer(&self, certificate: &[u8], leaf_issuer: &[u8]) -> bool {
        let Ok(Fields { subject, .. }) = Fields::parse(certificate) else {
            return false;
        };
        let issued = |other: &CertificateDer<'_>| {
            Fields::parse(other).is_ok_and(|other| other.issuer == subject)
        };
        leaf_issuer == subject || self.as_slice().iter().any(issued)
    }

    fn contains(&self, certificate: &[u8]) -> bool {
        self.as_slice().iter().any(|one| **one == *certificate)
    }

    pub(super) fn as_slice(&self) -> &[CertificateDer<'i>] {
        &self.certificates
    }
}
