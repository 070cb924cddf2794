//! Exported Authenticators (RFC 9261): the key of a certificate, in a TPM or in software, proved on a connection when a gateway asks.
//!
//! The protocol is [`chanbind_core::authenticator`]; `docs/proofs/AUTHENTICATOR.md` describes the header fields. A client makes a [prover](prover()) from its
//! [`Credentials`] and runs it with [`Session`](crate::client::Session); a gateway puts an [`AuthenticatorVerifier`] for its [`Trust`] into its
//! [`Policy`](crate::gateway::Policy).

mod ask;
mod credentials;
pub mod header_fields;
mod identity;
mod prover;
mod server_identities;
mod session;
mod trust;
mod verifier;

pub use ask::{ServerIdentityError, WithServerIdentity};
pub use chanbind_core::authenticator::KIND;
pub use credentials::{Credentials, CredentialsError};
pub use identity::CertifiedIdentity;
pub use prover::{AuthenticatorProver, decliner, prover};
pub use server_identities::ServerIdentities;
pub use trust::{Trust, TrustError};
pub use verifier::{AuthenticatorVerifier, Revocations};

use trust::RequestTrustError;

/// The requests that can be made and answered on one connection, both ways together.
pub const MAX_REQUESTS: usize = 64;
