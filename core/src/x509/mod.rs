//! Certificate paths (RFC 5280 section 6) by `rustls-webpki`, without an allocator: for TLS, and for what else is signed with
//! the key of a certificate.
//!
//! Signatures are ECDSA on P-256 with SHA-256, by whatever implements [`P256`]. Not looked at: revocation lists, and names in the
//! subject's common name.
//!
//! ```
//! use chanbind_core::x509::{Anchors, PathRules, Time, Usage};
//! # fn accept(ca: &[u8], leaf: &[u8], now: u64) -> Result<(), chanbind_core::x509::PathError> {
//! let anchors: Anchors<'_> = Anchors::new(&[ca])?;
//! let rules = PathRules::new(&anchors, Usage::ServerAuth, Time::At(now));
//! rules.verify(leaf, &[])?.has_name("gateway.example")?;
//! # Ok(())
//! # }
//! ```

mod algorithm;
mod anchors;
mod error;
mod path;
mod public_key;

pub use anchors::{Anchors, MAX_ANCHORS};
pub use error::PathError;
pub use path::{MAX_INTERMEDIATES, PathRules, Time, Usage, VerifiedLeaf};
pub use public_key::{PublicKey, spki_sha256, subject_public_key_info};

use crate::crypto::ecdsa::P256;
