//! The parts that all kinds of proof share: the steps of an exchange, the requests to the holder of a key, and the client's side as one trait.
//!
//! A kind of proof is a protocol by which a client shows over HTTP who it is, bound to its TLS channel. Inside, each kind has typestates of
//! its own ([`crate::otp`], `crate::authenticator`); at its door it is a [`Prover`]: a state machine without I/O that says what to do
//! next ([`Step`]). One driver runs any of them: a blocking client, an async one and a firmware share the protocol and differ in how
//! they move bytes and where the key is.
//!
//! ```text
//! begin ── Key ── answered ── Send ── write_fields ── (HTTP) ── response ──┬── Done(Proved | NotAsked | Refused)
//!             ▲                 ▲                                         ├── Failed
//!             └─────────────────┴──────────── Key or Send: once more ─────┘
//! ```
//!
//! # Example
//!
//! A driver for one request; a client in production adds time limits.
//!
//! ```
//! use chanbind_core::{
//!     exporter::Exporter,
//!     kdf::{HmacSha256, Prf},
//!     proof::{Fields, Inputs, KeyRequest, Outcome, Prover, RequestTarget, ResponseHead, Step},
//! };
//!
//! fn exchange<P: Prover>(
//!     prover: &mut P,
//!     channel: &dyn Exporter,
//!     inputs: &Inputs<'_>,
//!     key: &mut HmacSha256,
//!     send: &mut dyn FnMut(&Fields<'_>) -> Box<dyn ResponseHead>,
//! ) -> Result<Outcome, P::Failure> {
//!     let target = RequestTarget { method: "GET", authority: "gateway.example", path: "/" };
//!     let mut mac = [0; 32];
//!     let mut answer = None;
//!     let mut head: Option<Box<dyn ResponseHead>> = None;
//!     loop {
//!         let step = match (answer.take(), head.take()) {
//!             (Some(()), _) => prover.answered(&mac),
//!             (None, Some(head)) => prover.response(&*head, inputs),
//!             (None, None) => prover.begin(channel, inputs),
//!         };
//!         match step {
//!             Step::Key(KeyRequest::Hmac(input)) => {
//!                 let Ok(()) = key.compute(&input, &mut mac);
//!                 answer = Some(());
//!             }
//!             Step::Key(_) => unimplemented!("this client has an HMAC key only"),
//!             Step::Send => {
//!                 let mut buffer = [0; 512];
//!                 let mut fields = Fields::new(&mut buffer);
//!                 prover.write_fields(&target, inputs, &mut fields)?;
//!                 head = Some(send(&fields));
//!             }
//!             Step::Done(outcome) => return Ok(outcome),
//!             Step::Failed(failure) => return Err(failure),
//!         }
//!     }
//! }
//! ```
//!
//! # How each kind maps to these steps
//!
//! - **One-time password** (`otp`). `begin` exports keying material and asks for its HMAC: `Key`, once for each key that the form
//!   needs, then `Send`. `write_fields` writes the password, or a token for this one request. Every response but a 401 or 403 is `Done(Proved)`: a server need not ask, so that
//!   this kind cannot tell whether the proof was looked at.
//! - **Exported Authenticator** (`authenticator`, RFC 9261). `begin` gives `Send`, and `write_fields` writes nothing. A 401 with a challenge
//!   gives `Key(Sign)`, then `Send`; the authenticator goes with that one request, and the gateway remembers it for the connection.
//!   A response without a challenge is `Done(NotAsked)` before, and `Done(Proved)` after. A certificate that the challenge does not ask for
//!   is declined: `Send` without a `Key` step.
//! - **HTTP Mutual** (`mutual`, RFC 8120). `begin` gives `Send`: without fields, or with a known session's VFY-C. A 401-INIT gives `Send`
//!   of KEX-C1; the 401-KEX-S1 gives `Send` of VFY-C, computed from the password, which is an input of the machine and not of a key
//!   holder. A 200 is `Done(Proved)` only with the right `vks` in Authentication-Info, and otherwise `Failed`: nothing of it may be
//!   used (section 10). A 401-STALE is `Send` again. A session outlives its connection: `begin` on the next connection keeps sid
//!   and session secret, and sends the request with them, bound to the new channel.
//! - **Blessings** (Vanadium). `begin` gives `Send`, without fields. The 401 carries the server's blessings and its signature over
//!   the channel binding: `response` verifies them before anything of the client's is made. A server that is not authorised gives
//!   `Failed`, and the client has not been seen; an authorised one gives `Key(Sign)` over the client's direction of the binding,
//!   then `Send`.
//! - **Certificate in the TLS handshake** (a later step). The proof was there before the first request: `begin` gives `Send`, `write_fields`
//!   writes nothing, and `response` maps 401 and 403 to `Done(Refused)` and the rest to `Done(Proved)`. The key was asked for by the TLS
//!   stack, with the same [`KeyRequest::Sign`].
//! - **TPM quote inside an authenticator** (attestation; a later step). As an authenticator, with one `Key` step more before `Sign`: a
//!   quote over the channel's binding, which becomes an extension of the leaf's entry. [`KeyRequest`] is non-exhaustive for that.

mod fields;

pub use fields::{FieldSink, Fields, MAX_FIELDS};

use crate::{crypto::SignatureScheme, exporter::Exporter, kdf::PrfInput};
use core::fmt;

/// The number of random bytes in [`Inputs`].
pub const RANDOM_LEN: usize = 64;

/// The time and the random bytes for a call of a state machine, which has no clock and no random number generator.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Seconds since 1970-01-01T00:00:00Z, if the time is known.
    pub unix_time: Option<u64>,
    /// Random bytes from a cryptographically secure generator, new for each call.
    pub random: &'a [u8; RANDOM_LEN],
}

