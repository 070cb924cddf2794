use super::{ExtensionType, Offered, Request};
use crate::x509::SignatureScheme;

/// The message that an authenticator answers: a request, or the ClientHello of the connection.
pub(super) enum Solicitation<'a> {
    Request(Request<'a>),
    ClientHello(&'a Offered<'a>),
}

impl Solicitation<'_> {
    /// Returns the bytes of the request for the transcript, which are empty for a ClientHello.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Request(request) => request.as_bytes(),
            Self::ClientHello(_) => &[],
        }
    }

    pub(super) fn offers(&self, scheme: SignatureScheme) -> bool {
        scheme.is_for_messages()
            && match self {
                Self::Request(request) => request.signature_algorithms().any(|one| one == scheme),
                Self::ClientHello(offered) => offered.signature_algorithms.contains(&scheme),
            }
    }

    /// Returns whether a certificate with this issuer (a distinguished name in DER) comes from a requested authority (RFC 8446
    /// section 4.2.4).
    pub(super) fn is_authority(&self, issuer: &[u8]) -> bool {
        match self {
            Self::Request(request) => (request.certificate_authorities())
                .is_none_or(|mut authorities| authorities.any(|one| one == issuer)),
            Self::ClientHello(_) => true,
        }
    }

    /// Returns whether a certificate entry may have this extension (RFC 9261 section 5.2.1).
    pub(super) fn allows(&self, extension_type: ExtensionType) -> bool {
        !extension_type.is_never_in_certificates()
            && match self {
                Self::Request(request) => request.extensions().find(extension_type).is_some(),
                Self::ClientHello(offered) => offered.extensions.contains(&extension_type),
            }
    }
}
