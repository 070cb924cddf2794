use super::{
    Credentials,
    header_fields::{self, AUTHENTICATOR_HEADER, MAX_REQUEST_LEN, REQUEST_HEADER},
    session::Session,
    verifier::SHARED,
};
use crate::{
    gateway::Channel,
    proof::{Fields, KeyHolder, Refusal, RefusalKind, RequestHead, Responder, ResponseFields},
};
use chanbind_core::{
    authenticator::{AuthenticateError, Request},
    binding::Side,
};
use std::{fmt, sync::Arc};

/// Identities of the gateway beside the one of the handshake, proved to clients that ask for one: the first that the client's request
/// is satisfied by.
pub struct ServerIdentities(Vec<Credentials>);

impl ServerIdentities {
    /// Creates a responder; give it to [`ProofLayer::with_responders`](crate::gateway::ProofLayer::with_responders).
    #[must_use]
    pub fn new(identities: Vec<Credentials>) -> Arc<Self> {
        Arc::new(Self(identities))
    }

    async fn answer(&self, bytes: &[u8], session: &Session) -> Result<Fields, Refusal> {
        let wrong = |error: &dyn fmt::Display| {
            Refusal::malformed(format_args!("{REQUEST_HEADER}: {error}"))
        };
        let request = Request::parse(bytes).map_err(|error| wrong(&error))?;
        if request.sender() != Side::Client {
            return Err(wrong(&AuthenticateError::OwnRequest));
        }
        let refused = |error: AuthenticateError| match error {
            AuthenticateError::ContextsExhausted => Refusal::new(
                RefusalKind::Exhausted,
                "all requests for authenticators of this connection are used up",
            ),
            error => wrong(&error),
        };
        for identity in &self.0 {
            let begun = session.with(|state| identity.begin(state.endpoint(), &request));
            let mut begun = match begun.map_err(Refusal::internal)? {
                Ok(begun) => begun,
                Err(AuthenticateError::Unsuitable(reason)) => {
                    tracing::debug!(%reason, "an identity does not satisfy the client's request");
                    continue;
                }
                Err(
                    error @ (AuthenticateError::ContextUsed | AuthenticateError::ContextsExhausted),
                ) => return Err(refused(error)),
                Err(error) => {
                    tracing::error!(%error, "no authenticator for a client that asks for one");
                    return Ok(Fields::new());
                }
            };
            return match identity.answer(begun.key_request()).await {
                Ok(signature) => {
                    let authenticator = begun.finish(&request, &signature).map_err(refused)?;
                    Ok(field(&authenticator))
                }
                Err(error) => {
                    tracing::error!(%error, "no authenticator for a client that asks for one");
                    Ok(Fields::new())
                }
            };
        }
        let declined = session.with(|state| state.decline(&request));
        let declined = declined.map_err(Refusal::internal)?.map_err(refused)?;
        Ok(field(&declined))
    }
}

fn field(authenticator: &[u8]) -> Fields {
    vec![(
        AUTHENTICATOR_HEADER,
        header_fields::field_value(authenticator),
    )]
}

impl Responder for ServerIdentities {
    fn respond(
        self: Arc<Self>,
        channel: &Channel,
        request: &RequestHead<'_>,
    ) -> Option<ResponseFields> {
        let field = header_fields::field(request.headers, &REQUEST_HEADER, MAX_REQUEST_LEN);
        let bytes = match field {
            Ok(bytes) => bytes?,
            Err(error) => {
                let refusal = Refusal::malformed(format_args!("{REQUEST_HEADER}: {error}"));
                return Some(Box::pin(std::future::ready(Err(refusal))));
            }
        };
        let session = channel.state(SHARED, || Session::new(channel.exporter()));
        Some(Box::pin(async move { self.answer(&bytes, &session).await }))
    }
}

impl fmt::Debug for ServerIdentities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerIdentities({})", self.0.len())
    }
}