/// An operation that only the holder of the client's key can do: software, a TPM behind SPI, or a TPM behind tss-esapi.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum KeyRequest<'a> {
    /// An HMAC over these parts. The answer is the MAC, 1 to 64 bytes.
    Hmac(PrfInput<'a>),
    /// A signature over a message that is not hashed yet. The answer is the signature as TLS 1.3 encodes it for the scheme
    /// (RFC 8446 section 4.2.3); for ECDSA that is DER.
    Sign {
        /// The scheme to sign by.
        scheme: SignatureScheme,
        /// The message, at most 200 bytes.
        message: &'a [u8],
    },
}

/// The next action of the driver of a [`Prover`]. `F` is the kind's reason of failure.
#[derive(Debug)]
#[must_use = "the exchange goes on with this step"]
pub enum Step<'a, F> {
    /// Have the key's holder carry out the request, then call [`Prover::answered`].
    Key(KeyRequest<'a>),
    /// Send the application's request with the fields of [`Prover::write_fields`], then call [`Prover::response`] with the head of the
    /// response. As the result of [`Prover::response`]: discard that response and send the same request again.
    Send,
    /// The exchange is over, and the response at hand goes to the application.
    Done(Outcome),
    /// The exchange has failed. A response at hand must not be used.
    Failed(F),
}

/// The meaning of a response for the proof of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome {
    /// The proof was presented and not refused, with this request or before on this connection.
    Proved,
    /// The server answered without asking for a proof.
    NotAsked,
    /// The server refused the request with 401 or 403, although the proof was presented or declined.
    Refused,
}

/// The client's side of a kind of proof.
///
/// One value serves one connection at a time: [`Prover::begin`] starts over for the next. What has been begun on a connection is good for
/// all its requests: for each, the driver takes [`Step::Send`] and goes on from there.
pub trait Prover {
    /// The reason of a failure. It holds no secrets.
    type Failure: core::error::Error;

    /// The name of the kind, as in configuration files, like `otp`.
    fn kind(&self) -> &'static str;

    /// Starts on a connection whose handshake is complete and whose server has been verified.
    fn begin(&mut self, channel: &dyn Exporter, inputs: &Inputs<'_>) -> Step<'_, Self::Failure>;

    /// Takes the answer to the last [`Step::Key`].
    fn answered(&mut self, answer: &[u8]) -> Step<'_, Self::Failure>;

    /// Writes the proof's header fields for one request. There may be none.
    ///
    /// # Errors
    /// The kind's failure, if the fields do not fit `out` or no proof can be made for this request.
    fn write_fields(
        &mut self,
        request: &RequestTarget<'_>,
        inputs: &Inputs<'_>,
        out: &mut dyn FieldSink,
    ) -> Result<(), Self::Failure>;

    /// Takes the head of the response: of every response, as a server may have to prove itself too.
    fn response(&mut self, head: &dyn ResponseHead, inputs: &Inputs<'_>)
    -> Step<'_, Self::Failure>;

    /// Returns the reason why the last request for a proof was declined, if it was: for the operator, when the outcome is
    /// [`Outcome::Refused`].
    fn declined(&self) -> Option<Self::Failure> {
        None
    }

    /// Returns true if the server proves itself too, in its responses: then nothing of a response without [`Outcome::Proved`] should be used.
    fn verifies_server(&self) -> bool {
        false
    }
}

impl<P: Prover + ?Sized> Prover for &mut P {
    type Failure = P::Failure;

    fn kind(&self) -> &'static str {
        (**self).kind()
    }

    fn begin(&mut self, channel: &dyn Exporter, inputs: &Inputs<'_>) -> Step<'_, P::Failure> {
        (**self).begin(channel, inputs)
    }

    fn answered(&mut self, answer: &[u8]) -> Step<'_, P::Failure> {
        (**self).answered(answer)
    }

    fn write_fields(
        &mut self,
        request: &RequestTarget<'_>,
        inputs: &Inputs<'_>,
        out: &mut dyn FieldSink,
    ) -> Result<(), P::Failure> {
        (**self).write_fields(request, inputs, out)
    }

    fn response(&mut self, head: &dyn ResponseHead, inputs: &Inputs<'_>) -> Step<'_, P::Failure> {
        (**self).response(head, inputs)
    }

    fn declined(&self) -> Option<P::Failure> {
        (**self).declined()
    }

    fn verifies_server(&self) -> bool {
        (**self).verifies_server()
    }
}

/// The request that a proof is for.
#[derive(Debug, Clone, Copy)]
pub struct RequestTarget<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// The host, with the port where it is not 443, as in the request's Host field.
    pub authority: &'a str,
    /// The path, and the query if there is one; it begins with `/`.
    pub path: &'a str,
}

impl RequestTarget<'_> {
    /// Returns the path without its query.
    #[must_use]
    pub fn path_without_query(&self) -> &str {
        self.path.split(['?', '#']).next().unwrap_or_default()
    }
}

/// The head of a response.
pub trait ResponseHead {
    /// Returns the status code.
    fn status(&self) -> u16;

    /// Returns the value of the `nth` field line with this name, counted from 0. Names are compared without regard to case.
    fn field(&self, name: &str, nth: usize) -> Option<&[u8]>;
}

impl fmt::Debug for Inputs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inputs({:?}, random bytes hidden)", self.unix_time)
    }
}

impl fmt::Debug for KeyRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hmac(input) => write!(f, "Hmac({input:?})"),
            Self::Sign { scheme, message } => write!(f, "Sign({scheme}, {} bytes)", message.len()),
        }
    }
}
