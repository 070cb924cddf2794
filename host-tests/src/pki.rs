//! Certification authorities and certificates that are created anew in every run, with ECDSA keys on P-256.

use base64::{Engine, prelude::BASE64_STANDARD};
use p256::{ecdsa::SigningKey, pkcs8::DecodePrivateKey};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PublicKeyData, SanType, SignatureAlgorithm,
};

/// A certification authority and a server certificate for `localhost` and 127.0.0.1, issued by it.
#[derive(Clone)]
pub struct Pki {
    /// The authority's certificate in PEM.
    pub ca: String,
    /// The server's certificate in PEM.
    pub certificate: String,
    /// The server's private key, PKCS #8 in PEM.
    pub key: String,
}

impl Pki {
    /// Creates an authority and a server certificate with new ECDSA keys on P-256.
    ///
    /// # Errors
    /// Returns an error if no key can be generated, for want of random numbers.
    pub fn new() -> Result<Self, rcgen::Error> {
        let mut ca = CertificateParams::default();
        ca.distinguished_name = name("chanbind test authority");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
        let mut leaf =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        leaf.distinguished_name = name("chanbind test gateway");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &ca)?;
        Ok(Self {
            ca: ca.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// A certification authority with an ECDSA key on P-256, which issues any certificate without checks.
pub struct Authority {
    common_name: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its private key.
pub struct Issued {
    /// The certificate in DER.
    pub certificate: Vec<u8>,
    /// The private key of the certificate.
    pub key: SigningKey,
    pair: KeyPair,
    params: CertificateParams,
}

impl Authority {
    /// Creates an authority with a new key and a self-signed certificate.
    ///
    /// # Errors
    /// Returns an error if no key can be generated, for want of random numbers.
    pub fn new(common_name: &str) -> Result<Self, rcgen::Error> {
        let issuer = CertifiedIssuer::self_signed(authority(common_name), KeyPair::generate()?)?;
        Ok(Self {
            common_name: common_name.to_owned(),
            issuer,
        })
    }

    /// Returns the authority's certificate in DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        self.issuer.der()
    }

    /// Returns the authority's certificate in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Returns the authority's private key, PKCS #8 in PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Creates an intermediate authority, with a new key and a certificate that this authority issues.
    ///
    /// # Errors
    /// Returns an error if no key can be generated, for want of random numbers.
    pub fn subordinate(&self, common_name: &str) -> Result<Self, rcgen::Error> {
        let issuer =
            CertifiedIssuer::signed_by(authority(common_name), KeyPair::generate()?, &self.issuer)?;
        Ok(Self {
            common_name: common_name.to_owned(),
            issuer,
        })
    }

    /// Issues another certificate for this authority's subject and key, with the public key as a compressed point, and returns it in DER.
    /// `issuer` signs it; it is this authority for a self-signed certificate.
    ///
    /// # Errors
    /// Returns an error if the certificate cannot be signed, for want of random numbers.
    pub fn compressed(&self, issuer: &Self) -> Result<Vec<u8>, rcgen::Error> {
        let point = compress(self.issuer.key().der_bytes());
        let certificate = authority(&self.common_name).signed_by(&Point(&point), &issuer.issuer)?;
        Ok(certificate.der().to_vec())
    }

    /// Issues a server certificate for `localhost` with a new public key as a compressed point, and returns it in DER.
    ///
    /// # Errors
    /// Returns an error if no key can be generated, for want of random numbers.
    pub fn compressed_leaf(&self) -> Result<Vec<u8>, rcgen::Error> {
        let (pair, params) = leaf(|_| {})?;
        let point = compress(pair.der_bytes());
        let certificate = params.signed_by(&Point(&point), &self.issuer)?;
        Ok(certificate.der().to_vec())
    }

    /// Issues a server certificate for `localhost` with a new key, after `change` has modified its parameters.
    ///
    /// # Errors
    /// Returns an error if no key can be generated, or if rcgen rejects the modified parameters.
    pub fn issue(
        &self,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<Issued, rcgen::Error> {
        let (pair, params) = leaf(change)?;
        let certificate = params.signed_by(&pair, &self.issuer)?.der().to_vec();
        Issued::new(certificate, pair, params)
    }

    /// Issues a certificate for `public_key`, an uncompressed point whose private key may be in a TPM, after `change` has modified the
    /// parameters of a server certificate for `localhost`. Returns the certificate in DER.
    ///
    /// # Errors
    /// Returns an error if rcgen rejects the modified parameters.
    pub fn issue_for(
        &self,
        public_key: &[u8; 65],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<Vec<u8>, rcgen::Error> {
        let (_, params) = leaf(change)?;
        let certificate = params.signed_by(&Point(public_key), &self.issuer)?;
        Ok(certificate.der().to_vec())
    }
}

/// Changes the parameters of a certificate to those of a device: client authentication, with `uri` as the only subject alternative name.
///
/// # Panics
/// Panics if `uri` is not ASCII.
pub fn for_device(params: &mut CertificateParams, uri: &str) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let uri = uri
        .try_into()
        .unwrap_or_else(|error| panic!("{uri}: {error}"));
    params.subject_alt_names = vec![SanType::URI(uri)];
}

/// A public key on P-256, without a private key, as an encoded point.
struct Point<'p>(&'p [u8]);

impl PublicKeyData for Point<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// Returns the compressed form of an uncompressed point (SEC 1 section 2.3.3).
fn compress(point: &[u8]) -> Vec<u8> {
    let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
    let sign = 2 | y.last().map_or(0, |last| last & 1);
    [&[sign], x].concat()
}

impl Issued {
    fn new(
        certificate: Vec<u8>,
        pair: KeyPair,
        params: CertificateParams,
    ) -> Result<Self, rcgen::Error> {
        let key = SigningKey::from_pkcs8_der(&pair.serialize_der())
            .map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        Ok(Self {
            certificate,
            key,
            pair,
            params,
        })
    }

    /// Creates a self-signed server certificate for `localhost` with a new key, after `change` has modified its parameters.
    ///
    /// # Errors
    /// Returns an error if no key can be generated, or if rcgen rejects the modified parameters.
    pub fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Result<Self, rcgen::Error> {
        let (pair, params) = leaf(change)?;
        let certificate = params.self_signed(&pair)?.der().to_vec();
        Self::new(certificate, pair, params)
    }

    /// Issues a certificate that is signed with the key of this certificate, although this certificate is not that of an authority.
    ///
    /// # Errors
    /// Returns an error if no key can be generated, or if rcgen rejects the modified parameters.
    pub fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Result<Self, rcgen::Error> {
        let issuer = Issuer::from_params(&self.params, &self.pair);
        let (pair, params) = leaf(change)?;
        let certificate = params.signed_by(&pair, &issuer)?.der().to_vec();
        Self::new(certificate, pair, params)
    }

    /// Returns the certificate in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// Returns the private key, PKCS #8 in PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.pair.serialize_pem()
    }
}

fn authority(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn leaf(
    change: impl FnOnce(&mut CertificateParams),
) -> Result<(KeyPair, CertificateParams), rcgen::Error> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.distinguished_name = name("chanbind test server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    change(&mut params);
    Ok((KeyPair::generate()?, params))
}

/// Encodes `der` in PEM with `label` (RFC 7468).
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = encoded
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line))
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}
