//! Exported Authenticators at the client's end: challenges answered, and servers asked.

use super::{ClientError, Connection};
use crate::authenticator::{
    AnswerError, AskError, CertifiedIdentity, Credentials, Trust, decline,
    header_fields::{
        self, AUTHENTICATOR_HEADER, FieldError, MAX_AUTHENTICATOR_LEN, REQUEST_HEADER,
    },
};
use axum::http::{Request, Response, StatusCode, header};
use bytes::Bytes;
use chanbind_core::{
    authenticator::{
        self as ea, AuthenticateError, ChannelError, MalformedMessage, PendingRequest,
        RequestError, ValidateError,
    },
    x509::PathError,
};
use std::{net::IpAddr, sync::PoisonError};

/// An identity that the server was asked for.
#[must_use = "the answer proves it"]
#[derive(Debug)]
pub struct Asked {
    pending: PendingRequest<ea::Client, Vec<u8>>,
    name: Option<String>,
    trust: Trust,
}

/// Why the client's own end of an authenticator failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertifiedError {
    /// The connection.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// The channel gives no authenticators.
    #[error("{0}")]
    Channel(ChannelError),
    /// The server's challenge holds no request.
    #[error("the server's challenge holds no authenticator request: {0}")]
    Challenge(MalformedMessage),
    /// The request cannot be answered.
    #[error("{0}")]
    Answer(#[from] AnswerError),
    /// No request can be made.
    #[error("{0}")]
    Request(RequestError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// An IP address is no server name (RFC 6066 section 3).
    #[error("an IP address is no server name: ask for a DNS name, or for any")]
    Name,
    /// The server does not know of authenticators, or its key does not sign.
    #[error(
        "the server did not answer the request for a further identity: it does not know of it, or its key does not sign"
    )]
    NoAnswer,
    /// What it answered with is no bytes.
    #[error("the server's {AUTHENTICATOR_HEADER} is none: {0}")]
    Field(FieldError),
    /// What it answered with is not valid.
    #[error("{0}")]
    Validate(ValidateError),
}

impl From<AskError> for CertifiedError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Request(error) => Self::Request(error),
            AskError::Random(error) => Self::Random(error),
        }
    }
}

impl Connection {
    /// As [`Connection::send`]; where the server asks for an authenticator, answers with `credentials`, if they suit, or declines, and
    /// sends the request once more. What a server then says to the answer is the caller's to see: 401 and 403 are answers.
    ///
    /// A server's own authenticator ([`Connection::ask`]) is found in the answer that is given back, whichever it came with.
    ///
    /// # Errors
    /// [`CertifiedError`]
    pub async fn send_with(
        &mut self,
        request: Request<()>,
        credentials: Option<&Credentials>,
    ) -> Result<Response<Bytes>, CertifiedError> {
        let mut again = request.clone();
        let first = self.send(request).await?;
        if first.status() != StatusCode::UNAUTHORIZED {
            return Ok(first);
        }
        let Some(challenge) = header_fields::challenged(first.headers()) else {
            return Ok(first);
        };
        let challenge = ea::Request::parse(&challenge).map_err(CertifiedError::Challenge)?;
        let authenticator = self.answer(&challenge, credentials).await?;
        let headers = again.headers_mut();
        headers.insert(
            header::AUTHORIZATION,
            header_fields::credentials(&authenticator),
        );
        // It is answered already.
        headers.remove(REQUEST_HEADER);
        let mut response = self.send(again).await?;
        for own in first.headers().get_all(AUTHENTICATOR_HEADER) {
            let headers = response.headers_mut();
            headers.append(AUTHENTICATOR_HEADER, own.clone());
        }
        Ok(response)
    }

    async fn answer(
        &self,
        challenge: &ea::Request<'_>,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<u8>, CertifiedError> {
        let endpoint = self.endpoint().map_err(CertifiedError::Channel)?;
        if let Some(credentials) = credentials {
            match credentials.answer(endpoint, challenge).await {
                Err(AnswerError::Authenticate(AuthenticateError::Unsuitable(reason))) => {
                    tracing::warn!(%reason, "the gateway asks for another identity: declined");
                }
                answered => return Ok(answered?),
            }
        }
        Ok(decline(endpoint, challenge).map_err(AnswerError::Authenticate)?)
    }

    /// Has `request` ask the server to prove an identity beside the one of the handshake: one that `trust` accepts, and, if it is said,
    /// that has this DNS name.
    ///
    /// # Errors
    /// [`CertifiedError`]
    pub fn ask(
        &self,
        request: &mut Request<()>,
        name: Option<&str>,
        trust: &Trust,
    ) -> Result<Asked, CertifiedError> {
        if name.is_some_and(|name| name.parse::<IpAddr>().is_ok()) {
            return Err(CertifiedError::Name);
        }
        let endpoint = self.endpoint().map_err(CertifiedError::Channel)?;
        let pending = trust.request(endpoint, name)?;
        let value = header_fields::field_value(pending.as_bytes());
        request.headers_mut().insert(REQUEST_HEADER, value);
        Ok(Asked {
            pending,
            name: name.map(str::to_owned),
            trust: trust.clone(),
        })
    }

    /// The identity that the server proves in its answer to a request that asked.
    ///
    /// # Errors
    /// [`CertifiedError::NoAnswer`], [`CertifiedError::Field`], [`CertifiedError::Validate`], with [`ValidateError::Empty`] if the server
    /// has no such identity.
    pub fn proved(
        &self,
        asked: Asked,
        response: &Response<Bytes>,
    ) -> Result<CertifiedIdentity, CertifiedError> {
        let field = header_fields::field(
            response.headers(),
            &AUTHENTICATOR_HEADER,
            MAX_AUTHENTICATOR_LEN,
        );
        let authenticator = field
            .map_err(CertifiedError::Field)?
            .ok_or(CertifiedError::NoAnswer)?;
        let endpoint = self.endpoint().map_err(CertifiedError::Channel)?;
        let mut endpoint = endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, leaf) = (asked.trust)
            .validate(|rules| endpoint.validate(asked.pending, &authenticator, rules))
            .map_err(CertifiedError::Validate)?;
        if let Some(name) = asked.name {
            let has = leaf.has_name(&name);
            has.map_err(|error: PathError| CertifiedError::Validate(error.into()))?;
        }
        Ok(identity)
    }
}
