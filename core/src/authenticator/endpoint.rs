use super::{
    AuthenticateError, CertificateChain, ChannelError, MAX_CONTEXT_LEN, MalformedMessage, Offered,
    Request, RequestError, RequestParameters, Unsigned, ValidateError, Validated,
    contexts::Contexts,
    endpoint_keys::EndpointKeys,
    message::{Authenticator, HEADER_LEN, put_certificate, put_finished},
    solicitation::Solicitation,
    unsigned::build_unsigned,
    validated::validate_certified,
};
use crate::{
    binding::Side,
    crypto::{HashOutput, equal},
    exporter::{Exporter, ExporterError},
    wire::Writer,
    x509::PathRules,
};
use core::{fmt, marker::PhantomData};

/// The number of contexts that an endpoint remembers by default.
pub const DEFAULT_CONTEXTS: usize = 16;

/// The role of the end that opened the connection.
#[derive(Debug)]
pub enum Client {}

/// The role of the end that accepted the connection.
#[derive(Debug)]
pub enum Server {}

/// The role of an end of a connection: [`Client`] or [`Server`].
pub trait Role: sealed::Sealed {
    /// The side of the connection.
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

/// One end of one TLS connection. It holds the keys with which authenticators are made and validated, and the contexts that were
/// used on the connection. It must live as long as the connection.
///
/// It takes 200 bytes, plus 16 bytes for each of `CONTEXTS`. Each request that is sent or answered and each spontaneous
/// authenticator that is sent or accepted uses one context. When all contexts are used, the connection cannot be used for further
/// authenticators.
pub struct Endpoint<R, const CONTEXTS: usize = DEFAULT_CONTEXTS> {
    own: EndpointKeys,
    peer: EndpointKeys,
    contexts: Contexts<CONTEXTS>,
    role: PhantomData<fn(R)>,
}

/// A request that was created by this end and has not been answered. It can validate one answer, at the same end of the
/// connection:
///
/// ```compile_fail,E0308
/// use chanbind_core::{
///     authenticator::{Client, Endpoint, PendingRequest, Server},
///     x509::PathRules,
/// };
/// fn validate_at_the_other_end(
///     server: &mut Endpoint<Server>,
///     pending: PendingRequest<Client, [u8; 64]>,
///     authenticator: &[u8],
///     rules: &PathRules<'_>,
/// ) {
///     let _ = server.validate(pending, authenticator, rules);
/// }
/// ```
#[must_use = "the pending request is needed to validate the answer"]
pub struct PendingRequest<R, B> {
    buffer: B,
    len: usize,
    role: PhantomData<fn(R)>,
}

impl<R: Role> Endpoint<R> {
    /// Creates the endpoint for this side of `channel`. The handshake must be complete on both sides (RFC 9261 section 9).
    ///
    /// # Errors
    /// [`ChannelError::Exporter`] if the channel's secrets are not unique to it or the export fails,
    /// [`ChannelError::UnknownHash`] if [`Exporter::hash`] returns `None`.
    pub fn new(channel: &dyn Exporter) -> Result<Self, ChannelError> {
        Self::with_contexts(channel)
    }
}

impl<R: Role, const CONTEXTS: usize> Endpoint<R, CONTEXTS> {
    /// Creates the endpoint as [`Endpoint::new`] does, with space for `CONTEXTS` contexts.
    ///
    /// # Errors
    /// Fails under the same conditions as [`Endpoint::new`].
    pub fn with_contexts(channel: &dyn Exporter) -> Result<Self, ChannelError> {
        if !channel.protocol().has_unique_secrets() {
            return Err(ChannelError::Exporter(ExporterError::NotUnique));
        }
        let hash = channel.hash().ok_or(ChannelError::UnknownHash)?;
        let keys =
            |sender| EndpointKeys::export(channel, hash, sender).map_err(ChannelError::Exporter);
        Ok(Self {
            own: keys(R::SIDE)?,
            peer: keys(R::SIDE.peer())?,
            contexts: Contexts::new(),
            role: PhantomData,
        })
    }

