use super::{
    AuthenticateError, CertificateChain, ChannelError, MAX_CONTEXT_LEN, MalformedMessage, Offered,
    Request, RequestError, RequestParameters, Unsigned, ValidateError, Validated,
    contexts::Contexts,
    endpoint_keys::{EndpointKeys, Transcript},
    message::{Authenticator, HEADER_LEN, put_certificate, put_finished},
    solicitation::Solicitation,
    unsigned::unsigned,
    validated::validated,
};
use crate::{
    binding::Side,
    crypto::equal,
    exporter::{Exporter, ExporterError},
    wire::Writer,
    x509::PathRules,
};
use core::{fmt, marker::PhantomData};

/// How many contexts an endpoint remembers, unless it says otherwise.
pub const DEFAULT_CONTEXTS: usize = 16;

/// The end of a connection that opened it.
#[derive(Debug)]
pub enum Client {}

/// The end of a connection that accepted it.
#[derive(Debug)]
pub enum Server {}

/// One of the two: [`Client`] or [`Server`].
pub trait Role: sealed::Sealed {
    /// Which.
    const SIDE: Side;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Client {}
    impl Sealed for super::Server {}
}

impl Role for Client {
    const SIDE: Side = Side::Client;
}

impl Role for Server {
    const SIDE: Side = Side::Server;
}

/// One end of one TLS connection, for its life: what authenticators are made and validated with, and the contexts that were used.
///
/// Takes 200 bytes, and 16 for each of `CONTEXTS`: requests made and answered, and spontaneous authenticators made and accepted, count
/// alike. When all are used, the connection is good for no further authenticator.
pub struct Endpoint<R, const CONTEXTS: usize = DEFAULT_CONTEXTS> {
    own: EndpointKeys,
    peers: EndpointKeys,
    contexts: Contexts<CONTEXTS>,
    role: PhantomData<fn(R)>,
}

/// A request that a client or a server has made and that has not been answered. It is good for one answer, at the same end:
///
/// ```compile_fail,E0308
/// use chanbind_core::{
///     authenticator::{Client, Endpoint, PendingRequest, Server},
///     x509::PathRules,
/// };
/// fn at_the_other_end(
///     server: &mut Endpoint<Server>,
///     pending: PendingRequest<Client, [u8; 64]>,
///     authenticator: &[u8],
///     rules: &PathRules<'_>,
/// ) {
///     let _ = server.validate(pending, authenticator, rules);
/// }
/// ```
#[must_use = "it is needed to validate the answer"]
pub struct PendingRequest<R, B> {
    buffer: B,
    len: usize,
    role: PhantomData<fn(R)>,
}

impl<R: Role> Endpoint<R> {
    /// The end of `channel` that this side has; its handshake must be complete, on both sides (RFC 9261 section 9).
    ///
    /// # Errors
    /// [`ChannelError`]
    pub fn new(channel: &dyn Exporter) -> Result<Self, ChannelError> {
        Self::with_contexts(channel)
    }
}

impl<R: Role, const CONTEXTS: usize> Endpoint<R, CONTEXTS> {
    /// As [`Endpoint::new`], with room for as many contexts as its type says.
    ///
    /// # Errors
    /// [`ChannelError`]
    pub fn with_contexts(channel: &dyn Exporter) -> Result<Self, ChannelError> {
        if !channel.protocol().has_unique_secrets() {
            return Err(ChannelError::Exporter(ExporterError::NotUnique));
        }
        let hash = channel.hash().ok_or(ChannelError::UnknownHash)?;
        let keys =
            |sender| EndpointKeys::export(channel, hash, sender).map_err(ChannelError::Exporter);
        Ok(Self {
            own: keys(R::SIDE)?,
            peers: keys(R::SIDE.peer())?,
            contexts: Contexts::new(),
            role: PhantomData,
        })
    }

    /// How many contexts can still be used.
    #[must_use]
    pub fn contexts_left(&self) -> usize {
        self.contexts.left()
    }

