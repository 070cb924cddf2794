//! The client's side of blessings in HTTP (`docs/proofs/BLESSING.md`), as a machine for any driver.

use super::{
    Algorithms, BlessingError, CheckContext, ClientExchange, DischargeList, Discharges,
    EncodedBlessings, Evidence, EvidenceError, MAX_AUTH_LEN, NameList, OwnedSignature, PublicKey,
    Roots, SigningRequest, Time, VerifiedBlessings, auth_message, http,
};
use crate::{
    binding::BindingError,
    error_messages,
    exporter::Exporter,
    proof::{self, FieldSink, Inputs, Outcome, RequestTarget, ResponseHead, Step},
};
use core::fmt;

/// The name of this kind of proof.
pub const KIND: &str = "blessing";

/// A client's principal: its blessings, and which servers it trusts.
pub trait ClientPrincipal {
    /// Returns the blessings that are shown to servers: VOM, with the definitions of the types.
    fn blessings(&self) -> &[u8];

    /// Returns the discharges of third-party caveats of the blessings: VOM, with the definitions of the types.
    fn discharges(&self) -> DischargeList<'_> {
        DischargeList::new()
    }

    /// Returns the roots that the client recognizes.
    fn roots(&self) -> &dyn Roots;

    /// Returns whether the client trusts a server with these names, which its roots and caveats permit.
    fn trusts(&self, names: &NameList) -> bool;

    /// Returns the algorithms for servers' signatures.
    fn algorithms(&self) -> &Algorithms;

    /// Returns the client's knowledge of the time. `clock` is that of the driver, in seconds since 1970, if it has one.
    fn time(&self, clock: Option<u64>) -> Time;
}

/// Proves blessings to a server that has proved its own first. Shows nothing of the client's to a server that the client does not trust.
///
/// `B` is a buffer: an array, a slice or a `Vec`. It holds the longest evidence of a server: blessings, discharges and Auth message.
pub struct Prover<P, B> {
    principal: P,
    buffer: B,
    exchange: Option<ClientExchange>,
    state: State,
    has_proved: bool,
}

#[allow(
    clippy::large_enum_variant,
    reason = "there is no heap, and one value per device"
)]
enum State {
    /// The server has not asked for blessings with this request.
    Idle,
    /// The key signs.
    Signing(SigningRequest),
    /// The evidence goes with the next request.
    Ready(OwnedSignature),
    /// It has been sent.
    Sent,
}

impl<P: ClientPrincipal, B: AsRef<[u8]> + AsMut<[u8]>> Prover<P, B> {
    /// Creates a prover with a buffer for the evidence of servers.
    #[must_use]
    pub const fn new(principal: P, buffer: B) -> Self {
        Self {
            principal,
            buffer,
            exchange: None,
            state: State::Idle,
            has_proved: false,
        }
    }

    /// Returns the principal.
    #[must_use]
    pub const fn principal(&self) -> &P {
        &self.principal
    }

    /// Verifies the server's evidence, and begins the client's own.
    #[inline(never)]
    fn answer(&mut self, params: &str, clock: Option<u64>) -> Result<(), ProveError> {
        let exchange = self.exchange.take().ok_or(ProveError::Order)?;
        let evidence = Evidence::decode(params, self.buffer.as_mut())
            .map_err(|_| ProveError::Server(EvidenceError::Malformed))?;
        Self::check(&self.principal, &exchange, &evidence, clock)?;
        let proof = exchange.trusted();
        let own = EncodedBlessings::parse(self.principal.blessings()).map_err(ProveError::Own)?;
        let request = own.blessings().with_leaf(|key| {
            let key = PublicKey::parse(key, self.principal.algorithms());
            proof.request(&key.ok_or(BlessingError::Key)?)
        });
        self.state = State::Signing(request.map_err(ProveError::Own)?);
        Ok(())
    }

    /// Checks that the client trusts the server.
    fn check(
        principal: &P,
        exchange: &ClientExchange,
        evidence: &Evidence<'_>,
        clock: Option<u64>,
    ) -> Result<(), ProveError> {
        let algorithms = principal.algorithms();
        let blessings = EncodedBlessings::parse(evidence.blessings)
            .map_err(|error| ProveError::Server(error.into()))?;
        let verified = exchange.verify(&blessings, evidence, algorithms);
        let verified = verified.map_err(ProveError::Server)?;
        check_server(principal, &verified, &&evidence.discharges[..], clock)
    }

    /// Ends the exchange of one request.
    fn done(&mut self, outcome: Outcome) -> Step<'_, ProveError> {
        self.state = State::Idle;
        Step::Done(outcome)
    }
}

impl<P: ClientPrincipal, B: AsRef<[u8]> + AsMut<[u8]>> proof::Prover for Prover<P, B> {
    type Failure = ProveError;

