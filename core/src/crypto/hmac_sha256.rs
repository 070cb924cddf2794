//! HMAC-SHA-256 and HKDF-Expand on the bare compression function of `sha2` (RFC 2104, RFC 5869 section 2.3).
//!
//! The messages in this project are short. For these the `hmac` crate spends a third of its time on buffering, and its keyed
//! state cannot be wiped. This implementation copies the rest of a block in one piece and wipes its key.

use super::wipe;
use core::fmt;
use sha2::{
    compress256,
    digest::{consts::U64, generic_array::GenericArray},
};
use zeroize::optimization_barrier;

const LEN: usize = 32;
const BLOCK_LEN: usize = 64;

type Block = GenericArray<u8, U64>;

/// An HMAC-SHA-256 state that has absorbed its key, which saves two compressions for each message. Wiped when dropped.
pub struct HmacSha256State {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl HmacSha256State {
    /// Creates a state from a key of any length. A key of more than 64 bytes is hashed first.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        let mut block = Block::default();
        if key.len() > BLOCK_LEN {
            let mut hashed = sha256(key);
            fill(&mut block, 0, &hashed);
            wipe(&mut hashed);
        } else {
            fill(&mut block, 0, key);
        }
        let mut state = Self {
            inner: INITIAL,
            outer: INITIAL,
        };
        block.iter_mut().for_each(|byte| *byte ^= 0x36);
        compress256(&mut state.inner, core::slice::from_ref(&block));
        block.iter_mut().for_each(|byte| *byte ^= 0x36 ^ 0x5c);
        compress256(&mut state.outer, core::slice::from_ref(&block));
        wipe(&mut block);
        state
    }

    /// Returns the HMAC of the concatenated parts.
    #[must_use]
    #[inline]
    pub fn mac<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> [u8; LEN] {
        self.outer(hash(self.inner, BLOCK_LEN, parts))
    }

    /// Returns the HMAC of the concatenated parts; a size-optimized variant of [`HmacSha256State::mac`].
    #[must_use]
    pub fn mac_of_parts(&self, parts: &[&[u8]]) -> [u8; LEN] {
        self.outer(hash_parts(self.inner, BLOCK_LEN, parts))
    }

    /// Returns the HMAC of a message that is already padded.
    fn mac_message(&self, message: &Message) -> [u8; LEN] {
        let mut state = self.inner;
        compress256(&mut state, message.blocks());
        self.outer(state)
    }

    fn outer(&self, inner: [u32; 8]) -> [u8; LEN] {
        let [a, b, c, d, e, f, g, h] = inner;
        // The outer message is a key block, which is already absorbed, and a digest, so exactly one block remains.
        let words = [
            a, b, c, d, e, f, g, h, PADDING, 0, 0, 0, 0, 0, 0, OUTER_BITS,
        ];
        let mut state = self.outer;
        let mut block = words.map(u32::to_be_bytes);
        if let Ok(block) = <&[u8; BLOCK_LEN]>::try_from(block.as_flattened()) {
            compress256(&mut state, core::slice::from_ref(block.into()));
        }
        wipe(block.as_flattened_mut());
        digest(state)
    }
}

/// Computes HKDF-Expand (RFC 5869 section 2.3) with the info in parts. Returns `false` if `out` needs more than 255 blocks, or if
/// the info is longer than an HkdfLabel can be.
pub(crate) fn hkdf_expand<const PARTS: usize>(
    prk: &[u8],
    info: [&[u8]; PARTS],
    out: &mut [u8],
) -> bool {
    // Pad the message before the key is absorbed: reading bytes as words is slow directly after writing them one by one.
    let Some(first) = Message::new(info.into_iter().chain([[1].as_slice()])) else {
        return false;
    };
    let state = HmacSha256State::new(prk);
    let mut previous = state.mac_message(&first);
    for (number, chunk) in (1..=usize::MAX).zip(out.chunks_mut(LEN)) {
        let Ok(number) = u8::try_from(number) else {
            return false;
        };
        if number > 1 {
            let number = [number];
            let parts = [previous.as_slice()].into_iter().chain(info);
            let mut next = state.mac(parts.chain([number.as_slice()]));
            previous = next;
            wipe(&mut next);
        }
        if let Some(front) = previous.get(..chunk.len()) {
            chunk.copy_from_slice(front);
        }
    }
    wipe(&mut previous);
    true
}

