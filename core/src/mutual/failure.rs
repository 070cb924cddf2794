use super::{MutualError, Reason};
use crate::error_messages;

/// The reason why a proof of this kind failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MutualFailure {
    /// The authentication cannot be carried out.
    Mutual(MutualError),
    /// The server does not know the password, or another has answered in its place.
    ServerNotProved {
        /// The status of the answer.
        status: u16,
    },
    /// The server answered with a message that has no place here.
    OutOfOrder,
    /// The server dropped a session right after its key exchange.
    StaleAtOnce,
    /// The server refused the proof.
    Refused(Reason),
    /// The server asks for an algorithm that this client does not have, or the challenge is malformed.
    UnknownTerms,
    /// The server's authentication scope does not cover it.
    ForeignScope,
    /// The server asks for a proof in another realm than the one that the password is for.
    OtherRealm,
    /// The server asks for a host validation method that this client does not accept.
    WeakValidation,
    /// The machine was called out of order.
    Misused,
}

error_messages! { MutualFailure {
    Self::Mutual(error) => "{}", error;
    Self::ServerNotProved { status } => "the answer with status {} is not proved to come from a server that knows this user: nothing of it was used. Another may listen in between", status;
    Self::OutOfOrder => "the server's message has no place in the exchange";
    Self::StaleAtOnce => "the server dropped the session right after the key exchange: it may be overloaded. Try later";
    Self::Refused(Reason::InternalError) => "the server did not try the proof (internal-error): it may have seen too many wrong ones. Wait some minutes";
    Self::Refused(reason) => "the server refused the proof ({}): check user and password", reason.token();
    Self::UnknownTerms => "the server offers no algorithm or realm that this client understands";
    Self::ForeignScope => "the authentication scope in the server's challenge does not cover the server: a password must not be used there";
    Self::OtherRealm => "the server asks for a proof in another realm: the password is for one realm, and must not be used in another without the user (RFC 8120 section 5)";
    Self::WeakValidation => "the server offers no host validation method that this client accepts on this connection";
    Self::Misused => "the prover was called out of order";
}}

impl core::error::Error for MutualFailure {}

impl From<MutualError> for MutualFailure {
    fn from(error: MutualError) -> Self {
        Self::Mutual(error)
    }
}
