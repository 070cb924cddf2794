use super::{
    AuthenticateError, CertificateChain, MAX_EXTENSIONS, Request, Unsuitable,
    endpoint_keys::{Content, EndpointKeys, content},
    message::{HEADER_LEN, put_certificate, put_certificate_verify, put_finished},
    solicitation::Solicitation,
};
use crate::{
    crypto::{
        ecdsa::{MAX_DER_LEN, Signature},
        sha256,
    },
    wire::Writer,
    x509::SignatureScheme,
};
use core::fmt;

/// An authenticator without its signature. The holder of the key, for example a TPM, must sign [`Unsigned::content`].
#[must_use = "the context is used up: sign the authenticator"]
pub struct Unsigned<'o, 'r> {
    out: &'o mut [u8],
    request: &'r [u8],
    state: Suspended,
}

/// An [`Unsigned`] authenticator without its buffer and its request, to be kept beside them while the key signs.
#[must_use = "its context is used: sign it"]
pub struct Suspended {
    certificate_len: usize,
    keys: EndpointKeys,
    scheme: SignatureScheme,
    content: Content,
}

impl Suspended {
    /// Returns the scheme to sign by.
    #[must_use]
    pub fn scheme(&self) -> SignatureScheme {
        self.scheme
    }

    /// As [`Unsigned::content`].
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// Takes buffer and request up again. Both must be those of [`Endpoint::authenticate`](super::Endpoint::authenticate), unchanged: with others the peer
    /// refuses the authenticator.
    pub fn resume<'o, 'r>(self, request: &Request<'r>, out: &'o mut [u8]) -> Unsigned<'o, 'r> {
        Unsigned {
            out,
            request: request.as_bytes(),
            state: self,
        }
    }
}

impl<'o> Unsigned<'o, '_> {
    /// Returns the scheme of the signature.
    #[must_use]
    pub fn scheme(&self) -> SignatureScheme {
        self.state.scheme
    }

    /// Returns the content to be signed, at most 135 bytes. It is not hashed (RFC 9261 section 5.2.2).
    #[must_use]
    pub fn content(&self) -> &[u8] {
        self.state.content()
    }

    /// Returns the SHA-256 hash of [`Unsigned::content`], for a signer that takes a digest, such as TPM2_Sign.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        sha256(self.content())
    }

    /// Lets go of buffer and request while the key signs: [`Suspended::resume`] takes them up again.
    pub fn suspend(self) -> Suspended {
        self.state
    }

    /// Adds the signature, in the encoding of the scheme, and returns the authenticator. The signature is not verified.
    ///
    /// # Errors
    /// [`AuthenticateError::BufferTooShort`] if the signature is too long for the buffer. Signatures of the scheme always fit.
    pub fn sign(self, signature: &[u8]) -> Result<&'o [u8], AuthenticateError> {
        let too_short = AuthenticateError::BufferTooShort;
        let state = &self.state;
        let (certificate, rest) = (self.out)
            .split_at_mut_checked(state.certificate_len)
            .ok_or(too_short)?;
        let mut writer = Writer::new(rest);
        put_certificate_verify(&mut writer, state.scheme, signature).map_err(|_| too_short)?;
        let verify_len = writer.len();
        let (certificate_verify, rest) = rest.split_at_mut_checked(verify_len).ok_or(too_short)?;
        let [_, transcript] =
            (state.keys).transcripts(self.request, certificate, certificate_verify);
        let mut writer = Writer::new(rest);
        put_finished(&mut writer, &state.keys.finished(&transcript)).map_err(|_| too_short)?;
        let len = writer
            .len()
            .saturating_add(verify_len)
            .saturating_add(state.certificate_len);
        Ok(self.out.get(..len).unwrap_or_default())
    }

    /// Adds an ECDSA signature on P-256 as [`Unsigned::sign`] does.
    ///
    /// # Errors
    /// Fails under the same conditions as [`Unsigned::sign`].
    pub fn sign_ecdsa(self, signature: &Signature) -> Result<&'o [u8], AuthenticateError> {
        let mut der = [0; MAX_DER_LEN];
        let der = signature.to_der(&mut der);
        self.sign(der.map_err(|_| AuthenticateError::BufferTooShort)?)
    }
}

/// The length of an authenticator without its Certificate message, signature and verify_data.
pub(super) const SIGNATURE_OVERHEAD: usize = HEADER_LEN + 2 + 2 + HEADER_LEN;

/// Writes the Certificate message and returns the unsigned authenticator. `request` is empty for a spontaneous authenticator.
pub(super) fn build_unsigned<'o, 'r>(
    keys: &EndpointKeys,
    solicitation: &Solicitation<'_>,
    request: &'r [u8],
    context: &[u8],
    chain: &CertificateChain<'_>,
    out: &'o mut [u8],
) -> Result<Unsigned<'o, 'r>, AuthenticateError> {
    let extensions = chain.extensions.iter().map(|one| one.extension_type);
    let is_duplicate = |(at, one)| {
        extensions
            .clone()
            .skip(at)
            .skip(1)
            .any(|other| other == one)
    };
    if extensions.len() > MAX_EXTENSIONS || extensions.clone().enumerate().any(is_duplicate) {
        return Err(Unsuitable::Extensions.into());
    }
    let available = out.len();
    let mut writer = Writer::new(out);
    let extensions = chain.extensions.iter();
    let extensions = extensions.filter(|extension| solicitation.allows(extension.extension_type));
    let written = put_certificate(&mut writer, context, chain.certificates, extensions);
    let certificate_len = writer.len();
    let needed = (certificate_len)
        .saturating_add(chain.scheme.max_signature_len())
        .saturating_add(SIGNATURE_OVERHEAD)
        .saturating_add(keys.hash_len());
    if written.is_err() || needed > available {
        return Err(AuthenticateError::BufferTooShort);
    }
    let certificate = out.get(..certificate_len).unwrap_or_default();
    let [transcript, _] = keys.transcripts(request, certificate, &[]);
    Ok(Unsigned {
        out,
        request,
        state: Suspended {
            certificate_len,
            keys: keys.copy(),
            scheme: chain.scheme,
            content: content(&transcript),
        },
    })
}

impl fmt::Debug for Unsigned<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unsigned({})", self.state.scheme)
    }
}

impl fmt::Debug for Suspended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suspended({})", self.scheme)
    }
}
