use super::header_fields::MAX_AUTHENTICATOR_LEN;
use crate::tls::{self, TlsConfigError};
use chanbind_core::{
    authenticator::{
        AuthenticateError, CertificateChain, Endpoint, Request, Role, Unsigned, Unsuitable,
    },
    x509::{MAX_INTERMEDIATES, SignatureScheme},
};
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::{Signer, SigningKey},
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

#[cfg(feature = "tpm")]
use crate::tpm::{TpmError, TpmSigningKey};
#[cfg(feature = "tpm")]
use chanbind_core::{
    crypto::ecdsa::MAX_DER_LEN,
    x509::{PathError, PublicKey, subject_public_key_info},
};

/// Who one is: certificates and their key, which may be in a TPM.
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

/// Why certificates and key are none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// PEM cannot be read, or the key is of a kind that is not known.
    #[error("{0}")]
    Pem(#[from] TlsConfigError),
    /// The key is not that of the first certificate.
    #[error(
        "the key is not that of the certificate: give the certificate that was issued for this key, first in its file"
    )]
    OtherKey,
    /// More certificates than a path can have, or longer ones than an authenticator can carry.
    #[error(
        "the certificates are too many or too long: at most 6, which fit an authenticator of {MAX_AUTHENTICATOR_LEN} bytes"
    )]
    TooLong,
}

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// By RFC 9261.
    #[error("{0}")]
    Authenticate(AuthenticateError),
    /// The key does not sign.
    #[error("the key does not sign: {0}")]
    Sign(String),
}

impl Credentials {
    /// Certificates, the leaf first, and the key, PEM.
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

    /// Certificates, the leaf first, PEM, and their key in a TPM.
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

    /// The certificates, DER, the leaf first.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// Answers a request with these credentials.
    ///
    /// The endpoint is locked while the authenticator is begun, and not while the key signs.
    ///
    /// # Errors
    /// [`AnswerError`]; if it is [`AuthenticateError`], the request can still be answered.
    pub async fn answer<R: Role, const CONTEXTS: usize>(
        &self,
        endpoint: &Mutex<Endpoint<R, CONTEXTS>>,
        request: &Request<'_>,
    ) -> Result<Vec<u8>, AnswerError> {
        let unsuitable = || {
            AnswerError::Authenticate(AuthenticateError::Unsuitable(Unsuitable::Scheme(
                SignatureScheme::ECDSA_SECP256R1_SHA256,
            )))
        };
        let signer = self.key.signer(request).ok_or_else(unsuitable)?;
        let certificates: Vec<&[u8]> = self.chain.iter().map(AsRef::as_ref).collect();
        let chain = CertificateChain::new(&certificates, signer.scheme());
        let mut out = vec![0; MAX_AUTHENTICATOR_LEN];
        let unsigned = endpoint
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .authenticate(request, &chain, &mut out)
            .map_err(AnswerError::Authenticate)?;
        let signature = signer.sign(&unsigned).await?;
        let authenticator = unsigned
            .sign(&signature)
            .map_err(AnswerError::Authenticate)?;
        Ok(authenticator.to_vec())
    }
}

/// Those that an authenticator can carry.
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

/// The empty authenticator, which declines a request.
pub(crate) fn decline<R: Role, const CONTEXTS: usize>(
    endpoint: &Mutex<Endpoint<R, CONTEXTS>>,
    request: &Request<'_>,
) -> Result<Vec<u8>, AuthenticateError> {
    let mut out = [0; 64];
    let mut endpoint = endpoint.lock().unwrap_or_else(PoisonError::into_inner);
    let declined = endpoint.decline(request, &mut out)?;
    Ok(declined.to_vec())
}

/// A key with the scheme that it is to sign by.
enum Chosen {
    Software(Box<dyn Signer>),
    #[cfg(feature = "tpm")]
    Tpm(TpmSigningKey),
}

impl Key {
    fn signer(&self, request: &Request<'_>) -> Option<Chosen> {
        match self {
            Self::Software(key) => {
                let offered = request.signature_algorithms();
                let offered: Vec<_> = offered
                    .filter(|scheme| scheme.is_for_messages())
                    .map(|scheme| rustls::SignatureScheme::from(scheme.0))
                    .collect();
                key.choose_scheme(&offered).map(Chosen::Software)
            }
            #[cfg(feature = "tpm")]
            Self::Tpm(key) => Some(Chosen::Tpm(key.clone())),
        }
    }
}

impl Chosen {
    fn scheme(&self) -> SignatureScheme {
        match self {
            Self::Software(signer) => SignatureScheme(signer.scheme().into()),
            #[cfg(feature = "tpm")]
            Self::Tpm(_) => SignatureScheme::ECDSA_SECP256R1_SHA256,
        }
    }

    async fn sign(&self, unsigned: &Unsigned<'_, '_>) -> Result<Vec<u8>, AnswerError> {
        match self {
            Self::Software(signer) => signer
                .sign(unsigned.content())
                .map_err(|error| AnswerError::Sign(error.to_string())),
            #[cfg(feature = "tpm")]
            Self::Tpm(key) => {
                let failed = |error: TpmError| AnswerError::Sign(error.to_string());
                let signature = key.sign(&unsigned.sha256()).await.map_err(failed)?;
                let mut der = [0; MAX_DER_LEN];
                let der = signature
                    .to_der(&mut der)
                    .map_err(|_| AnswerError::Sign("the signature is too long".to_owned()))?;
                Ok(der.to_vec())
            }
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} certificates)", self.chain.len())
    }
}
