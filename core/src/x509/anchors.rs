use super::{PathError, PublicKey};
use core::fmt;
use rustls_pki_types::{CertificateDer, TrustAnchor};

/// The most trust anchors of one [`Anchors`].
pub const MAX_ANCHORS: usize = 4;

/// Trusted certification authorities, at most [`MAX_ANCHORS`].
///
/// Their own validity, signature and usage are not checked (RFC 5280 section 6.1.1).
#[derive(Clone)]
pub struct Anchors<'a> {
    anchors: [TrustAnchor<'a>; MAX_ANCHORS],
    len: usize,
}

impl<'a> Anchors<'a> {
    /// Creates anchors from the authorities' certificates, DER.
    ///
    /// # Errors
    /// [`PathError::Anchor`] if one is not a certificate, [`PathError::PublicKey`] if its key is a compressed point,
    /// [`PathError::NoAnchor`] if the list is empty, [`PathError::TooManyAnchors`].
    pub fn new(certificates: &[&'a [u8]]) -> Result<Self, PathError> {
        if certificates.is_empty() {
            return Err(PathError::NoAnchor);
        }
        let mut anchors = [(); MAX_ANCHORS].map(|()| TrustAnchor {
            subject: [].as_slice().into(),
            subject_public_key_info: [].as_slice().into(),
            name_constraints: None,
        });
        for (at, certificate) in certificates.iter().enumerate() {
            let slot = anchors.get_mut(at).ok_or(PathError::TooManyAnchors)?;
            *slot = anchor(certificate)?;
        }
        Ok(Self {
            anchors,
            len: certificates.len(),
        })
    }

    pub(super) fn as_slice(&self) -> &[TrustAnchor<'a>] {
        self.anchors.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Debug for Anchors<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Anchors({})", self.len)
    }
}

/// Parses an anchor. webpki's result borrows from a local value; its parts are located again in the caller's slice.
fn anchor<'a>(certificate: &'a [u8]) -> Result<TrustAnchor<'a>, PathError> {
    let der = CertificateDer::from(certificate);
    let found = webpki::anchor_from_trusted_cert(&der).map_err(|_| PathError::Anchor)?;
    if PublicKey::is_unsupported_point(PublicKey::point_of_contents(
        found.subject_public_key_info.as_ref(),
    )) {
        return Err(PathError::PublicKey);
    }
    let within = |part: &[u8]| -> Option<&'a [u8]> {
        let start = (part.as_ptr().addr()).checked_sub(certificate.as_ptr().addr())?;
        certificate.get(start..start.checked_add(part.len())?)
    };
    let name_constraints = match &found.name_constraints {
        Some(constraints) => Some(
            within(constraints.as_ref())
                .ok_or(PathError::Anchor)?
                .into(),
        ),
        None => None,
    };
    Ok(TrustAnchor {
        subject: within(found.subject.as_ref())
            .ok_or(PathError::Anchor)?
            .into(),
        subject_public_key_info: within(found.subject_public_key_info.as_ref())
            .ok_or(PathError::Anchor)?
            .into(),
        name_constraints,
    })
}
