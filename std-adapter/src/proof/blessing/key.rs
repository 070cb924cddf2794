use crate::{
    proof::{KeyAnswer, KeyError, KeyHolder},
    tls::TlsConfigError,
};
use chanbind_core::proof::KeyRequest;
use rustls::{
    SignatureScheme,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, pem::PemObject},
    sign::SigningKey,
};
use std::{fmt, sync::Arc};
use zeroize::Zeroizing;

#[cfg(feature = "tpm")]
use crate::tpm::TpmSigningKey;

/// The key of a principal, in software or in a TPM.
#[derive(Clone)]
pub struct PrincipalKey {
    public_key: Arc<[u8]>,
    holder: Holder,
}

#[derive(Clone)]
enum Holder {
    Software(Arc<dyn SigningKey>),
    #[cfg(feature = "tpm")]
    Tpm(TpmSigningKey),
}

impl PrincipalKey {
    /// Reads a private key: PKCS #8 in PEM, for ECDSA on P-256 or P-384, or Ed25519.
    ///
    /// # Errors
    /// [`TlsConfigError`] if the PEM holds no key, or one of another algorithm.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TlsConfigError> {
        let key = PrivateKeyDer::from_pem_slice(pem)
            .map_err(|error| TlsConfigError::PrivateKey(error.to_string()))?;
        let key = aws_lc_rs::sign::any_supported_type(&key).map_err(TlsConfigError::Tls)?;
        let public_key = key
            .public_key()
            .ok_or_else(|| TlsConfigError::PrivateKey("the key has no public key".to_owned()))?;
        Ok(Self {
            public_key: public_key.as_ref().into(),
            holder: Holder::Software(key),
        })
    }

    /// Uses an ECDSA key in a TPM.
    #[cfg(feature = "tpm")]
    #[must_use]
    pub fn tpm(key: TpmSigningKey) -> Self {
        let public_key = chanbind_core::blessing::p256_public_key(key.public_key());
        Self {
            public_key: public_key.as_slice().into(),
            holder: Holder::Tpm(key),
        }
    }

    /// Returns the public key: SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}

impl KeyHolder for PrincipalKey {
    fn answer<'a>(&'a self, request: KeyRequest<'a>) -> KeyAnswer<'a> {
        match &self.holder {
            Holder::Software(key) => Box::pin(std::future::ready(sign(&**key, request))),
            #[cfg(feature = "tpm")]
            Holder::Tpm(key) => key.answer(request),
        }
    }
}

/// Answers a request with a key in software.
fn sign(key: &dyn SigningKey, request: KeyRequest<'_>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let KeyRequest::Sign { scheme, message } = request else {
        return Err(KeyError::Unsupported);
    };
    let signer = key
        .choose_scheme(&[SignatureScheme::from(scheme.0)])
        .ok_or(KeyError::Unsupported)?;
    let signed = signer.sign(message).map(Zeroizing::new);
    signed.map_err(|error| KeyError::Sign(error.to_string()))
}

impl fmt::Debug for PrincipalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrincipalKey({})", super::fingerprint(&self.public_key))
    }
}
