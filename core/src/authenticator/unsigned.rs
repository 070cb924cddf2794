use super::{
    AuthenticateError, CertificateChain, MAX_EXTENSIONS, Unsuitable,
    endpoint_keys::{Content, EndpointKeys},
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

/// An authenticator that lacks its signature: whoever holds the key, a TPM say, signs [`Unsigned::content`].
#[must_use = "its context is used: sign it"]
pub struct Unsigned<'o, 'r> {
    out: &'o mut [u8],
    certificate_len: usize,
    request: &'r [u8],
    keys: EndpointKeys,
    scheme: SignatureScheme,
    content: Content,
}

impl<'o> Unsigned<'o, '_> {
    /// The scheme that is to be signed by.
    #[must_use]
    pub fn scheme(&self) -> SignatureScheme {
        self.scheme
    }

    /// What is to be signed: at most 135 bytes, not hashed (RFC 9261 section 5.2.2).
    #[must_use]
    pub fn content(&self) -> &[u8] {
        self.content.as_bytes()
    }

    /// The SHA-256 of that, for a signer that takes digests: TPM2_Sign, say.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        sha256(self.content())
    }

    /// Takes the signature, as the scheme encodes it, and gives the authenticator. The signature is not looked at.
    ///
    /// # Errors
    /// [`AuthenticateError::BufferTooShort`] for a signature that does not fit: the scheme's do.
    pub fn sign(self, signature: &[u8]) -> Result<&'o [u8], AuthenticateError> {
        let too_short = AuthenticateError::BufferTooShort;
        let (certificate, rest) = (self.out)
            .split_at_mut_checked(self.certificate_len)
            .ok_or(too_short)?;
        let mut writer = Writer::new(rest);
        put_certificate_verify(&mut writer, self.scheme, signature).map_err(|_| too_short)?;
        let verify_len = writer.len();
        let (certificate_verify, rest) = rest.split_at_mut_checked(verify_len).ok_or(too_short)?;
        let [_, transcript] =
            (self.keys).transcripts(self.request, certificate, certificate_verify);
        let mut writer = Writer::new(rest);
        put_finished(&mut writer, self.keys.finished(&transcript).as_bytes())
            .map_err(|_| too_short)?;
        let len = writer
            .len()
            .saturating_add(verify_len)
            .saturating_add(self.certificate_len);
        Ok(self.out.get(..len).unwrap_or_default())
    }

    /// As [`Unsigned::sign`], of ECDSA on P-256.
    ///
    /// # Errors
    /// [`AuthenticateError::BufferTooShort`]
    pub fn sign_ecdsa(self, signature: &Signature) -> Result<&'o [u8], AuthenticateError> {
        let mut der = [0; MAX_DER_LEN];
        let der = signature.to_der(&mut der);
        self.sign(der.map_err(|_| AuthenticateError::BufferTooShort)?)
    }
}

/// What an authenticator has beside its Certificate message, the signature and a hash.
pub(super) const AROUND_SIGNATURE: usize = HEADER_LEN + 2 + 2 + HEADER_LEN;

/// Writes the Certificate message, for `request` or, where that is empty, for none.
pub(super) fn unsigned<'o, 'r>(
    keys: &EndpointKeys,
    solicitation: &Solicitation<'_>,
    request: &'r [u8],
    context: &[u8],
    chain: &CertificateChain<'_>,
    out: &'o mut [u8],
) -> Result<Unsigned<'o, 'r>, AuthenticateError> {
    let extensions = chain.extensions.iter().map(|one| one.extension_type);
    let is_twice = |(at, one)| {
        extensions
            .clone()
            .skip(at)
            .skip(1)
            .any(|other| other == one)
    };
    if extensions.len() > MAX_EXTENSIONS || extensions.clone().enumerate().any(is_twice) {
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
        .saturating_add(AROUND_SIGNATURE)
        .saturating_add(keys.hash_len());
    if written.is_err() || needed > available {
        return Err(AuthenticateError::BufferTooShort);
    }
    let certificate = out.get(..certificate_len).unwrap_or_default();
    let [transcript, _] = keys.transcripts(request, certificate, &[]);
    Ok(Unsigned {
        content: Content::new(&transcript),
        out,
        certificate_len,
        request,
        keys: keys.copy(),
        scheme: chain.scheme,
    })
}

impl fmt::Debug for Unsigned<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unsigned({})", self.scheme)
    }
}