    /// Returns the number of contexts that can still be used.
    #[must_use]
    pub fn contexts_left(&self) -> usize {
        self.contexts.left()
    }

    /// Creates a request (the "request" API, RFC 9261 section 7.1) and writes it to `buffer`, which must have at least
    /// [`RequestParameters::encoded_len`] bytes.
    ///
    /// # Errors
    /// [`RequestError`] if the parameters are invalid, if the context was already used or no more contexts can be used, or if
    /// `buffer` is too short. The context can then still be used, unless it was used before.
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

    /// Starts an authenticator that answers a request of the peer (the "authenticate" API, RFC 9261 section 7.3). Writes its
    /// Certificate message to `out` and returns the unsigned authenticator. The request cannot be answered again.
    ///
    /// # Errors
    /// [`AuthenticateError`] if the request is not one of the peer, if its context was already used or no more contexts can be
    /// used, if `chain` does not meet the request, or if `out` is too short. The request can then still be answered, unless its
    /// context was used before.
    pub fn authenticate<'o, 'r>(
        &mut self,
        request: &Request<'r>,
        chain: &CertificateChain<'_>,
        out: &'o mut [u8],
    ) -> Result<Unsigned<'o, 'r>, AuthenticateError> {
        self.check_request(request)?;
        request.is_satisfied_by(chain)?;
        let solicitation = Solicitation::Request(*request);
        let (message, context) = (request.as_bytes(), request.context());
        let unsigned = build_unsigned(&self.own, &solicitation, message, context, chain, out)?;
        self.contexts.add(request.context())?;
        Ok(unsigned)
    }

    /// Writes the empty authenticator (RFC 9261 section 6), which declines a request, to `out`. It has 36 or 52 bytes and is
    /// authenticated by its Finished. The request cannot be answered again.
    ///
    /// # Errors
    /// [`AuthenticateError`] if the request is not one of the peer, if its context was already used or no more contexts can be
    /// used, or if `out` is too short. The request can then still be answered, unless its context was used before.
    pub fn decline<'o>(
        &mut self,
        request: &Request<'_>,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], AuthenticateError> {
        self.check_request(request)?;
        let finished = empty_authenticator_finished(&self.own, request);
        let mut writer = Writer::new(out);
        put_finished(&mut writer, &finished).map_err(|_| AuthenticateError::BufferTooShort)?;
        self.contexts.add(request.context())?;
        Ok(writer.finish())
    }

    /// Validates an authenticator that answers a request of this side (the "validate" API, RFC 9261 section 7.4). The request is
    /// consumed.
    ///
    /// The certificate is checked against `rules`, in which the usage is replaced by that of the peer: the certificate of a
    /// client must permit client authentication. It is also checked against the server_name, oid_filters and
    /// certificate_authorities of the request.
    ///
    /// # Errors
    /// [`ValidateError`] if the authenticator is invalid, [`ValidateError::Empty`] if the peer declined the request.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a request can be answered once"
    )]
    pub fn validate<'a, B: AsRef<[u8]>>(
        &mut self,
        request: PendingRequest<R, B>,
        authenticator: &'a [u8],
        rules: &PathRules<'_>,
    ) -> Result<Validated<'a>, ValidateError> {
        let request = Request::parse(request.as_bytes())?;
        // The request was created on another connection.
        if !self.contexts.contains(request.context()) {
            return Err(ValidateError::Context);
        }
        match Authenticator::parse(authenticator)? {
            Authenticator::Empty(verify_data) if self.is_decline_of(&request, verify_data) => {
                Err(ValidateError::Empty)
            }
            Authenticator::Empty(_) => Err(ValidateError::Finished),
            Authenticator::Certified(certified) => {
                if certified.context() != request.context() {
                    return Err(ValidateError::Context);
                }
                validate_certified(
                    &self.peer,
                    R::SIDE,
                    &Solicitation::Request(request),
                    certified,
                    rules,
                )
            }
        }
    }

    /// Returns whether `authenticator` is the empty authenticator that declines this request. The request is not consumed. The
    /// empty authenticator has no context, so a caller with several pending requests must find the matching one with this
    /// function.
    pub fn is_declined<B: AsRef<[u8]>>(
        &self,
        request: &PendingRequest<R, B>,
        authenticator: &[u8],
    ) -> bool {
        let request = Request::parse(request.as_bytes());
        match (request, Authenticator::parse(authenticator)) {
            (Ok(request), Ok(Authenticator::Empty(verify_data))) => {
                self.is_decline_of(&request, verify_data)
            }
            _ => false,
        }
    }

    /// Returns whether `verify_data` is that of the peer's empty authenticator for this request.
    fn is_decline_of(&self, request: &Request<'_>, verify_data: &[u8]) -> bool {
        let finished = empty_authenticator_finished(&self.peer, request);
        equal(&finished, verify_data)
    }

    /// Checks that the request is one of the peer and that its context can be used.
    fn check_request(&self, request: &Request<'_>) -> Result<(), AuthenticateError> {
        if request.sender() == R::SIDE {
            return Err(AuthenticateError::OwnRequest);
        }
        Ok(self.contexts.check(request.context())?)
    }
}

