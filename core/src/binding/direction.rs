use super::ChannelBinding;
use crate::crypto::equal;
use core::fmt;
use sha2::{Digest, Sha256};

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who opened the TLS connection.
    Client,
    /// Who accepted it.
    Server,
}

impl Side {
    /// The other end.
    #[must_use]
    pub fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Two values of 32 bytes made from one channel binding: each side proves over its own and verifies over its peer's.
///
/// A proof over the bare binding can be reflected: what the client sent is what the server would send. With
/// `SHA-256("chanbind direction tag" || 00 || side || 00 || binding type || 00 || binding)` it cannot, and proofs over two
/// binding types cannot be exchanged either.
#[derive(Clone, PartialEq, Eq)]
pub struct DirectionTags {
    client: DirectionTag,
    server: DirectionTag,
}

/// What one side proves over. Comparison is constant-time.
#[derive(Clone)]
pub struct DirectionTag([u8; 32]);

impl DirectionTags {
    pub(super) fn new(binding: &ChannelBinding) -> Self {
        let tag = |side: &[u8]| {
            let mut hash = Sha256::new();
            for part in [
                b"chanbind direction tag",
                side,
                binding.kind().unique_prefix().as_bytes(),
            ] {
                hash.update(part);
                hash.update([0]);
            }
            hash.update(binding.as_bytes());
            DirectionTag(hash.finalize().into())
        };
        Self {
            client: tag(b"client"),
            server: tag(b"server"),
        }
    }

    /// The value that `side` proves over, and that its peer verifies over.
    #[must_use]
    pub fn of(&self, side: Side) -> &DirectionTag {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }
}

impl DirectionTag {
    /// The 32 bytes of the tag.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for DirectionTag {
    fn eq(&self, other: &Self) -> bool {
        equal(&self.0, &other.0)
    }
}

impl Eq for DirectionTag {}

impl fmt::Debug for DirectionTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectionTag(hidden)")
    }
}

impl fmt::Debug for DirectionTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectionTags(hidden)")
    }
}