/// A short padded message that follows a key block. It holds no secret.
struct Message {
    blocks: [Block; Self::MAX_BLOCKS],
    used: usize,
}

impl Message {
    /// The number of blocks for an HkdfLabel of 2 + 1 + 255 + 1 + 32 bytes, a counter and padding.
    const MAX_BLOCKS: usize = 5;

    fn new<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Option<Self> {
        let mut message = Self {
            blocks: Default::default(),
            used: 0,
        };
        let mut free = message.blocks.iter_mut();
        let mut block = free.next()?;
        let (mut used, mut blocks, mut total) = (0usize, 1usize, BLOCK_LEN);
        for part in parts {
            total = total.saturating_add(part.len());
            let mut rest = part;
            loop {
                let taken = fill(block, used, rest);
                rest = rest.get(taken..).unwrap_or_default();
                used = used.saturating_add(taken);
                if used < BLOCK_LEN {
                    break;
                }
                block = free.next()?;
                blocks = blocks.saturating_add(1);
                used = 0;
            }
        }
        if let Some(first) = block.get_mut(used) {
            *first = 0x80;
        }
        if used >= BLOCK_LEN.saturating_sub(8) {
            block = free.next()?;
            blocks = blocks.saturating_add(1);
        }
        put_bit_length(block, total);
        message.used = blocks;
        Some(message)
    }

    fn blocks(&self) -> &[Block] {
        self.blocks.get(..self.used).unwrap_or_default()
    }
}

impl fmt::Debug for HmacSha256State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacSha256State(hidden)")
    }
}

impl Drop for HmacSha256State {
    fn drop(&mut self) {
        self.inner.fill(0);
        self.outer.fill(0);
        optimization_barrier(self);
    }
}

/// Returns the SHA-256 hash of `bytes`; intended for short inputs.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; LEN] {
    sha256_of_parts(&[bytes])
}

/// Returns the SHA-256 hash of the concatenated parts.
#[must_use]
pub fn sha256_of_parts(parts: &[&[u8]]) -> [u8; LEN] {
    digest(hash_parts(INITIAL, 0, parts))
}

/// A variant of [`hash`] that is not inlined, for callers that need small code rather than speed.
#[inline(never)]
fn hash_parts(state: [u32; 8], before: usize, parts: &[&[u8]]) -> [u32; 8] {
    hash(state, before, parts.iter().copied())
}

/// Hashes the concatenated parts, starting from a state that has absorbed `before` bytes in whole blocks.
#[inline]
fn hash<'p>(state: [u32; 8], before: usize, parts: impl IntoIterator<Item = &'p [u8]>) -> [u32; 8] {
    let mut hash = Sha256State {
        state,
        block: Block::default(),
        used: 0,
        total: before,
    };
    for part in parts {
        hash.absorb(part);
    }
    hash.pad_and_finish()
}

/// A SHA-256 state that has absorbed a part of its message.
#[derive(Clone)]
pub(crate) struct Sha256State {
    state: [u32; 8],
    block: Block,
    used: usize,
    total: usize,
}

impl Sha256State {
    #[cfg(any(feature = "authenticator", feature = "blessing"))]
    pub(crate) fn new() -> Self {
        Self {
            state: INITIAL,
            block: Block::default(),
            used: 0,
            total: 0,
        }
    }

    #[cfg(any(feature = "authenticator", feature = "blessing"))]
    #[inline(never)]
    pub(crate) fn update(&mut self, part: &[u8]) {
        self.absorb(part);
    }

    #[cfg(any(feature = "authenticator", feature = "blessing"))]
    pub(crate) fn finish(self) -> [u8; LEN] {
        digest(self.pad_and_finish())
    }

    #[inline]
    fn absorb(&mut self, part: &[u8]) {
        self.total = self.total.saturating_add(part.len());
        let mut rest = part;
        loop {
            let taken = fill(&mut self.block, self.used, rest);
            rest = rest.get(taken..).unwrap_or_default();
            self.used = self.used.saturating_add(taken);
            if self.used < BLOCK_LEN {
                break;
            }
            self.compress();
        }
    }

