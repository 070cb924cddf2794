use super::{hkdf_expand, sha256};
use core::fmt;
use hkdf::Hkdf;
use sha2::{Digest, Sha384};
#[cfg(feature = "authenticator")]
use {
    super::{HmacSha256State, hmac_sha256::Sha256State, wipe},
    hmac::{Hmac, Mac},
};

/// The longest output of a [`HashAlgorithm`], in bytes.
pub const MAX_HASH_LEN: usize = 48;

/// The output of a hash or of an HMAC.
#[cfg(feature = "authenticator")]
pub(crate) type HashOutput = heapless::Vec<u8, MAX_HASH_LEN>;

/// The hash algorithm of a TLS cipher suite.
///
/// A firmware image links only the algorithms that it names.
#[derive(Clone, Copy)]
pub struct HashAlgorithm(&'static Functions);

struct Functions {
    name: &'static str,
    output_len: usize,
    empty_hash: &'static [u8],
    hash: fn(&[u8], &mut [u8; MAX_HASH_LEN]),
    hkdf_expand: HkdfExpand,
    #[cfg(feature = "authenticator")]
    hash_twice: HashTwice,
    #[cfg(feature = "authenticator")]
    hmac: fn(&[u8], &[u8], &mut HashOutput),
}

/// The implementation of [`HashAlgorithm::hkdf_expand`].
type HkdfExpand = fn(&[u8], [&[u8]; 4], &mut [u8]) -> bool;

/// The implementation of [`HashAlgorithm::hash_twice`].
#[cfg(feature = "authenticator")]
type HashTwice = fn(&[&[u8]], &[u8], &mut [HashOutput; 2]);

impl HashAlgorithm {
    /// SHA-256, with an output of 32 bytes.
    pub const SHA256: Self = Self(&Functions {
        name: "SHA-256",
        output_len: 32,
        empty_hash: &SHA256_OF_EMPTY,
        hash: |input, out| copy(out, &sha256(input)),
        hkdf_expand,
        #[cfg(feature = "authenticator")]
        hash_twice: |parts, more, out| {
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
        empty_hash: &SHA384_OF_EMPTY,
        hash: |input, out| copy(out, &Sha384::digest(input)),
        hkdf_expand: |prk, info, out| {
            Hkdf::<Sha384>::from_prk(prk)
                .is_ok_and(|hkdf| hkdf.expand_multi_info(&info, out).is_ok())
        },
        #[cfg(feature = "authenticator")]
        hash_twice: |parts, more, out| {
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

    /// Returns the hash of the empty string.
    pub(crate) fn empty_hash(self) -> &'static [u8] {
        self.0.empty_hash
    }

    /// Returns the hash of `input`, in the first [`HashAlgorithm::output_len`] bytes.
    pub(crate) fn hash(self, input: &[u8]) -> [u8; MAX_HASH_LEN] {
        let mut out = [0; MAX_HASH_LEN];
        (self.0.hash)(input, &mut out);
        out
    }

    /// Computes HKDF-Expand (RFC 5869 section 2.3) with the info in parts. Returns `false` if `out` needs more than 255 blocks.
    pub(crate) fn hkdf_expand(self, prk: &[u8], info: [&[u8]; 4], out: &mut [u8]) -> bool {
        (self.0.hkdf_expand)(prk, info, out)
    }
}

#[cfg(feature = "authenticator")]
impl HashAlgorithm {
    /// Returns the hash of the concatenated parts, and the hash of the parts followed by `more`.
    pub(crate) fn hash_twice(self, parts: &[&[u8]], more: &[u8]) -> [HashOutput; 2] {
        let mut out = [const { HashOutput::new() }; 2];
        (self.0.hash_twice)(parts, more, &mut out);
        out
    }

    /// Returns the HMAC (RFC 2104) of `message`.
    pub(crate) fn hmac(self, key: &[u8], message: &[u8]) -> HashOutput {
        let mut out = HashOutput::new();
        (self.0.hmac)(key, message, &mut out);
        out
    }
}

fn copy(to: &mut [u8; MAX_HASH_LEN], from: &[u8]) {
    if let Some(to) = to.get_mut(..from.len()) {
        to.copy_from_slice(from);
    }
}

#[cfg(feature = "authenticator")]
fn put(to: &mut HashOutput, from: &[u8]) {
    // Cannot fail: no hash is longer than its output may be.
    let _ = to.extend_from_slice(from);
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

/// The SHA-256 hash of the empty string.
const SHA256_OF_EMPTY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// The SHA-384 hash of the empty string.
const SHA384_OF_EMPTY: [u8; 48] = [
    0x38, 0xb0, 0x60, 0xa7, 0x51, 0xac, 0x96, 0x38, 0x4c, 0xd9, 0x32, 0x7e, 0xb1, 0xb1, 0xe3, 0x6a,
    0x21, 0xfd, 0xb7, 0x11, 0x14, 0xbe, 0x07, 0x43, 0x4c, 0x0c, 0xc7, 0xbf, 0x63, 0xf6, 0xe1, 0xda,
    0x27, 0x4e, 0xde, 0xbf, 0xe7, 0x6f, 0x65, 0xfb, 0xd5, 0x1a, 0xd2, 0xf1, 0x48, 0x98, 0xb9, 0x5b,
];
