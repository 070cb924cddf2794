//! The client's side of authenticators in HTTP (`docs/proofs/AUTHENTICATOR.md`), as a machine for any driver.

use super::{
    AuthenticateError, CertificateChain, ChannelError, Client, DEFAULT_CONTEXTS, Endpoint,
    MalformedMessage, Request, Suspended, Unsuitable, http,
};
use crate::{
    crypto::{SignatureScheme, wipe},
    error_messages,
    exporter::Exporter,
    proof::{self, FieldSink, Inputs, KeyRequest, Outcome, RequestTarget, ResponseHead, Step},
};
use core::fmt;

/// The name of this kind of proof.
pub const KIND: &str = "authenticator";

/// The certificates of a client, and what its key signs by.
pub trait ClientIdentity {
    /// Returns the scheme by which the key answers `request`; `None` if it has none of those that the request offers.
    fn scheme(&self, request: &Request<'_>) -> Option<SignatureScheme>;

    /// Calls `f` with the certificates: DER, the leaf first.
    fn with_certificates<T>(&self, f: impl FnOnce(&[&[u8]]) -> T) -> T;
}

impl ClientIdentity for CertificateChain<'_> {
    fn scheme(&self, _: &Request<'_>) -> Option<SignatureScheme> {
        Some(self.scheme)
    }

    fn with_certificates<T>(&self, f: impl FnOnce(&[&[u8]]) -> T) -> T {
        f(self.certificates)
    }
}

/// A client without certificates: it declines every request.
impl ClientIdentity for () {
    fn scheme(&self, _: &Request<'_>) -> Option<SignatureScheme> {
        None
    }

    fn with_certificates<T>(&self, f: impl FnOnce(&[&[u8]]) -> T) -> T {
        f(&[])
    }
}

/// Answers a gateway that asks for an Exported Authenticator. Sends nothing unasked.
///
/// `B` is a buffer: an array, a slice or a `Vec`. Besides the two of them it takes about 600 bytes, and 16 for each of `CONTEXTS`: answers on one connection.
pub struct Prover<I, B, const CONTEXTS: usize = DEFAULT_CONTEXTS> {
    identity: I,
    request: B,
    authenticator: B,
    endpoint: Option<Endpoint<Client, CONTEXTS>>,
    state: State,
    /// The reason why the last request was declined.
    declined: Option<Unsuitable>,
    has_proved: bool,
}

#[allow(
    clippy::large_enum_variant,
    reason = "there is no heap, and one value per device"
)]
enum State {
    /// Nothing has been asked for with this request.
    Idle,
    /// The key signs the answer to a request of this length.
    Signing {
        request_len: usize,
        suspended: Suspended,
    },
    /// An authenticator of this length goes with the next request.
    Ready { len: usize },
    /// It has been sent.
    Sent,
}

impl<I: ClientIdentity, B, const CONTEXTS: usize> Prover<I, B, CONTEXTS>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
{
    /// Creates a prover with buffers for the longest request that is answered ([`http::MAX_REQUEST_LEN`] suffices for all) and for the
    /// longest authenticator that is made ([`CertificateChain::max_authenticator_len`]).
    #[must_use]
    pub const fn new(identity: I, request: B, authenticator: B) -> Self {
        Self {
            identity,
            request,
            authenticator,
            endpoint: None,
            state: State::Idle,
            declined: None,
            has_proved: false,
        }
    }

    /// Returns the identity.
    #[must_use]
    pub const fn identity(&self) -> &I {
        &self.identity
    }

    /// Answers the first challenge that the certificate suits. If it suits none, declines the first.
    fn answer_any(&mut self, head: &dyn ResponseHead) -> Result<(), ProveError> {
        self.declined = None;
        let mut first_reason = None;
        for text in challenges(head) {
            let len = self.decode(text)?;
            match self.answer(len)? {
                None => return Ok(()),
                Some(reason) => first_reason = first_reason.or(Some(reason)),
            }
        }
        let (Some(reason), Some(first)) = (first_reason, challenges(head).next()) else {
            return Err(ProveError::Order);
        };
        let len = self.decode(first)?;
        self.decline(len, reason)
    }

