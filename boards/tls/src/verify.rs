use crate::{config::Authentication, error::ConnectError, transcript::Suite};
use chanbind_core::{
    crypto::{
        MAX_HASH_LEN,
        ecdsa::{P256, Signature},
        equal, sha256_of_parts,
    },
    x509::{PathError, PublicKey, spki_sha256, subject_public_key_info},
};
use digest::Digest;
use embedded_tls::{
    CertificateEntryRef, CertificateRef, CertificateVerifyRef, SignatureScheme, TlsError,
    TlsVerifier,
};

/// A server verifier that records whether it has verified the server, because embedded-tls also opens a connection to a server
/// that sends no certificate.
pub(crate) struct Verifier<'a> {
    authentication: &'a Authentication<'a>,
    p256: &'static dyn P256,
    progress: Progress,
    /// The reason for a failed verification; embedded-tls cannot pass it on to the caller.
    pub(crate) refusal: Option<ConnectError>,
}

enum Progress {
    /// Awaits Certificate.
    Certificate,
    /// Awaits CertificateVerify, signed with this key over this transcript hash.
    CertificateVerify {
        public_key: PublicKey,
        transcript: [u8; MAX_HASH_LEN],
        len: usize,
    },
    Verified,
}

impl<'a> Verifier<'a> {
    pub(crate) fn new(authentication: &'a Authentication<'a>, p256: &'static dyn P256) -> Self {
        Self {
            authentication,
            p256,
            progress: Progress::Certificate,
            refusal: None,
        }
    }

    /// Checks that the server has been verified.
    ///
    /// # Errors
    /// [`ConnectError::NoCertificate`] or [`ConnectError::NoCertificateVerify`], depending on the missing message.
    pub(crate) fn finish(&self) -> Result<(), ConnectError> {
        match self.progress {
            Progress::Certificate => Err(ConnectError::NoCertificate),
            Progress::CertificateVerify { .. } => Err(ConnectError::NoCertificateVerify),
            Progress::Verified => Ok(()),
        }
    }

    /// Keeps the error for the caller, and converts it for embedded-tls.
    fn keep_error<T>(&mut self, verified: Result<T, ConnectError>) -> Result<T, TlsError> {
        verified.map_err(|error| {
            self.refusal = Some(error);
            TlsError::InvalidCertificate
        })
    }

    // Not inlined, to keep its locals out of the stack frame of embedded-tls, which is already large.
    #[inline(never)]
    fn check_certificate(&self, message: &CertificateRef<'_>) -> Result<PublicKey, ConnectError> {
        if !matches!(self.progress, Progress::Certificate) {
            return Err(ConnectError::MessageOrder);
        }
        // Raw public keys (RFC 7250) were not offered.
        let is_raw = |entry| matches!(entry, &CertificateEntryRef::RawPublicKey(_));
        if message.entries.iter().any(is_raw) {
            return Err(ConnectError::NoCertificate);
        }
        let mut certificates = message.entries.iter().filter_map(|entry| match entry {
            CertificateEntryRef::X509(der) => Some(*der),
            CertificateEntryRef::RawPublicKey(_) => None,
        });
        let leaf = certificates.next().ok_or(ConnectError::NoCertificate)?;
        let public_key = match self.authentication {
            Authentication::Path { rules, name } => {
                let verified = rules.verify(leaf, certificates)?;
                verified.has_name(name)?;
                verified.public_key()?
            }
            Authentication::Pin(pin) => {
                if !equal(&spki_sha256(leaf)?, *pin) {
                    return Err(PathError::Pin.into());
                }
                PublicKey::from_spki(subject_public_key_info(leaf)?)?
            }
            // embedded-tls gets no verifier in these cases.
            Authentication::Psk { .. } | Authentication::None => {
                return Err(ConnectError::MessageOrder);
            }
        };
        Ok(public_key)
    }

    /// Verifies the signature of CertificateVerify (RFC 8446 section 4.4.3).
    #[inline(never)]
    fn check_signature(&self, message: &CertificateVerifyRef<'_>) -> Result<(), ConnectError> {
        let Progress::CertificateVerify {
            public_key: PublicKey::P256(point),
            transcript,
            len,
        } = &self.progress
        else {
            return Err(ConnectError::MessageOrder);
        };
        if !matches!(
            message.signature_scheme,
            SignatureScheme::EcdsaSecp256r1Sha256
        ) {
            return Err(ConnectError::SignatureScheme);
        }
        let transcript = transcript.get(..*len).unwrap_or_default();
        let digest = sha256_of_parts(&[SIGNED_CONTEXT, transcript]);
        let signature =
            Signature::from_der(message.signature).map_err(|_| ConnectError::CertificateVerify)?;
        if self.p256.verify(point, &digest, &signature) {
            Ok(())
        } else {
            Err(ConnectError::CertificateVerify)
        }
    }
}

impl<S: Suite> TlsVerifier<S> for Verifier<'_> {
    /// Does nothing: the name comes from the configuration.
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), TlsError> {
        Ok(())
    }

    fn verify_certificate(
        &mut self,
        transcript: &S::Hash,
        message: CertificateRef<'_>,
    ) -> Result<(), TlsError> {
        let verified = self.check_certificate(&message);
        let public_key = self.keep_error(verified)?;
        let hash = transcript.clone().finalize();
        let mut copy = [0; MAX_HASH_LEN];
        copy.get_mut(..hash.len())
            .ok_or(TlsError::InternalError)?
            .copy_from_slice(&hash);
        self.progress = Progress::CertificateVerify {
            public_key,
            transcript: copy,
            len: hash.len(),
        };
        Ok(())
    }

    fn verify_signature(&mut self, message: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        let verified = self.check_signature(&message);
        self.keep_error(verified)?;
        self.progress = Progress::Verified;
        Ok(())
    }
}

/// The prefix of the signed content: 64 spaces, the context string, and a zero byte.
const SIGNED_CONTEXT: &[u8] =
    b"                                                                TLS 1.3, server CertificateVerify\0";