    /// The "request" API (RFC 9261 section 7.1): writes a request into `buffer`, which needs [`RequestParameters::encoded_len`] bytes.
    ///
    /// # Errors
    /// [`RequestError`]; the context can then still be used.
    pub fn request<B: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        parameters: &RequestParameters<'_>,
        mut buffer: B,
    ) -> Result<PendingRequest<R, B>, RequestError> {
        let len = write_request(R::SIDE, parameters, buffer.as_mut())?;
        self.contexts.add(parameters.context)?;
        Ok(PendingRequest {
            buffer,
            len,
            role: PhantomData,
        })
    }

    /// The "authenticate" API (section 7.3), with a request of the peer: writes all of the authenticator but its end into `out`, and
    /// says what is to be signed. That uses up the request.
    ///
    /// # Errors
    /// [`AuthenticateError`]; the request can then still be answered.
    pub fn authenticate<'o, 'r>(
        &mut self,
        request: &Request<'r>,
        chain: &CertificateChain<'_>,
        out: &'o mut [u8],
    ) -> Result<Unsigned<'o, 'r>, AuthenticateError> {
        self.answerable(request)?;
        request.is_satisfied_by(chain)?;
        let solicitation = Solicitation::Request(*request);
        let (message, context) = (request.as_bytes(), request.context());
        let unsigned = unsigned(&self.own, &solicitation, message, context, chain, out)?;
        self.contexts.add(request.context())?;
        Ok(unsigned)
    }

    /// The empty authenticator (section 6): declines a request, authentically. That uses up the request. 36 or 52 bytes.
    ///
    /// # Errors
    /// [`AuthenticateError`]; the request can then still be answered.
    pub fn decline<'o>(
        &mut self,
        request: &Request<'_>,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], AuthenticateError> {
        self.answerable(request)?;
        let finished = finished_of_empty(&self.own, request);
        let mut writer = Writer::new(out);
        put_finished(&mut writer, finished.as_bytes())
            .map_err(|_| AuthenticateError::BufferTooShort)?;
        self.contexts.add(request.context())?;
        Ok(writer.finish())
    }

    /// The "validate" API (section 7.4), with a request of this side, which it uses up. The certificate is held against `rules`, but for
    /// their usage, which is the peer's (a client's certificate must be one for clients), and against what the request asks for: its
    /// server_name, oid_filters and certificate_authorities.
    ///
    /// # Errors
    /// [`ValidateError`]; [`ValidateError::Empty`] if the peer declines.
    #[expect(clippy::needless_pass_by_value, reason = "it is good for one answer")]
    pub fn validate<'a, B: AsRef<[u8]>>(
        &mut self,
        request: PendingRequest<R, B>,
        authenticator: &'a [u8],
        rules: &PathRules<'_>,
    ) -> Result<Validated<'a>, ValidateError> {
        let request = Request::parse(request.as_bytes())?;
        // A request of another connection.
        if !self.contexts.has(request.context()) {
            return Err(ValidateError::Context);
        }
        match Authenticator::parse(authenticator)? {
            Authenticator::Empty(verify_data) if self.declines(&request, verify_data) => {
                Err(ValidateError::Empty)
            }
            Authenticator::Empty(_) => Err(ValidateError::Finished),
            Authenticator::Certified(certified) => {
                if certified.context() != request.context() {
                    return Err(ValidateError::Context);
                }
                validated(
                    &self.peers,
                    R::SIDE,
                    &Solicitation::Request(request),
                    certified,
                    rules,
                )
            }
        }
    }

    /// Whether an authenticator is the empty one that declines this request, which is not used up by the question: the empty
    /// authenticator does not say which request it answers.
    pub fn is_declined<B: AsRef<[u8]>>(
        &self,
        request: &PendingRequest<R, B>,
        authenticator: &[u8],
    ) -> bool {
        let request = Request::parse(request.as_bytes());
        match (request, Authenticator::parse(authenticator)) {
            (Ok(request), Ok(Authenticator::Empty(verify_data))) => {
                self.declines(&request, verify_data)
            }
            _ => false,
        }
    }

    /// Whether this is the peer's Finished of an empty authenticator.
    fn declines(&self, request: &Request<'_>, verify_data: &[u8]) -> bool {
        let finished = finished_of_empty(&self.peers, request);
        equal(finished.as_bytes(), verify_data)
    }

    /// Whether it is the peer's, and new.
    fn answerable(&self, request: &Request<'_>) -> Result<(), AuthenticateError> {
        if request.sender() == R::SIDE {
            return Err(AuthenticateError::OwnRequest);
        }
        Ok(self.contexts.check(request.context())?)
    }
}

