//! What a client sends and a gateway looks for: the same settings serve both.

use axum::http::HeaderName;
use chanbind_core::otp::Profile;
use sha2::{Digest, Sha256};
use std::fmt;

/// The forms of proof (see [`chanbind_core::otp`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// The one-time key itself, base64, in a header of its own.
    ApiKey,
    /// A signed token, as `Authorization: Bearer`.
    Jws,
    /// A signed token inside an encrypted one, as `Authorization: Bearer`.
    Nested,
}

impl Form {
    /// Its name on the command line, in challenges and in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api-key",
            Self::Jws => "jws",
            Self::Nested => "nested",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Eight hexadecimal digits by which people recognise a secret on both ends without seeing it: the start of its SHA-256.
#[must_use]
pub fn fingerprint(secret: &[u8]) -> String {
    let mut digits = hex::encode(Sha256::digest(secret));
    digits.truncate(8);
    digits
}

/// How a proof is made and where it stands in a request. Both ends must have the same.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Exporter label, context and key derivation.
    pub profile: Profile<'static>,
    /// The header that names the client.
    pub client_header: HeaderName,
    /// The header with the API key.
    pub key_header: HeaderName,
    /// Whether each token must be for its request alone: `htm`, `htu` and an unused `jti`.
    pub bind_request: bool,
    /// The client of every token that comes without the client header; `kid` and `sub` are then not looked at. For peers that
    /// know one client only.
    pub default_client: Option<String>,
    /// Whether tokens must expire. Without, and without [`Settings::bind_request`], a token is good for its connection's life.
    pub require_expiry: bool,
}

impl Settings {
    /// The API key of the public Go demo "TPM One Time Password using TLS SessionKey": headers `client` and `apikey`.
    #[must_use]
    pub fn go_demo_api_key() -> Self {
        Self {
            profile: Profile::GO_DEMO_API_KEY,
            client_header: HeaderName::from_static("client"),
            key_header: HeaderName::from_static("apikey"),
            bind_request: false,
            default_client: None,
            require_expiry: false,
        }
    }

    /// The JWT of that demo. Its tokens do not say whose they are, so all are `client`'s; they do not expire.
    #[must_use]
    pub fn go_demo_jwt(client: &str) -> Self {
        Self {
            profile: Profile::GO_DEMO_JWT,
            default_client: Some(client.to_owned()),
            ..Self::go_demo_api_key()
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            client_header: HeaderName::from_static("chanbind-client"),
            key_header: HeaderName::from_static("chanbind-key"),
            bind_request: true,
            default_client: None,
            require_expiry: true,
        }
    }
}
