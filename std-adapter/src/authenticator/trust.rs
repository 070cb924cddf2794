use super::CertifiedIdentity;
use crate::{
    clock,
    tls::{self, TlsConfigError},
};
use chanbind_core::{
    authenticator::{
        Endpoint, PendingRequest, RequestError, RequestParameters, Role, ValidateError, Validated,
    },
    x509::{Anchors, PathError, PathRules, SignatureScheme, Time, Usage, VerifiedLeaf, subject},
};
use rustls::pki_types::CertificateDer;
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Whose certificates are accepted: those of up to four authorities, if it is said only those with certain keys. Cloning gives the
/// same one.
#[derive(Clone)]
pub struct Trust {
    inner: Arc<Inner>,
}

struct Inner {
    /// Tells them apart: what was proved for one is not proved for another.
    id: u64,
    authorities: Vec<CertificateDer<'static>>,
    /// Their distinguished names, DER.
    names: Vec<Vec<u8>>,
    /// If it is said, only these keys.
    pins: Option<Vec<[u8; 32]>>,
}

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The PEM holds no certificates.
    #[error("{0}")]
    Pem(#[from] TlsConfigError),
    /// They cannot be used.
    #[error("{0}")]
    Authority(PathError),
}

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("{0}")]
    Request(RequestError),
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Trust {
    /// The authorities whose certificates are in a PEM file, 1 to 4.
    ///
    /// # Errors
    /// [`TrustError`]
    pub fn from_pem(pem: &[u8]) -> Result<Self, TrustError> {
        let authorities = tls::certificates_from_pem(pem)?;
        let der: Vec<&[u8]> = authorities.iter().map(AsRef::as_ref).collect();
        Anchors::new(&der).map_err(TrustError::Authority)?;
        let names: Result<Vec<_>, _> = der.iter().map(|one| subject(one)).collect();
        let names = names.map_err(TrustError::Authority)?;
        let names = names.into_iter().map(<[u8]>::to_vec).collect();
        Ok(Self::new(authorities, names, None))
    }

    /// Only leaves with one of these keys, and nobody if there are none: SHA-256 of their SubjectPublicKeyInfo, as
    /// [`spki_sha256`](chanbind_core::x509::spki_sha256) computes it.
    #[must_use]
    pub fn with_pins(&self, pins: &[[u8; 32]]) -> Self {
        let inner = &self.inner;
        Self::new(
            inner.authorities.clone(),
            inner.names.clone(),
            Some(pins.to_vec()),
        )
    }

    fn new(
        authorities: Vec<CertificateDer<'static>>,
        names: Vec<Vec<u8>>,
        pins: Option<Vec<[u8; 32]>>,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            inner: Arc::new(Inner {
                id: NEXT.fetch_add(1, Ordering::Relaxed),
                authorities,
                names,
                pins,
            }),
        }
    }

    /// For tests that need one to be told apart.
    #[cfg(test)]
    pub(crate) fn of_nobody() -> Self {
        Self::new(Vec::new(), Vec::new(), None)
    }

    pub(crate) fn id(&self) -> u64 {
        self.inner.id
    }

    /// Makes a request for what is accepted here, with a random context.
    pub(crate) fn request<R: Role, const CONTEXTS: usize>(
        &self,
        endpoint: &Mutex<Endpoint<R, CONTEXTS>>,
        server_name: Option<&str>,
    ) -> Result<PendingRequest<R, Vec<u8>>, AskError> {
        let mut context = [0; 16];
        getrandom::fill(&mut context).map_err(AskError::Random)?;
        let algorithms = tls::signature_algorithms();
        let mut schemes: Vec<SignatureScheme> = algorithms
            .schemes
            .iter()
            .map(|(scheme, _)| *scheme)
            .collect();
        // What a microcontroller has, first.
        schemes.sort_by_key(|scheme| *scheme != SignatureScheme::ECDSA_SECP256R1_SHA256);
        let mut in_certificates = schemes.clone();
        in_certificates.extend([
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
        ]);
        let names: Vec<&[u8]> = self.inner.names.iter().map(Vec::as_slice).collect();
        let mut parameters = RequestParameters::new(&context, &schemes);
        parameters.signature_algorithms_cert = &in_certificates;
        parameters.server_name = server_name;
        // They are a help to choose. Where they are too long, whoever is asked chooses by itself.
        if names.iter().map(|name| name.len()).sum::<usize>() <= 512 {
            parameters.certificate_authorities = &names;
        }
        let buffer = vec![0; parameters.encoded_len()];
        let mut endpoint = endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        let request = endpoint.request(&parameters, buffer);
        request.map_err(AskError::Request)
    }

    /// Validates now.
    pub(crate) fn validate<'a>(
        &self,
        validate: impl FnOnce(&PathRules<'_>) -> Result<Validated<'a>, ValidateError>,
    ) -> Result<(CertifiedIdentity, VerifiedLeaf<'a>), ValidateError> {
        let der: Vec<&[u8]> = self.inner.authorities.iter().map(AsRef::as_ref).collect();
        let anchors = Anchors::new(&der)?;
        // The usage is the endpoint's to say.
        let rules = PathRules::new(&anchors, Usage::ClientAuth, Time::At(clock::now()))
            .with_algorithms(tls::signature_algorithms());
        let validated = validate(&rules)?;
        let identity = CertifiedIdentity::new(&validated);
        match &self.inner.pins {
            Some(pins) if !pins.contains(identity.spki_sha256()) => {
                return Err(PathError::Pin.into());
            }
            _ => {}
        }
        Ok((identity, *validated.leaf()))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Trust({} authorities, {:?} pins)",
            self.inner.authorities.len(),
            self.inner.pins.as_ref().map(Vec::len)
        )
    }
}