    fn kind(&self) -> &'static str {
        KIND
    }

    fn begin(&mut self, channel: &dyn Exporter, _: &Inputs<'_>) -> Step<'_, ProveError> {
        self.state = State::Idle;
        self.has_proved = false;
        self.exchange = None;
        match ClientExchange::new(channel) {
            Ok(exchange) => {
                self.exchange = Some(exchange);
                Step::Send
            }
            Err(error) => Step::Failed(ProveError::Channel(error)),
        }
    }

    fn answered(&mut self, answer: &[u8]) -> Step<'_, ProveError> {
        let State::Signing(request) = core::mem::replace(&mut self.state, State::Idle) else {
            return Step::Failed(ProveError::Order);
        };
        match request.finish(answer) {
            Ok(signature) => {
                self.state = State::Ready(signature);
                Step::Send
            }
            Err(error) => Step::Failed(ProveError::Own(error)),
        }
    }

    fn write_fields(
        &mut self,
        _: &RequestTarget<'_>,
        _: &Inputs<'_>,
        out: &mut dyn FieldSink,
    ) -> Result<(), ProveError> {
        let State::Ready(signature) = &self.state else {
            return Ok(());
        };
        let discharges = self.principal.discharges();
        let mut message = [0; MAX_AUTH_LEN];
        let evidence = Evidence {
            blessings: self.principal.blessings(),
            auth: auth_message(signature, !discharges.is_empty(), &mut message),
            discharges,
        };
        let write = &mut |out: &mut [u8]| evidence.encode(out).ok().map(str::len);
        out.put_with("authorization", evidence.encoded_len(), write)
            .map_err(|_| ProveError::BufferTooSmall)?;
        self.state = State::Sent;
        Ok(())
    }

    fn response(&mut self, head: &dyn ResponseHead, inputs: &Inputs<'_>) -> Step<'_, ProveError> {
        let has_answered = matches!(self.state, State::Sent);
        match head.status() {
            401 if !has_answered && self.exchange.is_some() => {
                let Some(params) = challenge(head) else {
                    return self.done(Outcome::Refused);
                };
                match self.answer(params, inputs.unix_time) {
                    Ok(()) => match &self.state {
                        State::Signing(request) => Step::Key(request.key_request()),
                        _ => Step::Failed(ProveError::Order),
                    },
                    Err(error) => Step::Failed(error),
                }
            }
            401 | 403 => self.done(Outcome::Refused),
            _ => {
                self.has_proved |= has_answered;
                self.done(if self.has_proved {
                    Outcome::Proved
                } else {
                    Outcome::NotAsked
                })
            }
        }
    }

    fn verifies_server(&self) -> bool {
        true
    }
}

/// Checks that a client trusts a server which has proved the key of its blessings. `clock` is that of the driver, in seconds since 1970, if it has one.
///
/// # Errors
/// [`ProveError::Untrusted`] if it does not, and the error of blessings that are malformed.
#[inline(never)]
pub fn check_server(
    principal: &impl ClientPrincipal,
    server: &VerifiedBlessings<'_>,
    discharges: &dyn Discharges,
    clock: Option<u64>,
) -> Result<(), ProveError> {
    // The names of the client itself, for caveats on the server's blessings.
    let own = EncodedBlessings::parse(principal.blessings()).map_err(ProveError::Own)?;
    let roots = principal.roots();
    let local_names = own.blessings().local_names(roots);
    let mut reason = None;
    let names = server.names(
        roots,
        &CheckContext {
            time: principal.time(clock),
            method: "",
            method_tags: &[],
            local_names: &local_names.map_err(ProveError::Own)?,
            discharges,
            algorithms: principal.algorithms(),
        },
        &mut |_, _, rejection| reason = Some(rejection),
    );
    let names = names.map_err(|error| ProveError::Server(error.into()))?;
    if principal.trusts(&names) {
        Ok(())
    } else {
        Err(ProveError::Untrusted { reason })
    }
}

/// Returns the parameters of the first challenge of the scheme.
fn challenge(head: &dyn ResponseHead) -> Option<&str> {
    let mut lines = (0..).map_while(|nth| head.field("www-authenticate", nth));
    lines.find_map(|line| http::challenge(str::from_utf8(line).ok()?))
}

/// The error of proving blessings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProveError {
    /// The connection has no binding.
    Channel(BindingError),
    /// The server's evidence is invalid.
    Server(EvidenceError),
    /// The client does not trust a server with these names. The client has shown nothing of its own.
    Untrusted {
        /// The reason why a name of the server does not count, if there is one.
        reason: Option<BlessingError>,
    },
    /// The client's own blessings are malformed, or its key did not answer with a signature.
    Own(BlessingError),
    /// The buffer for evidence or for header fields is too small.
    BufferTooSmall,
    /// The driver called the prover in another order than its steps say.
    Order,
}

error_messages! { ProveError {
    Self::Channel(error) => "{}", error;
    Self::Server(error) => "the server's blessings are refused: {}", error;
    Self::Untrusted { reason: Some(reason) } => "the server is not trusted: {}", reason;
    Self::Untrusted { reason: None } => "the server is not trusted: none of its names matches a pattern of the client";
    Self::Own(error) => "the client's own blessings cannot be shown: {}", error;
    Self::BufferTooSmall => "the buffer for blessings or header fields is too small: give a larger one";
    Self::Order => "the prover was called out of order: begin a connection, and follow the steps";
}}

impl core::error::Error for ProveError {}

impl<P, B> fmt::Debug for Prover<P, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prover(blessing)")
    }
}
