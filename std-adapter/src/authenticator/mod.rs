//! Exported Authenticators (RFC 9261) on a host: whom to trust, who one is, and how both travel in HTTP.
//!
//! The protocol is [`chanbind_core::authenticator`]; `docs/HTTP-AUTHENTICATORS.md` describes the header fields. A gateway takes
//! [`AuthenticatorLayer`](crate::gateway::AuthenticatorLayer), a client
//! [`Connection::send_with`](crate::client::Connection::send_with).

mod credentials;
pub mod header_fields;
mod identity;
mod trust;

pub(crate) use credentials::decline;
pub use credentials::{AnswerError, Credentials, CredentialsError};
pub use identity::CertifiedIdentity;
pub(crate) use trust::AskError;
pub use trust::{Trust, TrustError};

/// Requests made and answered on one connection, both ways together, at most.
pub const MAX_REQUESTS: usize = 64;
