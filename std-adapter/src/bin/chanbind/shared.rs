//! Options that several commands have.

use chanbind::{
    proof::otp::{Form, Settings},
    protocol::{
        kdf::Layout,
        otp::{ContextRule, Profile},
    },
};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use std::str::FromStr;

/// The form of a one-time password; both ends must have the same settings.
#[derive(Args)]
pub(crate) struct SettingsArguments {
    /// A set of settings to start from.
    #[arg(long, value_enum, default_value_t = Preset::Chanbind)]
    pub(crate) profile: Preset,

    /// The TLS exporter's label. Labels that begin with EXPERIMENTAL are for private use (RFC 5705).
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,

    /// The TLS exporter's context.
    #[arg(long, value_enum)]
    pub(crate) context: Option<Context>,

    /// The layout by which the one-time key is derived from keying material.
    #[arg(long, value_enum)]
    pub(crate) layout: Option<KeyLayout>,

    /// The header that names the client.
    #[arg(long, value_name = "NAME")]
    pub(crate) client_header: Option<HeaderText>,

    /// The header with the API key.
    #[arg(long, value_name = "NAME")]
    pub(crate) key_header: Option<HeaderText>,

    /// The client of all tokens, with profile go-demo-jwt.
    #[arg(long, value_name = "ID", default_value = DEFAULT_CLIENT)]
    pub(crate) default_client: String,
}

const DEFAULT_CLIENT: &str = "client1";

pub(crate) fn default_client() -> String {
    DEFAULT_CLIENT.to_owned()
}

/// The name of a header field.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct HeaderText(axum::http::HeaderName);

impl FromStr for HeaderText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("{text:?} is not the name of a header field"))
    }
}

impl TryFrom<String> for HeaderText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[derive(Clone, Copy, ValueEnum, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Preset {
    /// This project's own: contexts by purpose and client, tokens for one request.
    #[default]
    Chanbind,
    /// The API key of the public Go demo "TPM One Time Password using TLS SessionKey".
    GoDemoApiKey,
    /// The JWT of that demo.
    GoDemoJwt,
}

#[derive(Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Context {
    /// The client id.
    ClientId,
    /// The purpose of the key, 00, the client id.
    PurposeAndClientId,
    /// The words sig_key, enc_key and api_key.
    Fixed,
}

#[derive(Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KeyLayout {
    /// HashiCorp Vault's counter mode.
    Vault,
    /// SP 800-108 counter mode as in tpm-kdf, label "chanbind one-time key".
    #[value(name = "sp800-108")]
    #[serde(rename = "sp800-108")]
    Sp800108,
    /// Plain HMAC.
    Hmac,
}

impl SettingsArguments {
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = match self.profile {
            Preset::Chanbind => Settings::default(),
            Preset::GoDemoApiKey => Settings::go_demo_api_key(),
            Preset::GoDemoJwt => Settings::go_demo_jwt(&self.default_client),
        };
        if let Some(label) = &self.label {
            // The label lives as long as the program.
            settings.profile.exporter_label = Box::leak(label.clone().into_boxed_str()).as_bytes();
        }
        match self.context {
            Some(Context::ClientId) => settings.profile.context = ContextRule::ClientId,
            Some(Context::PurposeAndClientId) => {
                settings.profile.context = ContextRule::PurposeAndClientId
            }
            Some(Context::Fixed) => settings.profile.context = Profile::GO_DEMO_JWT.context,
            None => {}
        }
        match self.layout {
            Some(KeyLayout::Vault) => settings.profile.layout = Layout::VAULT,
            Some(KeyLayout::Sp800108) => settings.profile.layout = Profile::default().layout,
            Some(KeyLayout::Hmac) => settings.profile.layout = Layout::Hmac,
            None => {}
        }
        if let Some(name) = &self.client_header {
            settings.client_header = name.0.clone();
        }
        if let Some(name) = &self.key_header {
            settings.key_header = name.0.clone();
        }
        settings
    }
}

/// The form of a one-time password, on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum FormArgument {
    /// The one-time key itself, in a header.
    ApiKey,
    /// A signed token.
    Jws,
    /// A signed token inside an encrypted one.
    Nested,
}

impl From<FormArgument> for Form {
    fn from(form: FormArgument) -> Self {
        match form {
            FormArgument::ApiKey => Self::ApiKey,
            FormArgument::Jws => Self::Jws,
            FormArgument::Nested => Self::Nested,
        }
    }
}
