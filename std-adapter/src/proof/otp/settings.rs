use axum::http::HeaderName;
use chanbind_core::otp::Profile;
use std::fmt;

/// The forms of one-time password (see [`chanbind_core::otp`]).
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
    /// Returns its name on the command line, in challenges and in logs.
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

/// The form of a one-time password and its place in a request. Both ends must have the same settings.
///
/// | setting | default |
/// |---|---|
/// | `profile` | [`Profile::default`]: label `EXPERIMENTAL-chanbind-one-time-key`, context of purpose and client id, SP 800-108 |
/// | `client_header` | `chanbind-client` |
/// | `key_header` | `chanbind-key` |
/// | `bind_request` | true |
/// | `default_client` | none |
/// | `require_expiry` | true |
#[derive(Debug, Clone)]
pub struct Settings {
    /// The exporter label, context and key derivation.
    pub profile: Profile<'static>,
    /// The header that names the client.
    pub client_header: HeaderName,
    /// The header with the API key.
    pub key_header: HeaderName,
    /// True if each token must be for its request alone: it has `htm`, `htu` and an unused `jti`.
    pub bind_request: bool,
    /// The client of every token that comes without the client header; `kid` and `sub` are then ignored. For peers that know one
    /// client only.
    pub default_client: Option<String>,
    /// True if tokens must expire. If this and [`Settings::bind_request`] are false, a token is valid as long as its connection.
    pub require_expiry: bool,
}

impl Settings {
    /// Returns the settings of the API key of the public Go demo "TPM One Time Password using TLS SessionKey": headers `client` and `apikey`.
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

    /// Returns the settings of the JWT of that demo. Its tokens do not name a client, so all are taken for `client`'s; they do not expire.
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
