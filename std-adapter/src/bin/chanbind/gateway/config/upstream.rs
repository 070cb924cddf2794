//! The section `[upstream]`: the server behind the gateway.

use crate::gateway::check;
use crate::{
    failure::Failure,
    files::{named, read},
};
use axum::http::HeaderName;
use chanbind::{
    proxy::{IdentityFields, ReverseProxy, TokenSigner, Upstream},
    tls::{client_config, roots_from_pem},
};
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// The server behind the gateway.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    url: String,
    /// The authorities of its TLS certificate.
    ca: Option<PathBuf>,
    #[serde(default)]
    http2: bool,
    connect_seconds: Option<u64>,
    response_seconds: Option<u64>,
    idle_seconds: Option<u64>,
    /// The longest content of a request, in bytes.
    max_content: Option<u64>,
    #[serde(default)]
    identity: Identity,
}

/// The fields in which it is told who a client is.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Identity {
    subject: Option<Name>,
    proof: Option<Name>,
    realm: Option<Name>,
    certificate: Option<bool>,
    token: Option<Token>,
}

/// The name of a field; `false` stands for none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Name {
    Off(bool),
    Field(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    field: String,
    key: PathBuf,
    issuer: String,
    audience: String,
    lifetime_seconds: Option<u64>,
}

/// An upstream that has been configured.
pub(super) struct SetUp {
    pub(super) proxy: ReverseProxy,
    pub(super) summary: String,
    pub(super) warnings: Vec<String>,
    /// The public keys of its tokens, JSON.
    pub(super) jwk_set: Option<String>,
}

impl Section {
    /// Reads the files that the section names.
    pub(super) fn set_up(&self, folder: &Path) -> Result<SetUp, Failure> {
        let mut warnings = Vec::new();
        let upstream = match &self.ca {
            Some(ca) => {
                let path = folder.join(ca);
                let roots = roots_from_pem(&read(&path)?).map_err(|error| named(&path, error))?;
                let tls = client_config(roots).map_err(|error| named(&path, error))?;
                Upstream::parse_with_tls(&self.url, tls)
            }
            None => Upstream::parse(&self.url),
        };
        let mut upstream =
            upstream.map_err(|error| format!("upstream: {error}: ca names a file with them"))?;
        if self.http2 {
            upstream = upstream.with_http2();
        }
        if let Some(limit) = seconds("connect_seconds", self.connect_seconds)? {
            upstream = upstream.with_connect_limit(limit);
        }
        let summary = upstream.to_string();
        let (identity, jwk_set) = self.identity.fields(folder, &mut warnings)?;
        let mut proxy = ReverseProxy::new(upstream, identity);
        if let Some(limit) = seconds("response_seconds", self.response_seconds)? {
            proxy = proxy.with_response_limit(limit);
        }
        if let Some(limit) = seconds("idle_seconds", self.idle_seconds)? {
            proxy = proxy.with_idle_limit(limit);
        }
        if let Some(bytes) = self.max_content {
            proxy = proxy.with_max_content(bytes);
        }
        Ok(SetUp {
            proxy,
            summary,
            warnings,
            jwk_set,
        })
    }
}

impl Identity {
    fn fields(
        &self,
        folder: &Path,
        warnings: &mut Vec<String>,
    ) -> Result<(IdentityFields, Option<String>), Failure> {
        let mut fields = IdentityFields::default();
        let mut jwk_set = None;
        if let Some(name) = &self.subject {
            fields = fields.with_subject(name.parse("subject")?);
        }
        if let Some(name) = &self.proof {
            fields = fields.with_kind(name.parse("proof")?);
        }
        if let Some(name) = &self.realm {
            fields = fields.with_realm(name.parse("realm")?);
        }
        if let Some(certificate) = self.certificate {
            fields = fields.with_certificate(certificate);
        }
        if let Some(token) = &self.token {
            let path = folder.join(&token.key);
            warnings.extend(check::secret_file(&path));
            let signer = TokenSigner::from_pem(&read(&path)?, &token.issuer, &token.audience);
            let mut signer = signer.map_err(|error| named(&path, error))?;
            if let Some(lifetime) =
                seconds("identity.token.lifetime_seconds", token.lifetime_seconds)?
            {
                signer = signer.with_lifetime(lifetime);
            }
            jwk_set = Some(signer.jwk_set().to_owned());
            fields = fields.with_token(field("token.field", &token.field)?, signer);
        }
        fields
            .check()
            .map_err(|error| format!("upstream.identity: {error}"))?;
        Ok((fields, jwk_set))
    }
}

impl Name {
    fn parse(&self, key: &str) -> Result<Option<HeaderName>, Failure> {
        match self {
            Self::Off(false) => Ok(None),
            Self::Off(true) => Err(format!(
                "upstream.identity.{key}: write the name of a field, or false for none"
            )
            .into()),
            Self::Field(name) => field(key, name).map(Some),
        }
    }
}

fn field(key: &str, name: &str) -> Result<HeaderName, Failure> {
    name.parse().map_err(|_| {
        format!("upstream.identity.{key}: {name:?} is not the name of a header field").into()
    })
}

/// The longest time that can be configured, in seconds.
const MAX_SECONDS: u64 = 86_400;

fn seconds(key: &str, value: Option<u64>) -> Result<Option<Duration>, Failure> {
    match value {
        Some(seconds) if !(1..=MAX_SECONDS).contains(&seconds) => Err(format!(
            "upstream.{key} = {seconds}: write a number from 1 to {MAX_SECONDS}"
        )
        .into()),
        value => Ok(value.map(Duration::from_secs)),
    }
}
