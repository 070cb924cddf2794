//! The fields in which a proxy says who a client is.

use super::{TokenError, TokenSigner, fields::remove_spellings};
use crate::{
    gateway::Channel,
    proof::{Identities, Identity},
    unique,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::{
    fmt::{self, Write},
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// The certificate of a client (RFC 9440 section 2).
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// The header fields with a client's verified identity.
///
/// The defaults are `X-Client-Subject`, `X-Client-Proof` with the kind of proof, `X-Client-Realm` for kinds that have realms, and Client-Cert
/// (RFC 9440) for those that have certificates. They name the first identity of the rule; a token names all of them. In a subject and in a
/// realm, `%` and all bytes but visible ASCII are percent-encoded.
#[derive(Debug)]
pub struct IdentityFields {
    id: u64,
    subject: Option<HeaderName>,
    kind: Option<HeaderName>,
    realm: Option<HeaderName>,
    has_certificate: bool,
    token: Option<(HeaderName, TokenSigner)>,
    /// The fields that are removed from requests.
    own: Vec<HeaderName>,
}

/// The error of choosing fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} cannot carry an identity: requests need it for something else, or it stands twice")]
pub struct IdentityFieldsError(pub HeaderName);

impl Default for IdentityFields {
    fn default() -> Self {
        let fields = Self {
            subject: Some(HeaderName::from_static("x-client-subject")),
            kind: Some(HeaderName::from_static("x-client-proof")),
            realm: Some(HeaderName::from_static("x-client-realm")),
            has_certificate: true,
            ..Self::none()
        };
        fields.listed()
    }
}

impl IdentityFields {
    /// Creates a set without fields.
    #[must_use]
    pub fn none() -> Self {
        Self {
            id: unique::id(),
            subject: None,
            kind: None,
            realm: None,
            has_certificate: false,
            token: None,
            own: vec![CLIENT_CERT, CLIENT_CERT_CHAIN],
        }
    }

    /// Sets the field for the subject.
    #[must_use]
    pub fn with_subject(mut self, name: Option<HeaderName>) -> Self {
        self.subject = name;
        self.listed()
    }

    /// Sets the field for the kind of proof.
    #[must_use]
    pub fn with_kind(mut self, name: Option<HeaderName>) -> Self {
        self.kind = name;
        self.listed()
    }

    /// Sets the field for the realm of the subject.
    #[must_use]
    pub fn with_realm(mut self, name: Option<HeaderName>) -> Self {
        self.realm = name;
        self.listed()
    }

    /// Sets whether Client-Cert is added.
    #[must_use]
    pub fn with_certificate(mut self, has_certificate: bool) -> Self {
        self.has_certificate = has_certificate;
        self
    }

    /// Adds a field for a signed token.
    #[must_use]
    pub fn with_token(mut self, name: HeaderName, signer: TokenSigner) -> Self {
        self.token = Some((name, signer));
        self.listed()
    }

    /// Checks that each field has a name of its own, which nothing else of a request needs.
    ///
    /// # Errors
    /// [`IdentityFieldsError`]
    pub fn check(&self) -> Result<(), IdentityFieldsError> {
        const NEEDED: [&str; 12] = [
            "authorization",
            "connection",
            "content-length",
            "content-type",
            "expect",
            "host",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "x-forwarded-for",
            "x-forwarded-host",
        ];
        for (at, name) in self.own.iter().enumerate() {
            let (before, _) = self.own.split_at(at);
            if NEEDED.contains(&name.as_str()) || before.contains(name) {
                return Err(IdentityFieldsError(name.clone()));
            }
        }
        Ok(())
    }

    /// Lists the fields that are removed from requests.
    fn listed(mut self) -> Self {
        let token = self.token.as_ref().map(|(name, _)| name);
        let chosen = [
            self.subject.as_ref(),
            self.kind.as_ref(),
            self.realm.as_ref(),
            token,
        ];
        self.own = [CLIENT_CERT, CLIENT_CERT_CHAIN].into();
        self.own.extend(chosen.into_iter().flatten().cloned());
        self
    }

    /// Removes what a client has put into the fields.
    pub(super) fn remove(&self, headers: &mut HeaderMap) {
        remove_spellings(headers, &self.own);
    }

    /// Adds the fields.
    pub(super) fn add(
        &self,
        headers: &mut HeaderMap,
        identities: &Identities,
        channel: &Channel,
    ) -> Result<(), TokenError> {
        let Some(first) = identities.iter().next() else {
            return Ok(());
        };
        if let Some(name) = &self.subject {
            headers.insert(name, encoded(first.subject()));
        }
        if let Some(name) = &self.kind {
            headers.insert(name, HeaderValue::from_static(first.kind()));
        }
        if let (Some(name), Some(realm)) = (&self.realm, first.realm()) {
            headers.insert(name, encoded(realm));
        }
        let mut certificates = identities
            .iter()
            .filter_map(|one| one.certificates().first());
        if let (true, Some(certificate)) = (self.has_certificate, certificates.next()) {
            // A byte sequence of RFC 9651.
            let text = format!(":{}:", BASE64_STANDARD.encode(certificate));
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(CLIENT_CERT, value);
            }
        }
        if let Some((name, signer)) = &self.token {
            headers.insert(name, self.token(signer, first, identities, channel)?);
        }
        Ok(())
    }

    /// Returns a token: the one of the request before, while it is good for at least half of its lifetime.
    fn token(
        &self,
        signer: &TokenSigner,
        first: &Identity,
        identities: &Identities,
        channel: &Channel,
    ) -> Result<HeaderValue, TokenError> {
        let cache = channel.state(self.id, Cache::default);
        let mut last = cache.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(last) = &*last
            && now.duration_since(last.signed) < signer.lifetime() / 2
            && last.identities.are_same(identities)
        {
            return Ok(last.token.clone());
        }
        let all: Vec<&Identity> = identities.iter().collect();
        let token = signer.sign(first, &all, channel)?;
        *last = Some(Signed {
            identities: identities.clone(),
            token: token.clone(),
            signed: now,
        });
        Ok(token)
    }
}

/// The last token of a connection.
#[derive(Default)]
struct Cache(Mutex<Option<Signed>>);

struct Signed {
    identities: Identities,
    token: HeaderValue,
    signed: Instant,
}

/// Writes text as visible ASCII.
fn encoded(text: &str) -> HeaderValue {
    let is_plain = |byte: u8| matches!(byte, b'!'..=b'~') && byte != b'%';
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    HeaderValue::try_from(out).unwrap_or(HeaderValue::from_static(""))
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_visible_ascii() {
        for (subject, value) in [
            ("pump-7", "pump-7"),
            ("factory:line3:pump7", "factory:line3:pump7"),
            ("50 %", "50%20%25"),
            ("Zähler", "Z%C3%A4hler"),
            ("a\r\nX-Client-Subject: b", "a%0D%0AX-Client-Subject:%20b"),
        ] {
            assert_eq!(encoded(subject), value, "{subject:?}");
        }
    }

    #[test]
    fn fields_have_names_of_their_own() {
        let name = |text: &'static str| Some(HeaderName::from_static(text));
        assert_eq!(IdentityFields::default().check(), Ok(()));
        let twice = IdentityFields::default().with_kind(name("x-client-subject"));
        assert!(twice.check().is_err());
        let needed = IdentityFields::default().with_subject(name("host"));
        assert!(needed.check().is_err());
        let reserved = IdentityFields::none().with_subject(name("client-cert"));
        assert!(reserved.check().is_err());
    }
}
