//! The path at which the gateway says what it sees of a connection, for `chanbind doctor`.

use crate::failure::Failure;
use axum::{Extension, Router, extract::Query, http::header, response::IntoResponse, routing::get};
use chanbind::{
    gateway::{Channel, Diagnosis, Policy},
    tls::ServerCertificate,
};
use serde::Deserialize;
use std::sync::Arc;

/// The section `[diagnostics]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    #[serde(default = "default_path")]
    path: String,
}

/// The path of the answer, unless the configuration names another one.
pub(crate) const DEFAULT_PATH: &str = "/.well-known/chanbind-diagnosis";

fn default_path() -> String {
    DEFAULT_PATH.to_owned()
}

impl Section {
    /// Returns the path.
    pub(super) fn path(&self) -> Result<&str, Failure> {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        let parts = self.path.strip_prefix('/').unwrap_or_default().split('/');
        let mut parts = parts.map(|part| {
            !part.is_empty() && !matches!(part, "." | "..") && part.bytes().all(is_plain)
        });
        if parts.all(|is_plain| is_plain) {
            return Ok(&self.path);
        }
        Err(format!("diagnostics.path = {:?}: write a path of lower case letters, digits and - . _, like {DEFAULT_PATH}", self.path).into())
    }
}

/// The client for which the exported values are wanted.
#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    client: String,
}

/// Adds the answer to a router.
pub(super) fn route(
    router: Router,
    path: &str,
    policy: Policy,
    certificate: Arc<ServerCertificate>,
) -> Router {
    let answer = move |Query(question): Query<Question>, Extension(channel): Extension<Channel>| async move {
        let diagnosis = Diagnosis::of(&channel, &policy, &question.client);
        let diagnosis = diagnosis.with_certificate(certificate.fingerprint());
        let text = serde_json::to_string(&diagnosis).unwrap_or_default();
        let fields = [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (fields, text).into_response()
    };
    router.route(path, get(answer))
}
