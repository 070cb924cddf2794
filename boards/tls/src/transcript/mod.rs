//! The exporter of embedded-tls, read off its key schedule.
//!
//! A cipher suite's hash is for the caller to choose, and everything the schedule does goes through it. HMAC feeds its inner hash
//! one whole block first, the key XOR 36..36 (RFC 2104 section 2); a [`TranscriptHash`] that is fed that remembers the key. When what follows
//! is the HkdfLabel of `c ap traffic` (RFC 8446 section 7.1), the key is the main secret, and the label's context is the hash of
//! the transcript up to the server's Finished: together they give the exporter secret. Which connection it is of is told by
//! that hash, see [`crate::slots`]. What is not captured is an error, never a wrong key.

mod flight;
mod hash;
mod rng;
mod suite;

pub(crate) use flight::{Answers, Fault, Flight};
pub(crate) use hash::TranscriptHash;
pub(crate) use rng::TranscriptRng;
pub use suite::{Aes128GcmSha256, Aes256GcmSha384, Suite};

/// SHA-384.
pub(crate) const MAX_HASH_LEN: usize = 48;
