use super::{
    CertifiedIdentity, MAX_REQUESTS, Trust,
    header_fields::{
        self, AUTHENTICATOR_HEADER, FieldError, MAX_AUTHENTICATOR_LEN, REQUEST_HEADER,
    },
    trust::RequestTrustError,
};
use chanbind_core::{
    authenticator::{ChannelError, Client, Endpoint, PendingRequest, RequestError, ValidateError},
    exporter::Exporter,
    proof::{FieldSink, Inputs, Prover, RequestTarget, ResponseHead, Step},
};
use std::{fmt, net::IpAddr};

/// A prover that also asks the server, with the first request of a connection, to prove an identity beside the one of the handshake.
///
/// The exchange is that of the inner prover; the server's answer is read afterwards by
/// [`WithServerIdentity::server_identity`].
pub struct WithServerIdentity<P> {
    inner: P,
    trust: Trust,
    name: Option<String>,
    asked: Result<Asked, ServerIdentityError>,
}

/// The request to the server, as far as it has come.
enum Asked {
    Not,
    Pending {
        endpoint: Box<Endpoint<Client, MAX_REQUESTS>>,
        request: PendingRequest<Client, Vec<u8>>,
        is_sent: bool,
    },
    Proved(CertifiedIdentity),
}

/// The reason why the server has not proved an identity.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ServerIdentityError {
    /// The channel gives no authenticators.
    #[error("{0}")]
    Channel(ChannelError),
    /// The request could not be made.
    #[error("{0}")]
    Request(RequestError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// An IP address cannot be asked for by name (RFC 6066 section 3).
    #[error("an IP address is not a server name: ask for a DNS name, or for any")]
    Name,
    /// The server does not know of such requests, or its key did not sign.
    #[error(
        "the server did not answer the request for a further identity: it does not know of such requests, or its key did not sign"
    )]
    NoAnswer,
    /// The answer is not an authenticator in base64url.
    #[error("the server's {AUTHENTICATOR_HEADER} cannot be read: {0}")]
    Field(FieldError),
    /// The authenticator is not valid; [`ValidateError::Empty`] if the server has no such identity.
    #[error("{0}")]
    Validate(ValidateError),
}

impl From<RequestTrustError> for ServerIdentityError {
    fn from(error: RequestTrustError) -> Self {
        match error {
            RequestTrustError::Request(error) => Self::Request(error),
            RequestTrustError::Random(error) => Self::Random(error.to_string()),
        }
    }
}

impl<P> WithServerIdentity<P> {
    /// Wraps a prover: the server is asked for an identity that `trust` accepts and that has the DNS name `name`, if one is given.
    ///
    /// # Errors
    /// [`ServerIdentityError::Name`] for an IP address.
    pub fn new(inner: P, trust: Trust, name: Option<&str>) -> Result<Self, ServerIdentityError> {
        if name.is_some_and(|name| name.parse::<IpAddr>().is_ok()) {
            return Err(ServerIdentityError::Name);
        }
        Ok(Self {
            inner,
            trust,
            name: name.map(str::to_owned),
            asked: Ok(Asked::Not),
        })
    }

    /// Returns the identity that the server has proved on the present connection.
    ///
    /// # Errors
    /// [`ServerIdentityError`], [`ServerIdentityError::NoAnswer`] also before the first response.
    pub fn server_identity(&self) -> Result<CertifiedIdentity, ServerIdentityError> {
        match &self.asked {
            Ok(Asked::Proved(identity)) => Ok(identity.clone()),
            Ok(_) => Err(ServerIdentityError::NoAnswer),
            Err(error) => Err(error.clone()),
        }
    }

    /// Returns the inner prover.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    fn ask(&self, channel: &dyn Exporter) -> Result<Asked, ServerIdentityError> {
        let endpoint = Endpoint::with_contexts(channel);
        let mut endpoint = Box::new(endpoint.map_err(ServerIdentityError::Channel)?);
        let request = self.trust.request(&mut endpoint, self.name.as_deref())?;
        Ok(Asked::Pending {
            endpoint,
            request,
            is_sent: false,
        })
    }

    fn validate(
        &self,
        endpoint: &mut Endpoint<Client, MAX_REQUESTS>,
        request: PendingRequest<Client, Vec<u8>>,
        value: &[u8],
    ) -> Result<Asked, ServerIdentityError> {
        let authenticator = header_fields::decode(value, MAX_AUTHENTICATOR_LEN);
        let authenticator = authenticator.map_err(ServerIdentityError::Field)?;
        let validated = endpoint.validate(request, &authenticator, &self.trust.rules());
        let validated = validated.map_err(ServerIdentityError::Validate)?;
        let identified = self.trust.identify(&validated);
        let (identity, leaf) = identified.map_err(ServerIdentityError::Validate)?;
        if let Some(name) = &self.name {
            leaf.has_name(name)
                .map_err(|error| ServerIdentityError::Validate(error.into()))?;
        }
        Ok(Asked::Proved(identity))
    }
}

impl<P: Prover> Prover for WithServerIdentity<P> {
    type Failure = P::Failure;

    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn begin(&mut self, channel: &dyn Exporter, inputs: &Inputs<'_>) -> Step<'_, P::Failure> {
        self.asked = self.ask(channel);
        self.inner.begin(channel, inputs)
    }

    fn answered(&mut self, answer: &[u8]) -> Step<'_, P::Failure> {
        self.inner.answered(answer)
    }

    fn write_fields(
        &mut self,
        request: &RequestTarget<'_>,
        inputs: &Inputs<'_>,
        out: &mut dyn FieldSink,
    ) -> Result<(), P::Failure> {
        self.inner.write_fields(request, inputs, out)?;
        if let Ok(Asked::Pending {
            request, is_sent, ..
        }) = &mut self.asked
            && !std::mem::replace(is_sent, true)
        {
            let value = header_fields::encode(request.as_bytes());
            // A sink without room leaves the question out, and the server's silence is reported.
            let _ = out.put(REQUEST_HEADER.as_str(), &value);
        }
        Ok(())
    }

    fn response(&mut self, head: &dyn ResponseHead, inputs: &Inputs<'_>) -> Step<'_, P::Failure> {
        let name = AUTHENTICATOR_HEADER;
        if let Some(value) = head.field(name.as_str(), 0) {
            self.asked = match std::mem::replace(&mut self.asked, Ok(Asked::Not)) {
                Ok(Asked::Pending { .. }) if head.field(name.as_str(), 1).is_some() => {
                    Err(ServerIdentityError::Field(FieldError::Twice))
                }
                Ok(Asked::Pending {
                    mut endpoint,
                    request,
                    is_sent: true,
                }) => self.validate(&mut endpoint, request, value),
                other => other,
            };
        }
        self.inner.response(head, inputs)
    }

    fn declined(&self) -> Option<P::Failure> {
        self.inner.declined()
    }
}

impl<P> fmt::Debug for WithServerIdentity<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WithServerIdentity")
    }
}
