//! Principals and blessings of Vanadium, and the handshake by which two principals authenticate each other on a channel.
//!
//! A principal is a key pair with blessings: chains of certificates that bind names, such as `factory:line3:pump7`, to its public key, under conditions
//! (caveats). A principal recognizes roots: public keys that may give names. The server of a connection proves itself first, so that a client that does
//! not trust the server reveals nothing; both sign the channel's binding, with different tags.
//!
//! The formats are those of `github.com/vanadium/core`, byte for byte; `docs/proofs/BLESSING.md` describes them, the handshake, and where this
//! implementation is stricter than that one.
//!
//! # Limits
//!
//! Memory is fixed: [`MAX_CHAINS`], [`MAX_DEPTH`], [`MAX_CAVEATS`], [`MAX_NAMES_LEN`] and [`MAX_TYPES`]. What is larger is an error, and is never cut.

mod auth;
mod authorize;
mod blessings;
mod caveat;
mod certificate;
#[cfg(feature = "blessing-channel")]
pub mod channel;
mod discharge;
mod error;
mod exchange;
mod hash;
pub mod http;
mod key;
mod names;
mod parameter;
mod prover;
mod sign;
mod signature;
mod vom;

pub use auth::{AuthMessage, MAX_AUTH_LEN};
pub use authorize::{
    AccessList, AccessListWarning, Root, Roots, default_authorizes, endpoint_authorizes,
};
pub use blessings::{Blessings, EncodedBlessings, Place, VerifiedBlessings, encode_chains};
pub use caveat::{
    ACCESS_TAG, CONST, Caveat, CaveatError, CaveatId, Caveats, CheckContext, EXPIRY,
    MAX_DISCHARGE_CHECKS, METHOD, NOT_BEFORE, PEER_BLESSINGS, THIRD_PARTY, Time, Timestamp,
};
pub use certificate::Certificate;
pub use discharge::{Discharge, Discharges, MAX_DISCHARGE_ID_LEN, ThirdParty};
pub use error::BlessingError;
pub use exchange::{
    ClientExchange, ClientProof, EvidenceError, ServerExchange, ServerProof, auth_message,
};
pub use hash::Hash;
pub use http::{DischargeList, Evidence, MalformedEvidence};
#[cfg(feature = "blessing-sha512")]
pub use key::OtherAlgorithms;
pub use key::{Algorithms, MAX_PUBLIC_KEY_LEN, P256_LEN, PublicKey, p256_public_key};
pub use names::{NameList, Pattern, check_extension};
pub use parameter::Condition;
pub use prover::{ClientPrincipal, KIND, ProveError, Prover, check_server};
pub use sign::{OwnedSignature, SigningRequest};
pub use signature::{Signature, SignatureValue};
pub use vom::{MAX_TYPES, VomError};

/// The maximum number of certificate chains in blessings.
pub const MAX_CHAINS: usize = 8;

/// The maximum number of certificates in a chain.
pub const MAX_DEPTH: usize = 16;

/// The maximum number of caveats of a certificate or a discharge.
pub const MAX_CAVEATS: usize = 16;

/// The maximum length of all names of blessings together, in bytes.
pub const MAX_NAMES_LEN: usize = 1024;
