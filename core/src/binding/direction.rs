use super::ChannelBinding;
use crate::crypto::{equal, sha256_of_parts};
use core::fmt;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that opened the TLS connection.
    Client,
    /// The end that accepted the TLS connection.
    Server,
}

impl Side {
    /// Returns the other end.
    #[must_use]
    pub fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Two values of 32 bytes that are derived from one channel binding. Each side computes its proof over its own value and verifies
/// the proof of its peer over the peer's value.
///
/// A proof over the binding itself can be reflected, because the client and the server would send the same proof. A tag is
/// `SHA-256("chanbind direction tag" || 00 || side || 00 || binding type || 00 || binding)`, which prevents reflection. It also
/// prevents the use of a proof with another binding type.
#[derive(Clone, PartialEq, Eq)]
pub struct DirectionTags {
    client: DirectionTag,
    server: DirectionTag,
}

/// The value over which one side computes its proof. Comparison is constant-time.
#[derive(Clone)]
pub struct DirectionTag([u8; 32]);

impl DirectionTags {
    pub(super) fn new(binding: &ChannelBinding) -> Self {
        let tag = |side: &[u8]| {
            let kind = binding.kind().unique_prefix().as_bytes();
            DirectionTag(sha256_of_parts(&[
                b"chanbind direction tag\0",
                side,
                b"\0",
                kind,
                b"\0",
                binding.as_bytes(),
            ]))
        };
        Self {
            client: tag(b"client"),
            server: tag(b"server"),
        }
    }

    /// Returns the value over which `side` computes its proof and its peer verifies it.
    #[must_use]
    pub fn of(&self, side: Side) -> &DirectionTag {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }
}

impl DirectionTag {
    /// Returns the 32 bytes of the tag.
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
