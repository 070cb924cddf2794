use super::CertifiedIdentity;
use crate::{
    clock,
    tls::{self, TlsConfigError},
    unique,
};
use chanbind_core::{
    authenticator::{
        Endpoint, PendingRequest, RequestError, RequestParameters, Role, ValidateError, Validated,
    },
    x509::{Anchors, PathError, PathRules, SignatureScheme, Time, Usage, VerifiedLeaf, subject},
};
use rustls::pki_types::TrustAnchor;
use std::{fmt, sync::Arc};

/// The certificates that are accepted: those of up to four authorities, and of these, if pins are given, only those with certain keys.
/// A clone is the same trust: what is proved for one is proved for the other.
#[derive(Clone)]
pub struct Trust {
    inner: Arc<Inner>,
}

struct Inner {
    /// Differs for every trust: what was proved for one is not proved for another.
    id: u64,
    anchors: Anchors<'static>,
    /// The distinguished names of the authorities, DER.
    names: Vec<Vec<u8>>,
    /// The only keys that are accepted, if there are pins.
    pins: Option<Vec<[u8; 32]>>,
}

/// The error of reading authorities.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The PEM holds no certificates.
    #[error("{0}")]
    Pem(#[from] TlsConfigError),
    /// The authorities cannot be used.
    #[error("{0}")]
    Authority(PathError),
}

/// The error of making a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestTrustError {
    #[error("{0}")]
    Request(RequestError),
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Trust {
    /// Reads the authorities from a PEM file with 1 to 4 certificates.
    ///
    /// # Errors
    /// [`TrustError`]
    pub fn from_pem(pem: &[u8]) -> Result<Self, TrustError> {
        let authorities = tls::certificates_from_pem(pem)?;
        let der: Vec<&[u8]> = authorities.iter().map(AsRef::as_ref).collect();
        let anchors = Anchors::new(&der).map_err(TrustError::Authority)?;
        let parsed = anchors.as_slice().iter().map(TrustAnchor::to_owned);
        let anchors = Anchors::from_parsed(parsed).map_err(TrustError::Authority)?;
        let names: Result<Vec<_>, _> = der.iter().map(|one| subject(one)).collect();
        let names = names.map_err(TrustError::Authority)?;
        let names = names.into_iter().map(<[u8]>::to_vec).collect();
        Ok(Self::new(anchors, names, None))
    }

    /// Returns a trust that accepts only leaves with one of these keys, and none if the list is empty: SHA-256 of their
    /// SubjectPublicKeyInfo, as [`spki_sha256`](chanbind_core::x509::spki_sha256) computes it.
    #[must_use]
    pub fn with_pins(&self, pins: &[[u8; 32]]) -> Self {
        let inner = &self.inner;
        Self::new(
            inner.anchors.clone(),
            inner.names.clone(),
            Some(pins.to_vec()),
        )
    }

    fn new(anchors: Anchors<'static>, names: Vec<Vec<u8>>, pins: Option<Vec<[u8; 32]>>) -> Self {
        Self {
            inner: Arc::new(Inner {
                id: unique::id(),
                anchors,
                names,
                pins,
            }),
        }
    }

    /// Returns the rules by which a certificate path is verified now. The usage is that of clients; an
    /// [`Endpoint`] replaces it by the peer's.
    #[must_use]
    pub fn rules(&self) -> PathRules<'_> {
        PathRules::new(
            &self.inner.anchors,
            Usage::ClientAuth,
            Time::At(clock::now()),
        )
        .with_algorithms(tls::signature_algorithms())
    }

    pub(super) fn id(&self) -> u64 {
        self.inner.id
    }

    /// Makes a request for what is accepted here, with a random context.
    pub(super) fn request<R: Role, const CONTEXTS: usize>(
        &self,
        endpoint: &mut Endpoint<R, CONTEXTS>,
        server_name: Option<&str>,
    ) -> Result<PendingRequest<R, Vec<u8>>, RequestTrustError> {
        let mut context = [0; 16];
        getrandom::fill(&mut context).map_err(RequestTrustError::Random)?;
        let algorithms = tls::signature_algorithms();
        let mut schemes: Vec<SignatureScheme> = algorithms
            .schemes
            .iter()
            .map(|(scheme, _)| *scheme)
            .collect();
        // The scheme of microcontrollers comes first.
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
        // The names help the peer to choose. Where they are too long, it chooses without.
        if names.iter().map(|name| name.len()).sum::<usize>() <= 512 {
            parameters.certificate_authorities = &names;
        }
        let buffer = vec![0; parameters.encoded_len()];
        let request = endpoint.request(&parameters, buffer);
        request.map_err(RequestTrustError::Request)
    }

    /// Returns the identity in an authenticator that was validated by [`Trust::rules`].
    pub(super) fn identify<'a>(
        &self,
        validated: &Validated<'a>,
    ) -> Result<(CertifiedIdentity, VerifiedLeaf<'a>), ValidateError> {
        let identity = CertifiedIdentity::new(validated);
        match &self.inner.pins {
            Some(pins) if !pins.contains(identity.spki_sha256()) => Err(PathError::Pin.into()),
            _ => Ok((identity, *validated.leaf())),
        }
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Trust({} authorities, {:?} pins)",
            self.inner.anchors.as_slice().len(),
            self.inner.pins.as_ref().map(Vec::len)
        )
    }
}
