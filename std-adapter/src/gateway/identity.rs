use crate::proof::Form;
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use std::sync::Arc;

/// Who a request is from, as its proof says: in the request's extensions, and an axum extractor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    client: Arc<str>,
    form: Form,
    payload: Option<Arc<[u8]>>,
}

impl Identity {
    pub(super) fn new(client: &Arc<str>, form: Form, payload: Option<Arc<[u8]>>) -> Self {
        Self {
            client: Arc::clone(client),
            form,
            payload,
        }
    }

    /// The client's id in the registry.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// How it proved itself.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// The payload of its token, JSON; none with an API key.
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }
}

impl<S: Sync> FromRequestParts<S> for Identity {
    type Rejection = StatusCode;

    /// 500 where no [`super::ProofLayer`] is around the handler.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts
            .extensions
            .get()
            .cloned()
            .ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
