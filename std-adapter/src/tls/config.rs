use chanbind_core::x509::{Algorithms, SignatureScheme};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, SignatureVerificationAlgorithm, pem::PemObject},
    version::TLS13,
};
use std::sync::{Arc, LazyLock};

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// The PEM holds no certificate, or a broken one.
    #[error(
        "no certificate can be read ({0}): give PEM with -----BEGIN CERTIFICATE-----, the server's own first"
    )]
    Certificate(String),
    /// The PEM holds no private key, or a broken one.
    #[error(
        "no private key can be read ({0}): give PEM with -----BEGIN PRIVATE KEY-----, without a password"
    )]
    PrivateKey(String),
    /// rustls refuses them.
    #[error("TLS cannot be set up with this certificate and key: {0}")]
    Tls(#[from] rustls::Error),
}

/// aws-lc-rs with the hybrid X25519MLKEM768 offered first, then X25519, P-256 (which microcontrollers speak) and P-384.
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

/// What this host verifies signatures with, by aws-lc-rs as TLS does: ECDSA on P-256, P-384 and P-521, Ed25519, RSA-PSS; in
/// certificates RSA with PKCS #1 too. For [`PathRules::with_algorithms`](chanbind_core::x509::PathRules::with_algorithms).
#[must_use]
pub fn signature_algorithms() -> Algorithms<'static> {
    static SUPPORTED: LazyLock<Supported> = LazyLock::new(|| {
        let supported = aws_lc_rs::default_provider().signature_verification_algorithms;
        // In TLS 1.3 a scheme names its curve too, and rustls has that one first; PKCS #1 is for certificates.
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

/// Algorithms for certificates, and for schemes.
type Supported = (
    &'static [&'static dyn SignatureVerificationAlgorithm],
    Vec<(SignatureScheme, &'static dyn SignatureVerificationAlgorithm)>,
);

/// A client that speaks TLS 1.3 only and believes servers that `roots` vouch for.
///
/// # Errors
/// [`TlsConfigError::Tls`]
pub fn client_config(roots: RootCertStore) -> Result<ClientConfig, TlsConfigError> {
    Ok(ClientConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// A server that speaks TLS 1.3 only. It asks for no client certificate: who the client is, its proof will say.
///
/// # Errors
/// [`TlsConfigError::Tls`] for a key that does not fit the certificate.
pub fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsConfigError> {
    Ok(ServerConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}

/// As [`server_config`], from PEM.
///
/// # Errors
/// [`TlsConfigError`]
pub fn server_config_from_pem(chain: &[u8], key: &[u8]) -> Result<ServerConfig, TlsConfigError> {
    let chain = certificates_from_pem(chain)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| TlsConfigError::PrivateKey(error.to_string()))?;
    server_config(chain, key)
}

/// The certification authorities in a PEM file.
///
/// # Errors
/// [`TlsConfigError::Certificate`] if there is none, or a broken one.
pub fn roots_from_pem(pem: &[u8]) -> Result<RootCertStore, TlsConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_from_pem(pem)? {
        roots
            .add(certificate)
            .map_err(|error| TlsConfigError::Certificate(error.to_string()))?;
    }
    Ok(roots)
}

/// All certificates of a PEM text.
pub(crate) fn certificates_from_pem(
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsConfigError::Certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsConfigError::Certificate("none in the file".to_owned()));
    }
    Ok(chain)
}
