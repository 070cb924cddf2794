//! Validation of certificate paths (RFC 5280 section 6) with `rustls-webpki` and without an allocator, for TLS and for other
//! messages that are signed with the key of a certificate.
//!
//! Signatures are ECDSA on P-256 with SHA-256, verified by an implementation of [`P256`]. A host can pass the algorithms of a
//! library that it uses anyway ([`Algorithms`]). Revocation lists are not checked, and the subject's common name is not matched
//! against names.
//!
//! ```
//! use chanbind_core::x509::{Anchors, PathRules, Time, Usage};
//! # fn accept(ca: &[u8], leaf: &[u8], now: u64) -> Result<(), chanbind_core::x509::PathError> {
//! let anchors: Anchors<'_> = Anchors::new(&[ca])?;
//! let rules = PathRules::new(&anchors, Usage::ServerAuth, Time::At(now));
//! rules.verify(leaf, [])?.has_name("gateway.example")?;
//! # Ok(())
//! # }
//! ```

mod algorithm;
mod anchors;
mod candidates;
mod certificate;
mod deferred;
mod error;
mod leaf;
mod names;
mod path;
mod public_key;

pub use crate::crypto::SignatureScheme;
pub use algorithm::Algorithms;
pub use anchors::{Anchors, MAX_ANCHORS};
pub use candidates::MAX_CANDIDATES;
pub use error::PathError;
pub use leaf::VerifiedLeaf;
pub use names::{SubjectAltName, SubjectAltNames};
pub use path::{MAX_INTERMEDIATES, PathRules, Time, Usage};
pub use public_key::{PublicKey, spki_sha256, subject, subject_public_key_info};

pub(crate) use certificate::Fields;
#[cfg(feature = "authenticator")]
pub(crate) use leaf::has_name;

use crate::crypto::ecdsa::P256;
