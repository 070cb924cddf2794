//! The certificate of the other end: it is looked at whether it is trusted or not.

use super::Findings;
use crate::failure::Failure;
use chanbind::tls::crypto_provider;
use rustls::{
    DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};
use x509_parser::parse_x509_certificate;

/// Verifies the server's certificate, keeps it with the verdict, and lets the handshake go on in any case. Nothing secret is sent if
/// it is not trusted.
#[derive(Debug)]
pub(super) struct Recorder {
    verifier: Arc<WebPkiServerVerifier>,
    seen: Mutex<Option<Seen>>,
}

#[derive(Debug, Clone)]
struct Seen {
    certificate: Vec<u8>,
    verdict: Result<(), Error>,
}

impl Recorder {
    pub(super) fn new(roots: RootCertStore) -> Result<Arc<Self>, Failure> {
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), crypto_provider());
        Ok(Arc::new(Self {
            verifier: verifier.build()?,
            seen: Mutex::default(),
        }))
    }

    fn seen(&self) -> Option<Seen> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reports the certificate. Returns whether it is trusted.
    pub(super) fn report(&self, findings: &mut Findings) -> bool {
        let Some(seen) = self.seen() else {
            return false;
        };
        let described = match parse_x509_certificate(&seen.certificate) {
            Ok((_, certificate)) => format!(
                "{}, issued by {}",
                certificate.subject(),
                certificate.issuer()
            ),
            Err(_) => "unreadable".to_owned(),
        };
        let described = format!(
            "the certificate: {described}, SHA-256 {}",
            digest(&seen.certificate)
        );
        match seen.verdict {
            Ok(()) => {
                findings.good(&described);
                true
            }
            Err(error) => {
                findings.bad(
                    &format!("{described}: {error}"),
                    "another end than the gateway, such as a proxy that intercepts TLS, or --ca, --server-name or the clock are wrong. Nothing was sent to it",
                );
                false
            }
        }
    }

    /// Compares the certificate with the fingerprint of the one that was expected.
    pub(super) fn compare(&self, expected: &str, whose: &str, findings: &mut Findings) {
        let Some(seen) = self.seen() else {
            return;
        };
        let is = digest(&seen.certificate);
        if is == expected {
            findings.good(&format!("the certificate is {whose}"));
        } else {
            findings.bad(
                &format!("the certificate is not {whose}: SHA-256 {is} instead of {expected}"),
                "a program between both ends the connection, and a proof for one side is worth nothing on the other: let it pass TLS through. Or the gateway has a new certificate",
            );
        }
    }
}

fn digest(certificate: &[u8]) -> String {
    hex::encode(Sha256::digest(certificate))
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen {
            certificate: end_entity.to_vec(),
            verdict: verdict.map(|_| ()),
        });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