    #[inline]
    fn compress(&mut self) {
        compress256(&mut self.state, core::slice::from_ref(&self.block));
        self.block = Block::default();
        self.used = 0;
    }

    /// Appends the padding (FIPS 180-4 section 5.1.1) and returns the final state. The unused bytes of a block are always zero, so
    /// only the first bit and the length in bits are written.
    #[inline]
    fn pad_and_finish(mut self) -> [u32; 8] {
        if let Some(first) = self.block.get_mut(self.used) {
            *first = 0x80;
        }
        if self.used >= BLOCK_LEN.saturating_sub(8) {
            self.compress();
        }
        put_bit_length(&mut self.block, self.total);
        compress256(&mut self.state, core::slice::from_ref(&self.block));
        wipe(&mut self.block);
        self.state
    }
}

/// Writes the length in bits of a message of `total` bytes into its last block.
#[inline]
fn put_bit_length(block: &mut Block, total: usize) {
    if let Some(bits) = block.last_chunk_mut::<8>() {
        *bits = u64::try_from(total)
            .unwrap_or(u64::MAX)
            .wrapping_mul(8)
            .to_be_bytes();
    }
}

/// Copies from `bytes` to the block after its first `used` bytes. Returns the number of bytes that were copied.
#[inline]
fn fill(block: &mut Block, used: usize, bytes: &[u8]) -> usize {
    let room = block.get_mut(used..).unwrap_or_default();
    let len = room.len().min(bytes.len());
    if let (Some(to), Some(from)) = (room.get_mut(..len), bytes.get(..len)) {
        to.copy_from_slice(from);
    }
    len
}

#[inline]
fn digest(state: [u32; 8]) -> [u8; LEN] {
    let mut digest = [0; LEN];
    digest.copy_from_slice(state.map(u32::to_be_bytes).as_flattened());
    digest
}

/// The length of the outer message in bits: a key block of 64 bytes and a digest of 32 bytes.
const OUTER_BITS: u32 = 768;

/// The bit that marks the end of a message, as the first word of the padding.
const PADDING: u32 = 0x8000_0000;

/// The initial hash value of SHA-256 (FIPS 180-4 section 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, Mac};
    use sha2::Sha256;

    /// Compares messages of 0 to 299 bytes, in one part and in several, with the `hmac` crate.
    #[test]
    fn hmac_matches_the_hmac_crate() {
        let bytes: [u8; 300] = core::array::from_fn(|at| at.to_le_bytes()[0].wrapping_mul(7));
        for key_len in [0, 1, 31, 32, 63, 64, 65, 128, 300] {
            let key = &bytes[..key_len];
            for len in 0..300 {
                let mut expected = Hmac::<Sha256>::new_from_slice(key).unwrap();
                expected.update(&bytes[..len]);
                let expected = expected.finalize().into_bytes();
                let state = HmacSha256State::new(key);
                assert_eq!(state.mac([&bytes[..len]]), expected.as_slice());
                let (one, other) = bytes[..len].split_at(len / 3);
                assert_eq!(state.mac([one, &[], other]), expected.as_slice());
            }
        }
    }

    #[test]
    fn hkdf_expand_matches_the_hkdf_crate() {
        let prk = [0x5a; 32];
        let reference = hkdf::Hkdf::<Sha256>::from_prk(&prk).unwrap();
        for len in [1, 31, 32, 33, 64, 100, 8160] {
            let (mut expected, mut actual) = ([0; 8161], [0; 8161]);
            reference.expand(b"info", &mut expected[..len]).unwrap();
            assert!(hkdf_expand(&prk, [b"in", b"fo"], &mut actual[..len]));
            assert_eq!(actual, expected);
        }
        for len in 0..=291 {
            let info = [0xa5; 291];
            let (mut expected, mut actual) = ([0; 32], [0; 32]);
            reference.expand(&info[..len], &mut expected).unwrap();
            assert!(hkdf_expand(&prk, [&info[..len]], &mut actual));
            assert_eq!(actual, expected, "{len}");
        }
        assert!(!hkdf_expand(&prk, [b"info"], &mut [0; 8161]));
        assert!(!hkdf_expand(&prk, [&[0; 320]], &mut [0; 32]));
    }
}
