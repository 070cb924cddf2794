use crate::proof::identity::proved_details;
use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{StatusCode, request::Parts},
};
use std::{convert::Infallible, sync::Arc};

/// The names that a client has proved and by which the patterns admit it: the details of an [`Identity`](crate::proof::Identity), whose subject is the first of them, and an axum extractor.
#[derive(Debug, Clone)]
pub struct BlessingNames {
    pub(super) names: Arc<[String]>,
    pub(super) public_key: Arc<[u8]>,
}

impl BlessingNames {
    /// Returns the names: one at least, unless the pattern `...` admits clients without names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the public key: SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for BlessingNames {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(proved_details(parts))
    }
}

impl<S: Sync> FromRequestParts<S> for BlessingNames {
    type Rejection = StatusCode;

    /// Answers 500 where the policy asks for no blessings.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        proved_details(parts).ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
