use super::{
    Extension, ExtensionType, MAX_CONTEXT_LEN, message::HEADER_LEN, unsigned::SIGNATURE_OVERHEAD,
};
use crate::{crypto::MAX_HASH_LEN, x509::SignatureScheme};

/// A certificate chain that identifies this side, with the signature scheme of its key.
#[derive(Debug, Clone, Copy)]
pub struct CertificateChain<'a> {
    /// The certificates in DER. The leaf is first, and each is signed by the next. The certificate of the authority can be
    /// omitted.
    pub certificates: &'a [&'a [u8]],
    /// The signature scheme of the leaf's key.
    pub scheme: SignatureScheme,
    /// Extensions of the leaf's entry, for example an OCSP response. Each is sent only if the peer requests it.
    pub extensions: &'a [Extension<'a>],
}

impl<'a> CertificateChain<'a> {
    /// Creates a chain without extensions.
    #[must_use]
    pub const fn new(certificates: &'a [&'a [u8]], scheme: SignatureScheme) -> Self {
        Self {
            certificates,
            scheme,
            extensions: &[],
        }
    }

    /// Returns the maximum length in bytes of an authenticator with this chain, for the length of a buffer.
    #[must_use]
    pub fn max_authenticator_len(&self) -> usize {
        const OVERHEAD: usize =
            HEADER_LEN + 1 + MAX_CONTEXT_LEN + 3 + SIGNATURE_OVERHEAD + MAX_HASH_LEN;
        let certificates = self.certificates.iter().map(|one| (one.len(), 3 + 2));
        let extensions = self.extensions.iter().map(|one| (one.data.len(), 2 + 2));
        let lens = certificates.chain(extensions);
        lens.fold(self.scheme.max_signature_len(), |sum, (len, overhead)| {
            sum.saturating_add(len).saturating_add(overhead)
        })
        .saturating_add(OVERHEAD)
    }
}

/// The offer of a ClientHello, which restricts a server's spontaneous authenticator (RFC 9261 section 5.2).
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    /// The schemes in the signature_algorithms extension.
    pub signature_algorithms: &'a [SignatureScheme],
    /// The schemes in the signature_algorithms_cert extension. Empty if the ClientHello does not have this extension;
    /// `signature_algorithms` then also applies to certificates.
    pub signature_algorithms_cert: &'a [SignatureScheme],
    /// The types of all extensions.
    pub extensions: &'a [ExtensionType],
}
