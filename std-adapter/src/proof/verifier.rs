use super::{Identity, Refusal};
use crate::gateway::Channel;
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header,
};
use std::{future::Future, pin::Pin, sync::Arc};

/// Header fields of a response.
pub type Fields = Vec<(HeaderName, HeaderValue)>;

/// The gateway's side of a kind of proof.
///
/// It keeps what it knows of a connection with [`Channel::state`], and the same value serves all connections and all rules that name
/// it. The layer asks it about each request of such a rule.
pub trait Verifier: Send + Sync + 'static {
    /// Returns the name of the kind, as in configuration files and logs.
    fn kind(&self) -> &'static str;

    /// Verifies the proof of a request, or finds the one that the connection has given before.
    fn verify(self: Arc<Self>, channel: &Channel, request: &RequestHead<'_>) -> Verification;

    /// Returns the challenges that ask a client for this proof, each a value of WWW-Authenticate (RFC 9110 section 11.6.1): usually one,
    /// several where the client has a choice.
    ///
    /// # Errors
    /// A [`Refusal`] if the connection cannot be asked any more.
    fn challenges(&self, channel: &Channel) -> Result<Vec<HeaderValue>, Refusal>;

    /// Returns what the verifier exports from a channel to verify this client, each under a name, as
    /// [fingerprints](super::fingerprint): a client that has other ones derives them in another way, or from another channel. Without an
    /// implementation nothing is returned.
    fn exports(&self, channel: &Channel, client: &str) -> Vec<(&'static str, String)> {
        let _ = (channel, client);
        Vec::new()
    }

    /// Removes the proof from the fields of an admitted request to `recipient`: the application, or a server behind a proxy, need it no more. Other
    /// credentials stay, such as those of another scheme ([`remove_credentials`]).
    fn remove_proof(&self, recipient: Recipient, headers: &mut HeaderMap);
}

/// Removes credentials of this scheme for `recipient` (RFC 9110 section 11.4).
pub fn remove_credentials(headers: &mut HeaderMap, recipient: Recipient, scheme: &str) {
    let name = recipient.credentials_field();
    let is_of_scheme = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        let (start, rest) = bytes.split_at(bytes.len().min(scheme.len()));
        start.eq_ignore_ascii_case(scheme.as_bytes()) && matches!(rest.first(), None | Some(b' '))
    };
    if !headers.get_all(&name).iter().any(is_of_scheme) {
        return;
    }
    if let header::Entry::Occupied(field) = headers.entry(name) {
        let (name, values) = field.remove_entry_mult();
        let others: Vec<_> = values.filter(|value| !is_of_scheme(value)).collect();
        for value in others {
            headers.append(&name, value);
        }
    }
}

/// A part of the gateway that answers what a client asks of it beside the request itself, with fields of the response: for
/// example a proof of the gateway's own.
pub trait Responder: Send + Sync + 'static {
    /// Answers a request; `None` if it asks for nothing.
    fn respond(
        self: Arc<Self>,
        channel: &Channel,
        request: &RequestHead<'_>,
    ) -> Option<ResponseFields>;
}

/// The fields with which a [`Responder`] answers, once they are there.
pub type ResponseFields = Pin<Box<dyn Future<Output = Result<Fields, Refusal>> + Send>>;

/// A verdict, at once or later. One that comes later owns what it needs of the request.
pub enum Verification {
    /// The verdict is there.
    Ready(Verdict),
    /// The verdict needs a look-up, or a key that has to be asked.
    Pending(Pin<Box<dyn Future<Output = Verdict> + Send>>),
}

/// The verdict of a [`Verifier`] on one request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// The request has no proof of this kind, and the connection has given none before.
    Absent,
    /// The proof is valid. `fields` go with the response: a server may have to prove itself too.
    Accepted {
        /// The identity that is proved.
        identity: Identity,
        /// Fields of the response.
        fields: Fields,
    },
    /// The exchange goes on: the answer is 401 with these fields, in place of a challenge.
    Continue {
        /// Fields of the response.
        fields: Fields,
    },
    /// The proof is refused.
    Refused(Refusal),
}

impl Verdict {
    /// Creates the verdict on a valid proof, without fields for the response.
    #[must_use]
    pub fn accepted(identity: Identity) -> Self {
        Self::Accepted {
            identity,
            fields: Fields::new(),
        }
    }
}

/// The recipient of credentials: the server of the resource, or a proxy on the way to it (RFC 9110 sections 11.6 and 11.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recipient {
    /// The server: 401, WWW-Authenticate, Authorization, Authentication-Info.
    #[default]
    Server,
    /// A proxy: 407, Proxy-Authenticate, Proxy-Authorization, Proxy-Authentication-Info.
    Proxy,
}

impl Recipient {
    /// Returns the status of the answer to a request without a valid proof.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Server => StatusCode::UNAUTHORIZED,
            Self::Proxy => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        }
    }

    /// Returns the field with challenges.
    #[must_use]
    pub fn challenge_field(self) -> HeaderName {
        match self {
            Self::Server => header::WWW_AUTHENTICATE,
            Self::Proxy => header::PROXY_AUTHENTICATE,
        }
    }

    /// Returns the field with credentials.
    #[must_use]
    pub fn credentials_field(self) -> HeaderName {
        match self {
            Self::Server => header::AUTHORIZATION,
            Self::Proxy => header::PROXY_AUTHORIZATION,
        }
    }

    /// Returns the field in which the recipient proves itself (RFC 9110 sections 11.6.3 and 11.7.3).
    #[must_use]
    pub fn info_field(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::from_static("authentication-info"),
            Self::Proxy => HeaderName::from_static("proxy-authentication-info"),
        }
    }
}

/// The head of a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'r> {
    /// The recipient of its credentials.
    pub recipient: Recipient,
    /// The method.
    pub method: &'r Method,
    /// The URI as the layer sees it.
    pub uri: &'r Uri,
    /// The version of HTTP.
    pub version: Version,
    /// The header fields.
    pub headers: &'r HeaderMap,
}

impl<'r> RequestHead<'r> {
    /// Returns the head of a request to a server.
    #[must_use]
    pub fn of<B>(request: &'r Request<B>) -> Self {
        Self {
            recipient: Recipient::Server,
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
        }
    }

    /// Returns the host that the request names, with its port if it has one; `None` where it names none or several.
    #[must_use]
    pub fn authority(&self) -> Option<&'r str> {
        let mut hosts = self.headers.get_all(header::HOST).iter();
        let host = hosts.next().map(HeaderValue::to_str).transpose().ok()?;
        let authority = self.uri.authority().map(axum::http::uri::Authority::as_str);
        if hosts.next().is_some() {
            return None;
        }
        match (authority, host) {
            (Some(authority), Some(host)) if authority != host => None,
            (authority, host) => authority.or(host).filter(|one| !one.is_empty()),
        }
    }
}
