//! Certificates as proofs, by Exported Authenticators.

mod layer;
mod on_connection;
mod policy;

pub use layer::{AuthenticatorLayer, AuthenticatorService};
pub(super) use on_connection::OnConnection;
pub use policy::AuthenticatorPolicy;
