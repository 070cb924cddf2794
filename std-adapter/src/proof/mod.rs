//! Kinds of proof, and what they share on a host.
//!
//! Each kind is a module of its own under the name that it has in every crate, and exports the same things: a prover for clients, a
//! [`Verifier`] for gateways, and what both are configured with. A client runs any prover with one driver
//! ([`crate::client::Session`]), and a gateway any verifier with one layer ([`crate::gateway::ProofLayer`]).
//!
//! | kind | what is proved | the gateway holds |
//! |---|---|---|
//! | [`otp`] | an HMAC key, by a one-time password of the connection | the same key |
//! | [`authenticator`] | the key of a certificate, by RFC 9261 | the authority's certificate |
//! | [`blessing`] | the key of a principal, by Vanadium's blessings | the roots that may give names |
//! | [`mutual`] | a password, by RFC 8120 | a value from which no client can be played |
//!
//! A kind of your own is a [`Prover`](chanbind_core::proof::Prover) and a [`Verifier`]; nothing here has to be changed for it.

pub mod authenticator;
pub mod blessing;
pub mod mutual;
pub mod otp;

mod identity;
mod key;
mod refusal;
mod verifier;

pub use identity::{Identities, Identity};
pub use key::{KeyAnswer, KeyError, KeyHolder};
pub use refusal::{Refusal, RefusalKind};
pub use verifier::{
    Fields, Recipient, RequestHead, Responder, ResponseFields, Verdict, Verification, Verifier,
    remove_credentials,
};

use sha2::{Digest, Sha256};

/// Returns eight hexadecimal digits by which people recognise a secret on both ends without seeing it: the start of its SHA-256.
#[must_use]
pub fn fingerprint(secret: &[u8]) -> String {
    let mut digits = hex::encode(Sha256::digest(secret));
    digits.truncate(8);
    digits
}