    /// Decodes a challenge into the buffer, and returns the length of its request.
    fn decode(&mut self, challenge: &str) -> Result<usize, ProveError> {
        let decoded = http::decode(challenge, self.request.as_mut()).map(<[u8]>::len);
        decoded.map_err(|_| ProveError::UnreadableChallenge)
    }

    fn decline(&mut self, request_len: usize, reason: Unsuitable) -> Result<(), ProveError> {
        let endpoint = self.endpoint.as_mut().ok_or(ProveError::Order)?;
        let request = self.request.as_ref().get(..request_len);
        let request = Request::parse(request.unwrap_or_default()).map_err(ProveError::Challenge)?;
        let declined = endpoint.decline(&request, self.authenticator.as_mut());
        let len = declined.map_err(ProveError::Authenticate)?.len();
        self.declined = Some(reason);
        self.state = State::Ready { len };
        Ok(())
    }

    /// Begins the answer to the request of this length in the buffer. Returns the reason if the certificate does not suit it.
    fn answer(&mut self, request_len: usize) -> Result<Option<Unsuitable>, ProveError> {
        let endpoint = self.endpoint.as_mut().ok_or(ProveError::Order)?;
        let request = self.request.as_ref().get(..request_len);
        let request = Request::parse(request.unwrap_or_default()).map_err(ProveError::Challenge)?;
        let out = self.authenticator.as_mut();
        let made = match self.identity.scheme(&request) {
            Some(scheme) => self.identity.with_certificates(|certificates| {
                let chain = CertificateChain::new(certificates, scheme);
                let unsigned = endpoint.authenticate(&request, &chain, out)?;
                Ok(unsigned.suspend())
            }),
            None => Err(Unsuitable::Scheme(SignatureScheme::ECDSA_SECP256R1_SHA256).into()),
        };
        match made {
            Ok(suspended) => {
                self.state = State::Signing {
                    request_len,
                    suspended,
                };
                Ok(None)
            }
            Err(AuthenticateError::Unsuitable(reason)) => Ok(Some(reason)),
            Err(error) => Err(ProveError::Authenticate(error)),
        }
    }

    /// Returns the step that the state asks for.
    fn step(&self) -> Step<'_, ProveError> {
        match &self.state {
            State::Signing { suspended, .. } => Step::Key(KeyRequest::Sign {
                scheme: suspended.scheme(),
                message: suspended.content(),
            }),
            State::Ready { .. } => Step::Send,
            State::Idle | State::Sent => Step::Failed(ProveError::Order),
        }
    }

    /// Ends the exchange of one request.
    fn done(&mut self, outcome: Outcome) -> Step<'_, ProveError> {
        self.state = State::Idle;
        wipe(self.authenticator.as_mut());
        Step::Done(outcome)
    }
}

impl<I: ClientIdentity, B, const CONTEXTS: usize> proof::Prover for Prover<I, B, CONTEXTS>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
{
    type Failure = ProveError;

