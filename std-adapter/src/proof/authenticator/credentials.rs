use super::header_fields::MAX_AUTHENTICATOR_LEN;
use crate::{
    proof::{KeyAnswer, KeyError, KeyHolder},
    tls::{self, TlsConfigError},
};
use chanbind_core::{
    authenticator::{
        AuthenticateError, CertificateChain, ClientIdentity, Endpoint, Request, Role, Suspended,
        Unsigned, Unsuitable,
    },
    proof::KeyRequest,
    x509::{MAX_INTERMEDIATES, SignatureScheme},
};
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::SigningKey,
};
use std::{fmt, sync::Arc};
use zeroize::Zeroizing;

#[cfg(feature = "tpm")]
use crate::tpm::TpmSigningKey;
#[cfg(feature = "tpm")]
use chanbind_core::x509::{PathError, PublicKey, subject_public_key_info};

/// Certificates and their key, which may be in a TPM: the holder of that key, and the identity of a prover.
#[derive(Clone)]
pub struct Credentials {
    chain: Vec<CertificateDer<'static>>,
    key: Key,
}

#[derive(Clone)]
enum Key {
    Software(Arc<dyn SigningKey>),
    #[cfg(feature = "tpm")]
    Tpm(TpmSigningKey),
}

/// The error of reading certificates and a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The PEM cannot be read, or the key is of an unknown kind.
    #[error("{0}")]
    Pem(#[from] TlsConfigError),
    /// The key is not that of the first certificate.
    #[error(
        "the key is not that of the certificate: give the certificate that was issued for this key, first in its file"
    )]
    OtherKey,
    /// There are more certificates than a path can have, or longer ones than an authenticator can carry.
    #[error(
        "the certificates are too many or too long: at most 6, which fit an authenticator of {MAX_AUTHENTICATOR_LEN} bytes"
    )]
    TooLong,
}

impl Credentials {
    /// Reads certificates, the leaf first, and the key, PEM.
    ///
    /// # Errors
    /// [`CredentialsError`]
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CredentialsError> {
        let chain = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| TlsConfigError::PrivateKey(error.to_string()))?;
        let key = aws_lc_rs::sign::any_supported_type(&key).map_err(TlsConfigError::Tls)?;
        let certified = rustls::sign::CertifiedKey::new(chain.clone(), Arc::clone(&key));
        match certified.keys_match() {
            Ok(()) => Ok(Self {
                chain,
                key: Key::Software(key),
            }),
            Err(_) => Err(CredentialsError::OtherKey),
        }
    }

    /// Reads certificates, the leaf first, PEM; their key is in a TPM.
    ///
    /// # Errors
    /// [`CredentialsError`]
    #[cfg(feature = "tpm")]
    pub fn tpm(chain: &[u8], key: TpmSigningKey) -> Result<Self, CredentialsError> {
        let chain = certificates(chain)?;
        let leaf = chain.first().ok_or(CredentialsError::OtherKey)?;
        let public_key: Result<PublicKey, PathError> =
            subject_public_key_info(leaf).and_then(PublicKey::from_spki);
        if public_key != Ok(PublicKey::P256(*key.public_key())) {
            return Err(CredentialsError::OtherKey);
        }
        Ok(Self {
            chain,
            key: Key::Tpm(key),
        })
    }

    /// Returns the certificates, DER, the leaf first.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// Begins an authenticator: all but its signature.
    pub(super) fn begin<R: Role, const CONTEXTS: usize>(
        &self,
        endpoint: &mut Endpoint<R, CONTEXTS>,
        request: &Request<'_>,
    ) -> Result<Begun, AuthenticateError> {
        let unsuitable = Unsuitable::Scheme(SignatureScheme::ECDSA_SECP256R1_SHA256);
        let scheme = self.scheme(request).ok_or(unsuitable)?;
        let mut buffer = vec![0; MAX_AUTHENTICATOR_LEN];
        let suspended = self.with_certificates(|certificates| {
            let chain = CertificateChain::new(certificates, scheme);
            endpoint
                .authenticate(request, &chain, &mut buffer)
                .map(Unsigned::suspend)
        })?;
        Ok(Begun {
            buffer,
            suspended: Some(suspended),
        })
    }
}

/// An authenticator that waits for its signature.
pub(super) struct Begun {
    buffer: Vec<u8>,
    suspended: Option<Suspended>,
}

impl Begun {
    pub(super) fn key_request(&self) -> KeyRequest<'_> {
        let suspended = self.suspended.as_ref();
        KeyRequest::Sign {
            scheme: suspended.map_or(SignatureScheme(0), Suspended::scheme),
            message: suspended.map_or(&[], Suspended::content),
        }
    }

    pub(super) fn finish(
        &mut self,
        request: &Request<'_>,
        signature: &[u8],
    ) -> Result<Vec<u8>, AuthenticateError> {
        let suspended = self.suspended.take();
        let unsigned = suspended
            .ok_or(AuthenticateError::ContextUsed)?
            .resume(request, &mut self.buffer);
        Ok(unsigned.sign(signature)?.to_vec())
    }
}

impl ClientIdentity for Credentials {
    fn scheme(&self, request: &Request<'_>) -> Option<SignatureScheme> {
        match &self.key {
            Key::Software(key) => {
                let offered = request.signature_algorithms();
                let offered: Vec<_> = offered
                    .filter(|scheme| scheme.is_for_messages())
                    .map(|scheme| rustls::SignatureScheme::from(scheme.0))
                    .collect();
                let signer = key.choose_scheme(&offered)?;
                Some(SignatureScheme(signer.scheme().into()))
            }
            #[cfg(feature = "tpm")]
            Key::Tpm(_) => Some(SignatureScheme::ECDSA_SECP256R1_SHA256),
        }
    }

    fn with_certificates<T>(&self, f: impl FnOnce(&[&[u8]]) -> T) -> T {
        let certificates: Vec<&[u8]> = self.chain.iter().map(AsRef::as_ref).collect();
        f(&certificates)
    }
}

impl KeyHolder for Credentials {
    fn answer<'a>(&'a self, request: KeyRequest<'a>) -> KeyAnswer<'a> {
        match &self.key {
            Key::Software(key) => Box::pin(std::future::ready(sign(&**key, request))),
            #[cfg(feature = "tpm")]
            Key::Tpm(key) => key.answer(request),
        }
    }
}

fn sign(key: &dyn SigningKey, request: KeyRequest<'_>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let KeyRequest::Sign { scheme, message } = request else {
        return Err(KeyError::Unsupported);
    };
    let signer = key.choose_scheme(&[rustls::SignatureScheme::from(scheme.0)]);
    let signature = signer.ok_or(KeyError::Unsupported)?.sign(message);
    signature
        .map(Zeroizing::new)
        .map_err(|error| KeyError::Sign(error.to_string()))
}

/// Reads certificates, if an authenticator can carry them.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let chain = tls::certificates_from_pem(pem)?;
    let der: Vec<&[u8]> = chain.iter().map(AsRef::as_ref).collect();
    // The longest signatures are those of RSA.
    let longest = CertificateChain::new(&der, SignatureScheme::RSA_PSS_RSAE_SHA256);
    let fits = longest.max_authenticator_len() <= MAX_AUTHENTICATOR_LEN;
    // The leaf, what leads to the authority, and the authority's own.
    if der.len() > MAX_INTERMEDIATES + 2 || !fits {
        return Err(CredentialsError::TooLong);
    }
    Ok(chain)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} certificates)", self.chain.len())
    }
}
