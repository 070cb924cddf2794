//! The end that verifies: a tower layer, and an axum server around it.
//!
//! [`ProofLayer`] looks at each request, has the verifiers of its path's rule hold it against the connection it came by, and puts the
//! [`Identity`] into the request's extensions, or answers by itself:
//!
//! | answer | when |
//! |---|---|
//! | 400, with the reason | the proof is malformed, or the path can be read in several ways |
//! | 401, with the challenges of the rule | a proof is missing or wrong: always the same answer, also for an unknown client |
//! | 403 | the client declined to prove what the path needs |
//! | 421 | the connection is good for no further proof: the client connects anew |
//! | 503, with Retry-After | as many proofs as allowed are being verified |
//! | 500 | the server did not say which connection the request came by, or is otherwise at fault |
//!
//! Which paths need which proofs is a [`Policy`]; a proof is a [`Verifier`](crate::proof::Verifier).
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use chanbind::{gateway::{Identity, Policy, ProofLayer, RegistryFile, serve}, proof::otp::{OtpVerifier, Settings}, tls};
//! use tower::Layer;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = RegistryFile::open("registry.toml".as_ref())?;
//! tokio::spawn(std::sync::Arc::clone(&registry).follow());
//! let policy = Policy::new()
//!     .require("/", OtpVerifier::new(registry, Settings::default()))
//!     .exempt("/health");
//! let app = Router::new()
//!     .route("/", get(|client: Identity| async move { format!("hello, {}\n", client.subject()) }))
//!     .route("/health", get(|| async { "ok\n" }));
//! let app = ProofLayer::new(policy).layer(app);
//! let tls = tls::server_config_from_pem(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
//! let listener = tokio::net::TcpListener::bind("[::]:8443").await?;
//! serve(listener, tls, app, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```

mod channel;
mod diagnosis;
mod layer;
mod live;
mod observer;
mod path;
mod policy;
mod registry;
mod requirement;
mod server;

pub use crate::proof::{Identities, Identity};
pub use channel::{Channel, WeakChannel};
pub use diagnosis::{Diagnosis, Export};
pub use layer::{ProofFuture, ProofLayer, ProofService};
pub(crate) use live::{LiveList, OfChannel};
pub use observer::{Event, Observer};
pub use policy::Policy;
pub use registry::{
    ClientKey, ClientRecord, ClientTable, LookUp, MemoryRegistry, Place, Registry, RegistryError,
    RegistryFile,
};
#[cfg(feature = "database")]
pub use registry::{DatabaseError, DatabaseRegistry, Device, KeySealer, SealError};
pub use requirement::{Audience, Requirement, all_of, any_of};
pub use server::{Limits, Server, Tunnel, TunnelPermit, serve, serve_with};
