use super::{PathError, PublicKey};
use core::fmt;
use rustls_pki_types::{CertificateDer, Der, TrustAnchor};

/// The maximum number of trust anchors in [`Anchors`].
pub const MAX_ANCHORS: usize = 4;

/// A list of trusted certification authorities, of 1 to [`MAX_ANCHORS`] entries.
///
/// The validity, signature and usage of their certificates are not checked (RFC 5280 section 6.1.1).
#[derive(Clone)]
pub struct Anchors<'a> {
    anchors: [TrustAnchor<'a>; MAX_ANCHORS],
    len: usize,
}

impl<'a> Anchors<'a> {
    /// Creates trust anchors from the certificates of the authorities in DER.
    ///
    /// # Errors
    /// [`PathError::Anchor`] if one of them is not a certificate, [`PathError::PublicKey`] if its key is a point of P-256 that is
    /// not uncompressed, [`PathError::NoAnchor`] if the list is empty, [`PathError::TooManyAnchors`] if it has more than
    /// [`MAX_ANCHORS`] entries.
    pub fn new(certificates: &[&'a [u8]]) -> Result<Self, PathError> {
        let mut all = Self {
            anchors: [(); MAX_ANCHORS].map(|()| Self::EMPTY),
            len: certificates.len(),
        };
        if certificates.is_empty() {
            return Err(PathError::NoAnchor);
        }
        for (at, certificate) in certificates.iter().enumerate() {
            let slot = all.anchors.get_mut(at).ok_or(PathError::TooManyAnchors)?;
            *slot = anchor(certificate)?;
        }
        Ok(all)
    }

    const EMPTY: TrustAnchor<'static> = TrustAnchor {
        subject: Der::from_slice(&[]),
        subject_public_key_info: Der::from_slice(&[]),
        name_constraints: None,
    };

    /// Creates anchors from ones that [`Anchors::new`] parsed before and that were copied since.
    ///
    /// # Errors
    /// [`PathError::NoAnchor`] if the list is empty, [`PathError::TooManyAnchors`].
    pub fn from_parsed(
        parsed: impl IntoIterator<Item = TrustAnchor<'a>>,
    ) -> Result<Self, PathError> {
        let mut all = Self {
            anchors: [(); MAX_ANCHORS].map(|()| Self::EMPTY),
            len: 0,
        };
        for anchor in parsed {
            *all.anchors
                .get_mut(all.len)
                .ok_or(PathError::TooManyAnchors)? = anchor;
            all.len = all.len.saturating_add(1);
        }
        if all.len == 0 {
            return Err(PathError::NoAnchor);
        }
        Ok(all)
    }

    /// Returns the anchors.
    #[must_use]
    pub fn as_slice(&self) -> &[TrustAnchor<'a>] {
        self.anchors.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Debug for Anchors<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Anchors({})", self.len)
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
