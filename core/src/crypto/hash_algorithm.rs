use core::fmt;
#[cfg(feature = "authenticator")]
use {
    super::{HmacSha256State, hmac_sha256::Sha256State, wipe},
    hmac::{Hmac, Mac},
    sha2::{Digest, Sha384},
};

/// The longest output of a [`HashAlgorithm`], in bytes.
pub const MAX_HASH_LEN: usize = 48;

/// The hash algorithm of a TLS cipher suite.
///
/// A firmware image links only the algorithms that it names.
#[derive(Clone, Copy)]
pub struct HashAlgorithm(&'static Functions);

struct Functions {
    name: &'static str,
    output_len: usize,
    #[cfg(feature = "authenticator")]
    hash: HashTwice,
    #[cfg(feature = "authenticator")]
    hmac: fn(&[u8], &[u8], &mut [u8; MAX_HASH_LEN]),
}

/// The implementation of [`HashAlgorithm::hash_twice`].
#[cfg(feature = "authenticator")]
type HashTwice = fn(&[&[u8]], &[u8], &mut [[u8; MAX_HASH_LEN]; 2]);

impl HashAlgorithm {
    /// SHA-256, with an output of 32 bytes.
    pub const SHA256: Self = Self(&Functions {
        name: "SHA-256",
        output_len: 32,
        #[cfg(feature = "authenticator")]
        hash: |parts, more, out| {
            let mut state = Sha256State::new();
            for part in parts {
                state.update(part);
            }
            let [before, after] = out;
            put(before, &state.clone().finish());
            state.update(more);
            put(after, &state.finish());
        },
        #[cfg(feature = "authenticator")]
        hmac: |key, message, out| {
            let mut mac = HmacSha256State::new(key).mac_of_parts(&[message]);
            put(out, &mac);
            wipe(&mut mac);
        },
    });

    /// SHA-384, with an output of 48 bytes.
    pub const SHA384: Self = Self(&Functions {
        name: "SHA-384",
        output_len: 48,
        #[cfg(feature = "authenticator")]
        hash: |parts, more, out| {
            let mut state = Sha384::new();
            for part in parts {
                state.update(part);
            }
            let [before, after] = out;
            put(before, &state.clone().finalize());
            state.update(more);
            put(after, &state.finalize());
        },
        #[cfg(feature = "authenticator")]
        hmac: |key, message, out| {
            // HMAC accepts keys of every length (RFC 2104 section 3), so the fallback is never used.
            let mut mac = Hmac::<Sha384>::new_from_slice(key)
                .unwrap_or_else(|_| Hmac::new(&Default::default()));
            mac.update(message);
            put(out, &mac.finalize().into_bytes());
        },
    });

    /// Returns the length of the hash: 32 or 48 bytes.
    #[must_use]
    pub fn output_len(self) -> usize {
        self.0.output_len
    }
}

#[cfg(feature = "authenticator")]
impl HashAlgorithm {
    /// Returns the hash of the concatenated parts, and the hash of the parts followed by `more`. The first
    /// [`HashAlgorithm::output_len`] bytes of each array are the hash.
    pub(crate) fn hash_twice(self, parts: &[&[u8]], more: &[u8]) -> [[u8; MAX_HASH_LEN]; 2] {
        let mut out = [[0; MAX_HASH_LEN]; 2];
        (self.0.hash)(parts, more, &mut out);
        out
    }

    /// Returns the HMAC (RFC 2104) of `message`, in the first [`HashAlgorithm::output_len`] bytes.
    pub(crate) fn hmac(self, key: &[u8], message: &[u8]) -> [u8; MAX_HASH_LEN] {
        let mut out = [0; MAX_HASH_LEN];
        (self.0.hmac)(key, message, &mut out);
        out
    }
}

#[cfg(feature = "authenticator")]
fn put(to: &mut [u8; MAX_HASH_LEN], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

impl PartialEq for HashAlgorithm {
    fn eq(&self, other: &Self) -> bool {
        self.output_len() == other.output_len()
    }
}

impl Eq for HashAlgorithm {}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl fmt::Debug for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}