impl<const CONTEXTS: usize> Endpoint<Server, CONTEXTS> {
    /// The "authenticate" API without a request, which only a server can do: `offered` is what the client's ClientHello had, `context`
    /// 0 to 255 bytes that are new on this connection and that the client cannot foresee.
    ///
    /// # Errors
    /// [`AuthenticateError`]; the context can then still be used.
    pub fn authenticate_spontaneously<'o>(
        &mut self,
        context: &[u8],
        offered: &Offered<'_>,
        chain: &CertificateChain<'_>,
        out: &'o mut [u8],
    ) -> Result<Unsigned<'o, 'static>, AuthenticateError> {
        if context.len() > MAX_CONTEXT_LEN {
            return Err(AuthenticateError::ContextTooLong {
                actual: context.len(),
            });
        }
        self.contexts.check(context)?;
        let solicitation = Solicitation::ClientHello(offered);
        offered.is_satisfied_by(chain)?;
        let unsigned = unsigned(&self.own, &solicitation, &[], context, chain, out)?;
        self.contexts.add(context)?;
        Ok(unsigned)
    }
}

impl<const CONTEXTS: usize> Endpoint<Client, CONTEXTS> {
    /// The "validate" API for what a server sends without a request; `offered` is what the own ClientHello had. A valid one uses up its
    /// context.
    ///
    /// # Errors
    /// [`ValidateError`]
    pub fn validate_spontaneous<'a>(
        &mut self,
        offered: &Offered<'_>,
        authenticator: &'a [u8],
        rules: &PathRules<'_>,
    ) -> Result<Validated<'a>, ValidateError> {
        let certified = match Authenticator::parse(authenticator)? {
            Authenticator::Certified(certified) => certified,
            // Nothing is declined where nothing was asked for.
            Authenticator::Empty(_) => return Err(MalformedMessage::NoCertificate.into()),
        };
        self.contexts.check(certified.context())?;
        let solicitation = Solicitation::ClientHello(offered);
        let validated = validated(&self.peers, Side::Client, &solicitation, certified, rules)?;
        self.contexts.add(certified.context())?;
        Ok(validated)
    }
}

impl<R, B: AsRef<[u8]>> PendingRequest<R, B> {
    /// The request, to be sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.as_ref().get(..self.len).unwrap_or_default()
    }

    /// Its context: the answer has the same.
    #[must_use]
    pub fn context(&self) -> &[u8] {
        Request::parse(self.as_bytes()).map_or(&[], |request| request.context())
    }
}

fn write_request(
    sender: Side,
    parameters: &RequestParameters<'_>,
    out: &mut [u8],
) -> Result<usize, RequestError> {
    parameters.check(sender)?;
    let mut writer = Writer::new(out);
    let written = parameters.encode(sender, &mut writer);
    let request = writer.finish();
    written.map_err(|_| RequestError::BufferTooShort)?;
    match Request::parse(request) {
        Ok(request) => Ok(request.as_bytes().len()),
        Err(
            MalformedMessage::DuplicateExtension(extension)
            | MalformedMessage::Extension(extension),
        ) => Err(RequestError::Extension(extension)),
        Err(MalformedMessage::TooManyExtensions) => Err(RequestError::TooManyExtensions),
        Err(_) => Err(RequestError::NoSignatureAlgorithms),
    }
}

/// The verify_data of an empty authenticator: over a Certificate message without entries, which is not sent.
fn finished_of_empty(keys: &EndpointKeys, request: &Request<'_>) -> Transcript {
    let mut message = [0; HEADER_LEN + 1 + MAX_CONTEXT_LEN + 3];
    let mut writer = Writer::new(&mut message);
    // It is as long as the longest context needs.
    let _ = put_certificate(&mut writer, request.context(), &[], core::iter::empty());
    let [transcript, _] = keys.transcripts(request.as_bytes(), writer.finish(), &[]);
    keys.finished(&transcript)
}

impl<R: Role, const CONTEXTS: usize> fmt::Debug for Endpoint<R, CONTEXTS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({:?}, hidden)", R::SIDE)
    }
}

impl<R, B> fmt::Debug for PendingRequest<R, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingRequest({} bytes)", self.len)
    }
}
