use super::{TlsConfigError, config::certificates_from_pem, crypto_provider};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

/// A server's certificate with its key, which can be replaced while the server runs: new connections have the new one, and those that are open stay.
///
/// ```
/// # fn example(chain: &[u8], key: &[u8], renewed: &[u8], new_key: &[u8]) -> Result<(), chanbind::tls::TlsConfigError> {
/// use chanbind::tls::{ServerCertificate, server_config_with};
///
/// let certificate = ServerCertificate::from_pem(chain, key)?;
/// let tls = server_config_with(&certificate)?;
/// // After the certificate has been renewed:
/// certificate.replace(&*ServerCertificate::from_pem(renewed, new_key)?);
/// # Ok(())
/// # }
/// ```
pub struct ServerCertificate(RwLock<Arc<CertifiedKey>>);

impl ServerCertificate {
    /// Reads a certificate chain, the server's own certificate first, and its private key, both PEM.
    ///
    /// # Errors
    /// [`TlsConfigError`], also if the key does not belong to the certificate.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Arc<Self>, TlsConfigError> {
        let chain = certificates_from_pem(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| TlsConfigError::PrivateKey(error.to_string()))?;
        Self::new(chain, key, &crypto_provider())
    }

    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        provider: &CryptoProvider,
    ) -> Result<Arc<Self>, TlsConfigError> {
        let certified = CertifiedKey::from_der(chain, key, provider)?;
        Ok(Arc::new(Self(RwLock::new(Arc::new(certified)))))
    }

    /// Takes over another certificate.
    pub fn replace(&self, other: &Self) {
        let other = other.current();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = other;
    }

    /// Returns the SHA-256 of the server's own certificate, in hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let current = self.current();
        let own = current.cert.first().map(AsRef::as_ref);
        hex::encode(Sha256::digest(own.unwrap_or_default()))
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerCertificate")
    }
}
