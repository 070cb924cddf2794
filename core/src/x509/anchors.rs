use super::{PathError, PublicKey};
use core::fmt;
use heapless::Vec;
use rustls_pki_types::{CertificateDer, TrustAnchor};

/// The maximum number of trust anchors in [`Anchors`].
pub const MAX_ANCHORS: usize = 4;

/// A list of trusted certification authorities, of 1 to [`MAX_ANCHORS`] entries.
///
/// The validity, signature and usage of their certificates are not checked (RFC 5280 section 6.1.1).
#[derive(Clone)]
pub struct Anchors<'a> {
    anchors: Vec<TrustAnchor<'a>, MAX_ANCHORS>,
}

impl<'a> Anchors<'a> {
    /// Creates trust anchors from the certificates of the authorities in DER.
    ///
    /// # Errors
    /// [`PathError::Anchor`] if one of them is not a certificate, [`PathError::PublicKey`] if its key is a point of P-256 that is
    /// not uncompressed, [`PathError::NoAnchor`] if the list is empty, [`PathError::TooManyAnchors`] if it has more than
    /// [`MAX_ANCHORS`] entries.
    pub fn new(certificates: &[&'a [u8]]) -> Result<Self, PathError> {
        Self::collect(certificates.iter().map(|certificate| anchor(certificate)))
    }

    /// Creates anchors from ones that [`Anchors::new`] parsed before and that were copied since.
    ///
    /// # Errors
    /// [`PathError::NoAnchor`] if the list is empty, [`PathError::TooManyAnchors`].
    pub fn from_parsed(
        parsed: impl IntoIterator<Item = TrustAnchor<'a>>,
    ) -> Result<Self, PathError> {
        Self::collect(parsed.into_iter().map(Ok))
    }

    fn collect(
        parsed: impl Iterator<Item = Result<TrustAnchor<'a>, PathError>>,
    ) -> Result<Self, PathError> {
        let mut anchors = Vec::new();
        for anchor in parsed {
            if anchors.is_full() {
                return Err(PathError::TooManyAnchors);
            }
            let pushed = anchors.push(anchor?);
            pushed.map_err(|_| PathError::TooManyAnchors)?;
        }
        if anchors.is_empty() {
            return Err(PathError::NoAnchor);
        }
        Ok(Self { anchors })
    }

    /// Returns the anchors.
    #[must_use]
    pub fn as_slice(&self) -> &[TrustAnchor<'a>] {
        &self.anchors
    }
}

impl fmt::Debug for Anchors<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Anchors({})", self.anchors.len())
    }
}

/// Parses a trust anchor. The result of webpki borrows from a local value, so its parts are located again in the caller's slice.
fn anchor<'a>(certificate: &'a [u8]) -> Result<TrustAnchor<'a>, PathError> {
    let der = CertificateDer::from(certificate);
    let found = webpki::anchor_from_trusted_cert(&der).map_err(|_| PathError::Anchor)?;
    if PublicKey::is_unsupported_point(PublicKey::point_of_contents(
        found.subject_public_key_info.as_ref(),
    )) {
        return Err(PathError::PublicKey);
    }
    let locate = |part: &[u8]| -> Option<&'a [u8]> {
        let start = (part.as_ptr().addr()).checked_sub(certificate.as_ptr().addr())?;
        certificate.get(start..start.checked_add(part.len())?)
    };
    let name_constraints = match &found.name_constraints {
        Some(constraints) => Some(
            locate(constraints.as_ref())
                .ok_or(PathError::Anchor)?
                .into(),
        ),
        None => None,
    };
    Ok(TrustAnchor {
        subject: locate(found.subject.as_ref())
            .ok_or(PathError::Anchor)?
            .into(),
        subject_public_key_info: locate(found.subject_public_key_info.as_ref())
            .ok_or(PathError::Anchor)?
            .into(),
        name_constraints,
    })
}