    fn kind(&self) -> &'static str {
        KIND
    }

    fn begin(&mut self, channel: &dyn Exporter, _: &Inputs<'_>) -> Step<'_, ProveError> {
        self.state = State::Idle;
        self.has_proved = false;
        self.declined = None;
        match Endpoint::with_contexts(channel) {
            Ok(endpoint) => {
                self.endpoint = Some(endpoint);
                Step::Send
            }
            Err(error) => {
                self.endpoint = None;
                Step::Failed(ProveError::Channel(error))
            }
        }
    }

    fn answered(&mut self, answer: &[u8]) -> Step<'_, ProveError> {
        let State::Signing {
            request_len,
            suspended,
        } = core::mem::replace(&mut self.state, State::Idle)
        else {
            return Step::Failed(ProveError::Order);
        };
        let request = self.request.as_ref().get(..request_len);
        let request = match Request::parse(request.unwrap_or_default()) {
            Ok(request) => request,
            Err(error) => return Step::Failed(ProveError::Challenge(error)),
        };
        let unsigned = suspended.resume(&request, self.authenticator.as_mut());
        match unsigned.sign(answer).map(<[u8]>::len) {
            Ok(len) => {
                self.state = State::Ready { len };
                Step::Send
            }
            Err(error) => Step::Failed(ProveError::Authenticate(error)),
        }
    }

    fn write_fields(
        &mut self,
        _: &RequestTarget<'_>,
        _: &Inputs<'_>,
        out: &mut dyn FieldSink,
    ) -> Result<(), ProveError> {
        let State::Ready { len } = self.state else {
            return Ok(());
        };
        let authenticator = self.authenticator.as_ref().get(..len).unwrap_or_default();
        let write = &mut |out: &mut [u8]| {
            let text = http::encode_credentials(authenticator, out);
            text.ok().map(str::len)
        };
        out.put_with("authorization", http::credentials_len(len), write)
            .map_err(|_| ProveError::BufferTooSmall)?;
        self.state = State::Sent;
        Ok(())
    }

    fn response(&mut self, head: &dyn ResponseHead, _: &Inputs<'_>) -> Step<'_, ProveError> {
        let has_answered = matches!(self.state, State::Sent);
        match head.status() {
            401 if !has_answered => {
                if challenges(head).next().is_none() {
                    return self.done(Outcome::Refused);
                }
                match self.answer_any(head) {
                    Ok(()) => self.step(),
                    Err(error) => Step::Failed(error),
                }
            }
            401 | 403 => self.done(Outcome::Refused),
            _ => {
                self.has_proved |= has_answered && self.declined.is_none();
                self.done(if self.has_proved {
                    Outcome::Proved
                } else {
                    Outcome::NotAsked
                })
            }
        }
    }

    fn declined(&self) -> Option<ProveError> {
        self.declined.map(ProveError::Declined)
    }
}

/// The most challenges that are looked at.
const MAX_CHALLENGES: usize = 4;

/// Returns the requests in the challenges of the scheme, still encoded: of each field line the first.
fn challenges(head: &dyn ResponseHead) -> impl Iterator<Item = &str> {
    let lines = (0..).map_while(|nth| head.field("www-authenticate", nth));
    lines
        .filter_map(|line| http::challenge(str::from_utf8(line).ok()?))
        .take(MAX_CHALLENGES)
}

/// The error of answering a gateway that asks for an authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProveError {
    /// The channel gives no authenticators.
    Channel(ChannelError),
    /// The challenge is not base64url, or longer than the buffer for requests.
    UnreadableChallenge,
    /// The challenge holds no valid request.
    Challenge(MalformedMessage),
    /// The request cannot be answered.
    Authenticate(AuthenticateError),
    /// The request was declined: the certificate is not what it asks for.
    Declined(Unsuitable),
    /// The buffer for header fields is too small for the authenticator.
    BufferTooSmall,
    /// The driver called the prover in another order than its steps say.
    Order,
}

error_messages! { ProveError {
    Self::Channel(error) => "{}", error;
    Self::UnreadableChallenge => "the server's challenge is not base64url, or its request is longer than the buffer for requests";
    Self::Challenge(error) => "the server's challenge holds no authenticator request: {}", error;
    Self::Authenticate(error) => "the server's request cannot be answered: {}", error;
    Self::Declined(reason) => "the server asks for another certificate: {}", reason;
    Self::BufferTooSmall => "the buffer for header fields is too small for the authenticator: give a larger one";
    Self::Order => "the prover was called out of order: begin a connection, and follow the steps";
}}

impl core::error::Error for ProveError {}

impl<I, B, const CONTEXTS: usize> fmt::Debug for Prover<I, B, CONTEXTS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prover(authenticator)")
    }
}
