//! One-time passwords: an HMAC key, in a TPM as a rule, makes a password that is valid on one connection only.
//!
//! The protocol is [`chanbind_core::otp`], and `docs/proofs/OTP.md` describes it for implementers. A client makes a [prover](prover()) and runs it with
//! [`Session`](crate::client::Session); a gateway puts an [`OtpVerifier`] into its [`Policy`](crate::gateway::Policy).

mod details;
mod exports;
mod presented;
mod prover;
mod replay;
mod session;
mod settings;
mod verifier;
mod watches;

pub use chanbind_core::otp::KIND;
pub use details::Details;
pub use exports::exports;
pub use prover::{OtpProver, derive, prover};
pub use session::KeyDerivationError;
pub use settings::{Form, Settings};
pub use verifier::OtpVerifier;
