//! Tokens in which a proxy says who a client is: JWT (RFC 7519), signed.

use crate::{clock, gateway::Channel, proof::Identity};
use axum::http::HeaderValue;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chanbind_core::binding::ChannelBinding;
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, JwkSet, ThumbprintHash},
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{fmt, time::Duration};

/// Signs tokens with which a server behind the gateway can check, apart from the network, who a client is.
///
/// | claim | value |
/// |---|---|
/// | `iss`, `aud` | as configured |
/// | `sub`, `kind`, `realm` | of the first identity that the client has proved |
/// | `identities` | all of them, each with `sub`, `kind` and `realm` |
/// | `iat`, `exp` | times in seconds: the token is good for the lifetime, 60 seconds by default |
/// | `cnf` | `tls-exporter#S256`: SHA-256 of the connection's binding (RFC 9266) in base64url, so that two requests can be seen to be of one connection; with a certificate also `x5t#S256` (RFC 8705 section 3.1) |
///
/// The algorithm is `ES256`: ECDSA on P-256 with SHA-256. Servers get the public key as a JWK set from [`TokenSigner::jwk_set`].
pub struct TokenSigner {
    key: EncodingKey,
    header: Header,
    jwk_set: String,
    issuer: String,
    audience: String,
    lifetime: Duration,
}

/// The error of signing tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The key cannot be used.
    #[error("the key is not PKCS #8 in PEM for ECDSA on P-256: {0}")]
    Key(String),
    /// The token could not be signed.
    #[error("the token could not be signed: {0}")]
    Sign(String),
    /// The connection gives no keying material.
    #[error("the connection has no exporter: {0}")]
    Channel(String),
}

#[derive(Serialize)]
struct Claims<'c> {
    iss: &'c str,
    aud: &'c str,
    #[serde(flatten)]
    first: Subject<'c>,
    identities: Vec<Subject<'c>>,
    iat: u64,
    exp: u64,
    cnf: Confirmation,
}

#[derive(Serialize)]
struct Subject<'c> {
    sub: &'c str,
    kind: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    realm: Option<&'c str>,
}

#[derive(Serialize)]
struct Confirmation {
    #[serde(rename = "tls-exporter#S256")]
    exporter: String,
    #[serde(rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
}

impl TokenSigner {
    /// Creates a signer with a key: PKCS #8 in PEM, for ECDSA on P-256.
    ///
    /// # Errors
    /// [`TokenError::Key`]
    pub fn from_pem(
        key: &[u8],
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> Result<Self, TokenError> {
        let unsupported = |error: jsonwebtoken::errors::Error| TokenError::Key(error.to_string());
        let key = EncodingKey::from_ec_pem(key).map_err(unsupported)?;
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(unsupported)?;
        let thumbprint = jwk
            .thumbprint(ThumbprintHash::SHA256)
            .map_err(unsupported)?;
        jwk.common.key_id = Some(thumbprint.clone());
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(thumbprint);
        let keys = JwkSet { keys: vec![jwk] };
        let jwk_set = serde_json::to_string(&keys);
        let jwk_set = jwk_set.map_err(|error| TokenError::Key(error.to_string()))?;
        let signer = Self {
            key,
            header,
            jwk_set,
            issuer: issuer.into(),
            audience: audience.into(),
            lifetime: Duration::from_secs(60),
        };
        // A key for another curve is found now, and not with the first request.
        encode(&signer.header, &(), &signer.key).map_err(unsupported)?;
        Ok(signer)
    }

    /// Sets the time for which a token is good.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Returns the public key as a JWK set (RFC 7517 section 5), JSON.
    #[must_use]
    pub fn jwk_set(&self) -> &str {
        &self.jwk_set
    }

    pub(super) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Signs a token for the identities of a connection.
    pub(super) fn sign(
        &self,
        first: &Identity,
        identities: &[&Identity],
        channel: &Channel,
    ) -> Result<HeaderValue, TokenError> {
        let binding = ChannelBinding::tls_exporter(&channel.exporter())
            .map_err(|error| TokenError::Channel(error.to_string()))?;
        let digest = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(bytes));
        let certificate = identities.iter().find_map(|one| one.certificates().first());
        let issued = clock::now();
        let claims = Claims {
            iss: &self.issuer,
            aud: &self.audience,
            first: Subject::of(first),
            identities: identities.iter().map(|one| Subject::of(one)).collect(),
            iat: issued,
            exp: issued.saturating_add(self.lifetime.as_secs()),
            cnf: Confirmation {
                exporter: digest(binding.as_bytes()),
                certificate: certificate.map(|one| digest(one)),
            },
        };
        let failed = |error: &dyn fmt::Display| TokenError::Sign(error.to_string());
        let token = encode(&self.header, &claims, &self.key).map_err(|error| failed(&error))?;
        HeaderValue::try_from(token).map_err(|error| failed(&error))
    }
}

impl<'c> Subject<'c> {
    fn of(identity: &'c Identity) -> Self {
        Self {
            sub: identity.subject(),
            kind: identity.kind(),
            realm: identity.realm(),
        }
    }
}

impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenSigner({:?}, for {:?})", self.issuer, self.audience)
    }
}
