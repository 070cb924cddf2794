//! What stands between the network and embedded-tls, which panics on some records, and acts on others that nobody has
//! authenticated.
//!
//! [`RecordFilter`] is around the transport. Before it passes a record on, it looks at its header: type, version, length, and whether
//! records of that kind may come now. [`FilteredAead`] is around the cipher and looks at what was decrypted. What may come differs
//! before and after the handshake, which only the guard can tell: it says so in the record's version, which embedded-tls does not
//! look at, and which the cipher puts right before it authenticates the header.

mod aead;
mod framing;
mod transport;

pub(crate) use aead::FilteredAead;
pub(crate) use transport::RecordFilter;
pub(crate) use transport::{REFUSED, TOO_LARGE};

/// What the version of a record's header must be (RFC 8446 section 5.1).
const VERSION: [u8; 2] = [3, 3];
/// What the guard makes of it in records after the handshake.
const VERSION_AFTER_HANDSHAKE: [u8; 2] = [3, 0xff];

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
