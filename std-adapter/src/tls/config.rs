use super::ServerCertificate;
use chanbind_core::x509::{Algorithms, SignatureScheme};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, SignatureVerificationAlgorithm, pem::PemObject},
    version::TLS13,
};
use std::sync::{Arc, LazyLock};

/// An error in creating a TLS configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// The PEM text holds no certificate, or a malformed one.
    #[error(
        "no certificate can be read ({0}): give PEM with -----BEGIN CERTIFICATE-----, the end-entity certificate first"
    )]
    Certificate(String),
    /// The PEM text holds no private key, or a malformed one.
    #[error(
        "no private key can be read ({0}): give PEM with -----BEGIN PRIVATE KEY-----, without a password"
    )]
    PrivateKey(String),
    /// rustls rejects the configuration, for example because the key does not belong to the certificate.
    #[error("TLS cannot be configured with this certificate and key: {0}")]
    Tls(#[from] rustls::Error),
}

/// Returns the aws-lc-rs provider with the key exchange groups X25519MLKEM768 (hybrid, preferred), X25519, P-256 (for
/// microcontrollers) and P-384.
#[must_use]
pub fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![
            aws_lc_rs::kx_group::X25519MLKEM768,
            aws_lc_rs::kx_group::X25519,
            aws_lc_rs::kx_group::SECP256R1,
            aws_lc_rs::kx_group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    })
}

/// Returns the signature algorithms that aws-lc-rs can verify: ECDSA on P-256, P-384 and P-521, Ed25519 and RSA-PSS, and in
/// certificates RSA with PKCS #1 too. Pass them to
/// [`PathRules::with_algorithms`](chanbind_core::x509::PathRules::with_algorithms).
#[must_use]
pub fn signature_algorithms() -> Algorithms<'static> {
    static SUPPORTED: LazyLock<Supported> = LazyLock::new(|| {
        let supported = aws_lc_rs::default_provider().signature_verification_algorithms;
        // In TLS 1.3 an ECDSA scheme implies its curve, and rustls lists the algorithm with that curve first. PKCS #1 schemes are
        // for certificates only and are left out.
        let schemes = supported.mapping.iter();
        let schemes = schemes.filter_map(|(scheme, algorithms)| {
            let scheme = SignatureScheme(u16::from(*scheme));
            let algorithm = algorithms.first()?;
            scheme.is_for_messages().then_some((scheme, *algorithm))
        });
        (supported.all, schemes.collect())
    });
    let (certificates, schemes) = &*SUPPORTED;
    Algorithms {
        certificates,
        schemes,
    }
}

/// The algorithms for certificates, and the algorithm of each signature scheme.
type Supported = (
    &'static [&'static dyn SignatureVerificationAlgorithm],
    Vec<(SignatureScheme, &'static dyn SignatureVerificationAlgorithm)>,
);

/// Creates the configuration of a client that supports TLS 1.3 only and trusts servers whose certificates lead to `roots`.
///
/// # Errors
/// Returns [`TlsConfigError::Tls`] if rustls rejects the configuration.
pub fn client_config(roots: RootCertStore) -> Result<ClientConfig, TlsConfigError> {
    Ok(ClientConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Creates the configuration of a server that supports TLS 1.3 only. It does not request client certificates, because clients are
/// identified by their proofs. `chain` begins with the server's own certificate.
///
/// # Errors
/// Returns [`TlsConfigError::Tls`] if the key does not belong to the certificate.
pub fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsConfigError> {
    server_config_with(&ServerCertificate::new(chain, key, &crypto_provider())?)
}

/// Creates the same configuration, with a certificate that can be replaced. Clients can resume sessions: the keys of the tickets are of this
/// process alone, and change every six hours.
///
/// # Errors
/// Returns [`TlsConfigError::Tls`] if there are no random numbers.
pub fn server_config_with(
    certificate: &Arc<ServerCertificate>,
) -> Result<ServerConfig, TlsConfigError> {
    let certificate: Arc<ServerCertificate> = Arc::clone(certificate);
    let mut config = ServerConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

/// Creates the same configuration as [`server_config`], from a certificate chain and a private key in PEM.
///
/// # Errors
/// Returns [`TlsConfigError::Certificate`] or [`TlsConfigError::PrivateKey`] if the PEM text cannot be read, and the errors of
/// [`server_config`].
pub fn server_config_from_pem(chain: &[u8], key: &[u8]) -> Result<ServerConfig, TlsConfigError> {
    let chain = certificates_from_pem(chain)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| TlsConfigError::PrivateKey(error.to_string()))?;
    server_config(chain, key)
}

/// Reads the certification authorities from PEM text.
///
/// # Errors
/// Returns [`TlsConfigError::Certificate`] if there is no certificate, or a malformed one.
pub fn roots_from_pem(pem: &[u8]) -> Result<RootCertStore, TlsConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_from_pem(pem)? {
        roots
            .add(certificate)
            .map_err(|error| TlsConfigError::Certificate(error.to_string()))?;
    }
    Ok(roots)
}

/// Reads all certificates from PEM text. Returns an error if it holds no certificate.
pub(crate) fn certificates_from_pem(
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsConfigError::Certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsConfigError::Certificate(
            "the PEM text holds no certificate".to_owned(),
        ));
    }
    Ok(chain)
}
