//! Selection of the certificates that a path can be built of.

use super::{Fields, PathError};
use rustls_pki_types::CertificateDer;

/// The most certificates, of those that a peer sends beside its leaf, that are considered for a path.
pub const MAX_CANDIDATES: usize = 8;

/// The certificates that can be part of a path by their names, at most [`MAX_CANDIDATES`].
///
/// A peer may send others too (RFC 8446 section 4.4.2), in any number and order: they are ignored, malformed ones included, as are
/// repetitions.
pub(super) struct Candidates<'i> {
    certificates: [CertificateDer<'i>; MAX_CANDIDATES],
    len: usize,
}

impl<'i> Candidates<'i> {
    /// Selects from `sent` each certificate whose subject is the issuer of the leaf or of one already selected. Keeps their order, on which
    /// webpki's choice among equal errors depends. Goes through `sent` at most `MAX_CANDIDATES + 2` times.
    ///
    /// # Errors
    /// [`PathError::Certificate`] for a malformed leaf, [`PathError::TooManyIntermediates`].
    // Not inlined, so that its frame is gone when the path is verified.
    #[inline(never)]
    pub(super) fn select(
        leaf: &[u8],
        sent: impl Iterator<Item = &'i [u8]> + Clone,
    ) -> Result<Self, PathError> {
        let issuer = Fields::of(leaf)?.issuer;
        let mut selected = Self::new();
        loop {
            let before = selected.len;
            for certificate in sent.clone() {
                if selected.leads_to(certificate, issuer) {
                    selected.add(certificate)?;
                }
            }
            if selected.len == before {
                break;
            }
        }
        let mut in_order = Self::new();
        for certificate in sent {
            if selected.has(certificate) {
                in_order.add(certificate)?;
            }
        }
        Ok(in_order)
    }

    fn new() -> Self {
        Self {
            certificates: [(); MAX_CANDIDATES].map(|()| CertificateDer::from([].as_slice())),
            len: 0,
        }
    }

    /// Adds a certificate unless it is there.
    #[inline(never)]
    fn add(&mut self, certificate: &'i [u8]) -> Result<(), PathError> {
        if !self.has(certificate) {
            let slot = self.certificates.get_mut(self.len);
            *slot.ok_or(PathError::TooManyIntermediates)? = CertificateDer::from(certificate);
            self.len = self.len.saturating_add(1);
        }
        Ok(())
    }

    /// Returns whether a certificate may have issued the leaf or one of these, by its name.
    #[inline(never)]
    fn leads_to(&self, certificate: &[u8], leaf_issuer: &[u8]) -> bool {
        let Ok(Fields { subject, .. }) = Fields::of(certificate) else {
            return false;
        };
        let issued = |other: &CertificateDer<'_>| {
            Fields::of(other).is_ok_and(|other| other.issuer == subject)
        };
        leaf_issuer == subject || self.as_slice().iter().any(issued)
    }

    fn has(&self, certificate: &[u8]) -> bool {
        self.as_slice().iter().any(|one| **one == *certificate)
    }

    pub(super) fn as_slice(&self) -> &[CertificateDer<'i>] {
        self.certificates.get(..self.len).unwrap_or_default()
    }
}
