//! A filter between the network and embedded-tls, which panics on some records, and acts on some unauthenticated ones.
//!
//! [`RecordFilter`] wraps the transport. Before it passes a record on, it checks the type, version and length in its header, and
//! that a record of this type is allowed in the current state. [`FilteredAead`] wraps the cipher and checks the decrypted
//! content. The allowed content differs before and after the handshake, and only the record filter knows the state: it passes it
//! to the cipher in the version field of the record, which embedded-tls ignores, and which the cipher restores before it
//! authenticates the header.

mod aead;
mod framing;
mod transport;

pub(crate) use aead::FilteredAead;
pub(crate) use transport::RecordFilter;
pub(crate) use transport::{REFUSED, TOO_LARGE};

/// The version in the header of a record (RFC 8446 section 5.1).
const VERSION: [u8; 2] = [3, 3];
/// The version that the record filter writes into records after the handshake.
const VERSION_AFTER_HANDSHAKE: [u8; 2] = [3, 0xff];

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
