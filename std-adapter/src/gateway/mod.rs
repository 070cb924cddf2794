//! The end that verifies: a tower layer, and an axum server around it.
//!
//! [`ProofLayer`] looks at each request, holds its proof against the connection it came by, and puts an [`Identity`] into the
//! request's extensions, or answers by itself:
//!
//! | answer | when |
//! |---|---|
//! | 400, with the reason | the proof is malformed: a header twice, no base64, no client id |
//! | 401, with a challenge | no proof, or a wrong one: always the same answer, also for an unknown client |
//! | 500 | the server did not say which connection the request came by |
//!
//! [`AuthenticatorLayer`] does the same with certificates: it asks for an Exported Authenticator (RFC 9261) where its policy says so, and
//! puts a [`CertifiedIdentity`](crate::authenticator::CertifiedIdentity) into the extensions of every later request for the same on the
//! connection; `docs/HTTP-AUTHENTICATORS.md` has its answers.
//!
//! The expected key is derived once for each connection, client and purpose. For an unknown client the same work is done with
//! a decoy.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use chanbind::{gateway::{Identity, ProofLayer, Registry, serve}, proof::Settings, tls};
//! use tower::Layer;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::from_toml(&std::fs::read_to_string("registry.toml")?)?;
//! let app = Router::new().route("/", get(|who: Identity| async move { format!("hello, {}\n", who.client()) }));
//! let app = ProofLayer::new(registry, Settings::default()).layer(app);
//! let tls = tls::server_config_from_pem(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
//! let listener = tokio::net::TcpListener::bind("[::]:8443").await?;
//! serve(listener, tls, app, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```

mod authenticator;
mod channel;
mod identity;
mod layer;
mod path;
mod presented;
mod registry;
mod replay;
mod server;

pub use authenticator::{AuthenticatorLayer, AuthenticatorPolicy, AuthenticatorService};
pub use channel::Channel;
pub use identity::Identity;
pub use layer::{ProofFuture, ProofLayer, ProofService};
pub use registry::{ClientKey, Place, Registry, RegistryError};
pub use server::{Limits, serve, serve_with};

use std::sync::atomic::{AtomicU64, Ordering};

/// A number for a layer, by which those that share a connection are told apart.
fn next_layer() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
