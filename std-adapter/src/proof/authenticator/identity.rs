use crate::proof::identity::proved_details;
use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{StatusCode, request::Parts},
};
use chanbind_core::{authenticator::Validated, crypto::sha256, x509::SubjectAltName};
use std::{convert::Infallible, net::IpAddr, sync::Arc};

/// The identity in a certificate whose key was proved on a connection: the details of an [`Identity`](crate::proof::Identity), and an axum
/// extractor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifiedIdentity {
    inner: Arc<Inner>,
}

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    certificates: Arc<[Vec<u8>]>,
    dns_names: Vec<String>,
    uris: Vec<String>,
    ip_addresses: Vec<IpAddr>,
    subject: Vec<u8>,
    common_name: Option<String>,
    spki_sha256: [u8; 32],
    name: Arc<str>,
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
        let spki_sha256 = sha256(leaf.subject_public_key_info());
        let common_name = leaf.common_name().map(str::to_owned);
        let mut names = uris.iter().chain(&dns_names).chain(&common_name);
        let name = match names.next() {
            Some(name) => name.escape_debug().to_string(),
            None => hex::encode(spki_sha256),
        };
        Self {
            inner: Arc::new(Inner {
                certificates: certificates
                    .map(|entry| entry.certificate.to_vec())
                    .collect(),
                dns_names,
                uris,
                ip_addresses,
                subject: leaf.subject().to_vec(),
                common_name,
                spki_sha256,
                name: name.into(),
            }),
        }
    }

    /// Returns the DNS names among its subject alternative names.
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.inner.dns_names
    }

    /// Returns the URIs among its subject alternative names.
    #[must_use]
    pub fn uris(&self) -> &[String] {
        &self.inner.uris
    }

    /// Returns the IP addresses among its subject alternative names.
    #[must_use]
    pub fn ip_addresses(&self) -> &[IpAddr] {
        &self.inner.ip_addresses
    }

    /// Returns its subject, a distinguished name, DER.
    #[must_use]
    pub fn subject(&self) -> &[u8] {
        &self.inner.subject
    }

    /// Returns the common name in its subject.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.inner.common_name.as_deref()
    }

    /// Returns SHA-256 of its SubjectPublicKeyInfo: it names the key, in every certificate for it.
    #[must_use]
    pub fn spki_sha256(&self) -> &[u8; 32] {
        &self.inner.spki_sha256
    }

    /// Returns the certificates that the peer sent, DER, the leaf first. Those behind it need not be of the path that was verified.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.inner.certificates
    }

    /// Returns one name for it, for logs: its first URI or DNS name, else its common name, else its key. Control characters are escaped.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    pub(super) fn shared_certificates(&self) -> Arc<[Vec<u8>]> {
        Arc::clone(&self.inner.certificates)
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.inner.name)
    }
}

/// `None` where it need not be proved.
impl<S: Sync> OptionalFromRequestParts<S> for CertifiedIdentity {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(proved_details(parts))
    }
}

impl<S: Sync> FromRequestParts<S> for CertifiedIdentity {
    type Rejection = StatusCode;

    /// Answers 500 where the policy asks for no authenticator.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        proved_details(parts).ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
