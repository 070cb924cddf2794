//! The hashes of signatures, by the names that Vanadium gives them.

use crate::crypto::Sha256State;

/// The longest hash, in bytes.
pub(crate) const MAX_DIGEST_LEN: usize = if cfg!(feature = "blessing-sha512") {
    64
} else {
    32
};

/// A hash algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256, for keys on curves of at most 256 bits.
    Sha256,
    /// SHA-384, for keys on curves of at most 384 bits.
    #[cfg(feature = "blessing-sha512")]
    Sha384,
    /// SHA-512, for all other keys.
    #[cfg(feature = "blessing-sha512")]
    Sha512,
}

impl Hash {
    /// Returns the name of the hash in signatures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA256",
            #[cfg(feature = "blessing-sha512")]
            Self::Sha384 => "SHA384",
            #[cfg(feature = "blessing-sha512")]
            Self::Sha512 => "SHA512",
        }
    }

    /// Returns the hash of the concatenated parts. The state is not on the stack of the caller.
    #[inline(never)]
    pub(crate) fn of(self, parts: &[&[u8]]) -> Digest {
        let mut hasher = Hasher::new(self);
        for part in parts {
            hasher.update(part);
        }
        hasher.finish()
    }
}

/// The output of a hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Digest {
    octets: [u8; MAX_DIGEST_LEN],
    len: u8,
}

impl Digest {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn new(hash: &[u8]) -> Self {
        let mut digest = Self {
            octets: [0; MAX_DIGEST_LEN],
            len: u8::try_from(hash.len()).unwrap_or(0),
        };
        for (to, from) in digest.octets.iter_mut().zip(hash) {
            *to = *from;
        }
        digest
    }
}

/// A hash that takes its input in parts.
pub(crate) enum Hasher {
    Sha256(Sha256State),
    #[cfg(feature = "blessing-sha512")]
    Sha384(sha2::Sha384),
    #[cfg(feature = "blessing-sha512")]
    Sha512(sha2::Sha512),
}

impl Hasher {
    pub(crate) fn new(hash: Hash) -> Self {
        match hash {
            Hash::Sha256 => Self::Sha256(Sha256State::new()),
            #[cfg(feature = "blessing-sha512")]
            Hash::Sha384 => Self::Sha384(sha2::Digest::new()),
            #[cfg(feature = "blessing-sha512")]
            Hash::Sha512 => Self::Sha512(sha2::Digest::new()),
        }
    }

    pub(crate) fn update(&mut self, input: &[u8]) {
        match self {
            Self::Sha256(state) => state.update(input),
            #[cfg(feature = "blessing-sha512")]
            Self::Sha384(state) => sha2::Digest::update(state, input),
            #[cfg(feature = "blessing-sha512")]
            Self::Sha512(state) => sha2::Digest::update(state, input),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        match self {
            Self::Sha256(state) => Digest::new(&state.finish()),
            #[cfg(feature = "blessing-sha512")]
            Self::Sha384(state) => Digest::new(&sha2::Digest::finalize(state)),
            #[cfg(feature = "blessing-sha512")]
            Self::Sha512(state) => Digest::new(&sha2::Digest::finalize(state)),
        }
    }
}
