use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{StatusCode, request::Parts},
};
use chanbind_core::{authenticator::Validated, crypto::sha256, x509::SubjectAltName};
use std::{convert::Infallible, net::IpAddr, sync::Arc};

/// Who has proved the key of a certificate on a connection: in a request's extensions at a gateway, and an axum extractor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifiedIdentity {
    inner: Arc<Inner>,
}

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    certificates: Vec<Vec<u8>>,
    dns_names: Vec<String>,
    uris: Vec<String>,
    ip_addresses: Vec<IpAddr>,
    subject: Vec<u8>,
    common_name: Option<String>,
    spki_sha256: [u8; 32],
}

impl CertifiedIdentity {
    pub(crate) fn new(validated: &Validated<'_>) -> Self {
        let leaf = validated.leaf();
        let (mut dns_names, mut uris, mut ip_addresses) = (Vec::new(), Vec::new(), Vec::new());
        for name in leaf.subject_alt_names() {
            match name {
                SubjectAltName::Dns(name) => dns_names.push(name.to_owned()),
                SubjectAltName::Uri(uri) => uris.push(uri.to_owned()),
                SubjectAltName::Ip(address) => ip_addresses.push(address),
                _ => {}
            }
        }
        let certificates = validated.entries();
        Self {
            inner: Arc::new(Inner {
                certificates: certificates
                    .map(|entry| entry.certificate.to_vec())
                    .collect(),
                dns_names,
                uris,
                ip_addresses,
                subject: leaf.subject().to_vec(),
                common_name: leaf.common_name().map(str::to_owned),
                spki_sha256: sha256(leaf.subject_public_key_info()),
            }),
        }
    }

    /// The DNS names of its subject alternative names.
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.inner.dns_names
    }

    /// The URIs of its subject alternative names.
    #[must_use]
    pub fn uris(&self) -> &[String] {
        &self.inner.uris
    }

    /// The IP addresses of its subject alternative names.
    #[must_use]
    pub fn ip_addresses(&self) -> &[IpAddr] {
        &self.inner.ip_addresses
    }

    /// Its subject, a distinguished name, DER.
    #[must_use]
    pub fn subject(&self) -> &[u8] {
        &self.inner.subject
    }

    /// The common name in its subject.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.inner.common_name.as_deref()
    }

    /// SHA-256 of its SubjectPublicKeyInfo: names the key, whatever certificate it has.
    #[must_use]
    pub fn spki_sha256(&self) -> &[u8; 32] {
        &self.inner.spki_sha256
    }

    /// The certificates that came, DER, the leaf first. Those behind it need not be of the path that was verified.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.inner.certificates
    }

    /// One name for it in logs: its first URI or DNS name, else its common name, else its key. Control characters are escaped.
    #[must_use]
    pub fn name(&self) -> String {
        let names = self.inner.uris.iter().chain(&self.inner.dns_names);
        let mut names = names.chain(&self.inner.common_name);
        match names.next() {
            Some(name) => name.escape_debug().to_string(),
            None => hex::encode(self.inner.spki_sha256),
        }
    }
}

/// Where it need not be proved.
impl<S: Sync> OptionalFromRequestParts<S> for CertifiedIdentity {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned())
    }
}

impl<S: Sync> FromRequestParts<S> for CertifiedIdentity {
    type Rejection = StatusCode;

    /// 500 where no [`AuthenticatorLayer`](crate::gateway::AuthenticatorLayer) asks for one.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts
            .extensions
            .get()
            .cloned()
            .ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
