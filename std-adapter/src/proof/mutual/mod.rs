//! HTTP Mutual authentication (RFC 8120): a password proves client and gateway to each other, and neither is shown it.
//!
//! The protocol is [`chanbind_core::mutual`], and `docs/proofs/MUTUAL.md` describes it for implementers. A client makes a [prover](prover()) and runs
//! it with [`Session`](crate::client::Session); a gateway puts a [`MutualVerifier`] into its [`Policy`](crate::gateway::Policy), with the users of a
//! [`UserStore`].
//!
//! # A gateway
//!
//! ```
//! use chanbind::{
//!     gateway::Policy,
//!     proof::mutual::{MutualVerifier, RealmSettings, UserTable},
//!     protocol::mutual::{Algorithm, Origin, Realm, StoredCredential},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let origin = Origin::parse("https://gateway.example")?;
//! let realm = Realm::new(Algorithm::P256_SHA256, "gateway.example", "technicians")?;
//! // As `chanbind provision mutual` does, which keeps no password.
//! let john = StoredCredential::register(&realm, "john", "correct horse")?;
//! let users = UserTable::new([("john".to_owned(), john)])?;
//! let verifier = MutualVerifier::new(RealmSettings::new(realm, origin), users)?;
//! let policy = Policy::new().require("/", verifier);
//! # Ok(())
//! # }
//! ```

mod details;
mod file;
mod preparation;
mod prover;
mod sessions;
mod settings;
mod users;
mod verifier;

pub use chanbind_core::mutual::KIND;
pub use details::Details;
pub use file::UserFile;
pub use preparation::{PreparationError, prepared_password, prepared_user};
pub use prover::{ProverError, prover};
pub use settings::{RealmSettings, SessionTableLimits, SettingsError};
pub use users::{FoundUser, UserLookUp, UserStore, UserStoreError, UserTable};
pub use verifier::MutualVerifier;
