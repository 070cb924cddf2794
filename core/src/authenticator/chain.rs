use super::{
    Extension, ExtensionType, MAX_CONTEXT_LEN, message::HEADER_LEN, unsigned::AROUND_SIGNATURE,
};
use crate::{crypto::MAX_HASH_LEN, x509::SignatureScheme};

/// An identity to be proved: certificates, and how their key signs.
#[derive(Debug, Clone, Copy)]
pub struct CertificateChain<'a> {
    /// DER, the leaf first, each signed by the next; the authority's own may be left out.
    pub certificates: &'a [&'a [u8]],
    /// What the leaf's key signs by.
    pub scheme: SignatureScheme,
    /// What goes with the leaf, where the peer asks for it: an OCSP answer, say.
    pub extensions: &'a [Extension<'a>],
}

impl<'a> CertificateChain<'a> {
    /// Without extensions.
    #[must_use]
    pub const fn new(certificates: &'a [&'a [u8]], scheme: SignatureScheme) -> Self {
        Self {
            certificates,
            scheme,
            extensions: &[],
        }
    }

    /// The length of the longest authenticator that it can make, in bytes: for a buffer.
    #[must_use]
    pub fn max_authenticator_len(&self) -> usize {
        const AROUND: usize =
            HEADER_LEN + 1 + MAX_CONTEXT_LEN + 3 + AROUND_SIGNATURE + MAX_HASH_LEN;
        let certificates = self.certificates.iter().map(|one| (one.len(), 3 + 2));
        let extensions = self.extensions.iter().map(|one| (one.data.len(), 2 + 2));
        let lens = certificates.chain(extensions);
        lens.fold(self.scheme.max_signature_len(), |sum, (len, around)| {
            sum.saturating_add(len).saturating_add(around)
        })
        .saturating_add(AROUND)
    }
}

/// What a ClientHello offered, which a server's spontaneous authenticator must keep to (RFC 9261 section 5.2).
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    /// Of its extension signature_algorithms.
    pub signature_algorithms: &'a [SignatureScheme],
    /// Of its extension signature_algorithms_cert; empty without one, and then the others are meant.
    pub signature_algorithms_cert: &'a [SignatureScheme],
    /// The types of its extensions.
    pub extensions: &'a [ExtensionType],
}
