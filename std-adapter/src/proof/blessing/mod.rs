//! Vanadium's principals and blessings (`docs/proofs/BLESSING.md`).
//!
//! A principal has a key and blessings: chains of certificates that bind names to the key, under conditions. A gateway shows its own blessings first; a
//! client that does not trust their names shows nothing of its own.
//!
//! ```
//! use chanbind::proof::blessing::{BlessingVerifier, PeerPatterns, Principal, PrincipalError, PrincipalKey, Roots, prover};
//! use std::sync::Arc;
//!
//! # async fn example(factory_key: PrincipalKey, gateway_key: PrincipalKey, pump_key: PrincipalKey) -> Result<(), PrincipalError> {
//! // The factory is the root of all names.
//! let named = Principal::bless_self(&factory_key, "factory", &[]).await?;
//! let mut roots = Roots::new();
//! roots.add(factory_key.public_key(), "factory").map_err(|_| PrincipalError::OtherKey)?;
//! let factory = Principal::new(factory_key, named, roots.clone())?;
//!
//! let blessings = factory.bless(gateway_key.public_key(), "gateway", &[]).await?;
//! let gateway = Arc::new(Principal::new(gateway_key, blessings, roots.clone())?);
//! let verifier = BlessingVerifier::new(&gateway, PeerPatterns::admit(["factory:line3"]));
//!
//! let blessings = factory.bless(pump_key.public_key(), "line3:pump7", &[]).await?;
//! let pump = Arc::new(Principal::new(pump_key, blessings, roots)?);
//! let prover = prover(&pump, &PeerPatterns::admit(["factory:gateway"]));
//! # Ok(())
//! # }
//! ```

mod algorithms;
mod channel;
mod discharges;
mod key;
mod missing;
mod names;
mod principal;
mod prover;
mod roots;
mod trust;
mod verifier;

pub use algorithms::ALGORITHMS;
pub use chanbind_core::blessing::KIND;
pub use channel::{ChannelOptions, Received, VanadiumConnection, VanadiumError, accept, dial};
pub use discharges::{
    DischargeRequest, DischargeSource, Fetched, HttpsDischarges, discharger, give_discharge,
};
pub use key::PrincipalKey;
pub use names::BlessingNames;
pub use principal::{MAX_BLESSINGS_LEN, Principal, PrincipalError, from_text, to_text, union};
pub use prover::{BlessingProver, Client, prover};
pub use roots::{RootError, Roots};
pub use trust::PeerPatterns;
pub use verifier::BlessingVerifier;

use super::fingerprint;
