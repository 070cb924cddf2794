//! An exporter for embedded-tls, captured from its key schedule.
//!
//! embedded-tls lets the caller choose the hash type of a cipher suite, and its whole key schedule uses that type. HMAC begins by
//! feeding its inner hash one whole block, the key XOR 36..36 (RFC 2104 section 2); a [`TranscriptHash`] keeps the key that it
//! recovers from such a block. If the next input is the HkdfLabel of `c ap traffic` (RFC 8446 section 7.1), the key is the main
//! secret, and the context of the label is the hash of the transcript up to the server's Finished: the exporter secret follows
//! from both. That hash also identifies the connection, see [`crate::slots`]. A failure to capture the secret results in an
//! error, never in a wrong key.

mod flight;
mod hash;
mod rng;
mod suite;

pub(crate) use flight::{Answers, Fault, Flight};
pub(crate) use hash::TranscriptHash;
pub(crate) use rng::TranscriptRng;
pub use suite::{Aes128GcmSha256, Aes256GcmSha384, Suite};