impl<const CONTEXTS: usize> Endpoint<Server, CONTEXTS> {
    /// Starts an authenticator without a request (the "authenticate" API, RFC 9261 section 7.3), which only a server can do.
    ///
    /// `offered` is the content of the client's ClientHello. `context` has 0 to 255 bytes; it must be new on this connection and
    /// unpredictable for the client.
    ///
    /// # Errors
    /// [`AuthenticateError`] if the context is too long or was already used, if no more contexts can be used, if `chain` does not
    /// meet the offer, or if `out` is too short. The context can then still be used, unless it was used before.
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
        let unsigned = build_unsigned(&self.own, &solicitation, &[], context, chain, out)?;
        self.contexts.add(context)?;
        Ok(unsigned)
    }
}

impl<const CONTEXTS: usize> Endpoint<Client, CONTEXTS> {
    /// Validates an authenticator that a server sent without a request (the "validate" API, RFC 9261 section 7.4). `offered` is
    /// the content of this client's ClientHello. If the authenticator is valid, its context cannot be used again.
    ///
    /// # Errors
    /// [`ValidateError`] if the authenticator is invalid, if its context was already used, or if no more contexts can be used.
    pub fn validate_spontaneous<'a>(
        &mut self,
        offered: &Offered<'_>,
        authenticator: &'a [u8],
        rules: &PathRules<'_>,
    ) -> Result<Validated<'a>, ValidateError> {
        let certified = match Authenticator::parse(authenticator)? {
            Authenticator::Certified(certified) => certified,
            // An empty authenticator declines a request, but there was no request.
            Authenticator::Empty(_) => return Err(MalformedMessage::NoCertificate.into()),
        };
        self.contexts.check(certified.context())?;
        let solicitation = Solicitation::ClientHello(offered);
        let validated =
            validate_certified(&self.peer, Side::Client, &solicitation, certified, rules)?;
        self.contexts.add(certified.context())?;
        Ok(validated)
    }
}

impl<R, B: AsRef<[u8]>> PendingRequest<R, B> {
    /// Returns the bytes of the request, which must be sent to the peer.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.as_ref().get(..self.len).unwrap_or_default()
    }

    /// Returns the context of the request. The answer has the same context.
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

/// Returns the verify_data of an empty authenticator. It covers a Certificate message without entries, which is not sent.
fn empty_authenticator_finished(keys: &EndpointKeys, request: &Request<'_>) -> HashOutput {
    let mut message = [0; HEADER_LEN + 1 + MAX_CONTEXT_LEN + 3];
    let mut writer = Writer::new(&mut message);
    // Cannot fail: the buffer has enough space for the longest context.
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
