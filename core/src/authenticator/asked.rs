use super::{ExtensionType, Offered, Request};
use crate::x509::SignatureScheme;

/// What an authenticator answers.
pub(super) enum Asked<'a> {
    Request(Request<'a>),
    ClientHello(&'a Offered<'a>),
}

impl Asked<'_> {
    /// The request's bytes, as the transcript has them.
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

    /// Whether a certificate's entry may have this extension (section 5.2.1).
    pub(super) fn allows(&self, extension_type: ExtensionType) -> bool {
        !extension_type.is_never_in_certificates()
            && match self {
                Self::Request(request) => request.extensions().find(extension_type).is_some(),
                Self::ClientHello(offered) => offered.extensions.contains(&extension_type),
            }
    }
}
