//! Certificates, and requests for certificates, for a key in a TPM.

use crate::{
    failure::Failure,
    files::{named, read},
};
use chanbind::{
    protocol::{
        crypto::{ecdsa::MAX_DER_LEN, sha256},
        otp::ClientId,
        x509::{Anchors, PathRules, Time, Usage},
    },
    tls,
    tpm::{TpmError, TpmSigningKey},
};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
    SignatureAlgorithm, SigningKey, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};
use zeroize::Zeroizing;

/// The maximum length of a common name, in characters (RFC 5280 appendix A.1, ub-common-name).
const MAX_COMMON_NAME_LEN: usize = 64;

/// Returns the contents of a client's certificate, which a request has too.
pub(super) fn parameters(
    client: ClientId<'_>,
    alternative_names: Vec<SanType>,
) -> Result<CertificateParams, Failure> {
    let name = client.as_str();
    if name.len() > MAX_COMMON_NAME_LEN {
        return Err(format!(
            "--client-id has {} characters: a certificate's common name has at most {MAX_COMMON_NAME_LEN}; use --uri for a longer name",
            name.len()
        )
        .into());
    }
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, name.to_owned());
    parameters.subject_alt_names = alternative_names;
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(parameters)
}

/// Returns a PKCS #10 certificate request (RFC 2986) in PEM, signed by the TPM.
pub(super) async fn request(
    parameters: CertificateParams,
    key: TpmSigningKey,
) -> Result<String, Failure> {
    let request = tokio::task::spawn_blocking(move || {
        let signer = TpmSigner {
            key,
            sign_error: Mutex::default(),
        };
        let request = parameters
            .serialize_request(&signer)
            .and_then(|request| request.pem());
        // rcgen does not pass on the reason why the key failed to sign.
        match signer.sign_error.into_inner() {
            Ok(Some(error)) => Err(Failure::from(error)),
            _ => request.map_err(Failure::from),
        }
    });
    request.await?
}

/// A key in a TPM, for rcgen. Signing blocks the calling thread.
struct TpmSigner {
    key: TpmSigningKey,
    sign_error: Mutex<Option<TpmError>>,
}

impl PublicKeyData for TpmSigner {
    fn der_bytes(&self) -> &[u8] {
        self.key.public_key()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for TpmSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match self.key.sign_blocking(&sha256(message)) {
            Ok(signature) => {
                let mut der = [0; MAX_DER_LEN];
                let der = signature.to_der(&mut der);
                der.map(|der| der.to_vec())
                    .map_err(|_| rcgen::Error::RemoteKeyError)
            }
            Err(error) => {
                let mut sign_error = self
                    .sign_error
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                *sign_error = Some(error);
                Err(rcgen::Error::RemoteKeyError)
            }
        }
    }
}

/// A P-256 public key without its private key, as an uncompressed point.
pub(crate) struct PublicPoint<'k>(pub(crate) &'k [u8]);

impl PublicKeyData for PublicPoint<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// A certification authority with its private key.
pub(super) struct Authority {
    certificate: CertificateDer<'static>,
    key: Zeroizing<KeyPair>,
}

impl Authority {
    /// Reads the authority's certificate and private key from PEM files.
    pub(super) fn read(certificate_path: &Path, key_path: &Path) -> Result<Self, Failure> {
        let certificate = CertificateDer::from_pem_slice(&read(certificate_path)?).map_err(|error| {
            named(
                certificate_path,
                format!("no certificate can be read ({error}): give the authority's own certificate, PEM with -----BEGIN CERTIFICATE-----"),
            )
        })?;
        check_is_authority(&certificate).map_err(|error| named(certificate_path, error))?;
        let pem = Zeroizing::new(read(key_path)?);
        let invalid_key = |error: &dyn std::fmt::Display| {
            named(
                key_path,
                format!(
                    "no private key can be read ({error}): give the authority's key, PEM with -----BEGIN PRIVATE KEY-----, without a password"
                ),
            )
        };
        let der = PrivateKeyDer::from_pem_slice(&pem)
            .map(Zeroizing::new)
            .map_err(|error| invalid_key(&error))?;
        let key = KeyPair::try_from(&*der).map_err(|error| invalid_key(&error))?;
        Ok(Self {
            certificate,
            key: Zeroizing::new(key),
        })
    }

    /// Issues a certificate and returns it in PEM. It is valid from one minute before now, for `days` days from now.
    pub(super) fn issue(
        &self,
        mut parameters: CertificateParams,
        public_key: &[u8],
        days: u32,
    ) -> Result<String, Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let epoch = date_time_ymd(1970, 1, 1);
        parameters.not_before = epoch + Duration::from_secs(now.saturating_sub(60));
        parameters.not_after =
            epoch + Duration::from_secs(now) + Duration::from_secs(86_400) * days;
        let mut serial = [0; 16];
        getrandom::fill(&mut serial)?;
        // A serial number is positive and not zero (RFC 5280 section 4.1.2.2).
        serial[0] = serial[0] & 0x7f | 0x40;
        parameters.serial_number = Some(SerialNumber::from_slice(&serial));
        parameters.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_ca_cert_der(&self.certificate, &*self.key)?;
        let certificate = parameters.signed_by(&PublicPoint(public_key), &issuer)?;

        let anchors: Anchors<'_> = Anchors::new(&[&self.certificate])?;
        let verified = PathRules::new(&anchors, Usage::ClientAuth, Time::At(now))
            .with_algorithms(tls::signature_algorithms())
            .verify(certificate.der(), []);
        if let Err(error) = verified {
            return Err(format!(
                "a certificate that --ca-key signed does not verify against --ca ({error}): give the key and the certificate of one authority, or have --csr signed by another tool"
            )
            .into());
        }
        Ok(certificate.pem())
    }
}

/// Checks that a certificate is an authority's (RFC 5280 sections 4.2.1.3 and 4.2.1.9).
fn check_is_authority(certificate: &[u8]) -> Result<(), String> {
    let (_, certificate) = X509Certificate::from_der(certificate)
        .map_err(|error| format!("the certificate is malformed: {error}"))?;
    let usage = certificate
        .key_usage()
        .map_err(|error| format!("the certificate's key usage is malformed: {error}"))?;
    if certificate.is_ca() && usage.is_none_or(|usage| usage.value.key_cert_sign()) {
        Ok(())
    } else {
        Err("not an authority's certificate: its basicConstraints must have CA:TRUE, and its keyUsage, if present, must have keyCertSign".to_owned())
    }
}
