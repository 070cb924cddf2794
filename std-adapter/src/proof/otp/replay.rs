//! The token ids that were used on one connection.

use sha2::{Digest, Sha256};
use std::collections::{HashMap, hash_map::Entry};

/// The most ids that are remembered: a client that has used as many unexpired ones connects anew.
const MAX_REMEMBERED: usize = 4096;

#[derive(Default)]
pub(super) struct SeenTokens {
    /// Expiry by id.
    seen: HashMap<[u8; 16], u64>,
}

impl SeenTokens {
    /// Returns whether the id is new. It is remembered until its token has surely expired.
    pub(super) fn insert(&mut self, client: &str, id: &str, forget_at: u64, now: u64) -> bool {
        if self.seen.len() >= MAX_REMEMBERED {
            self.seen.retain(|_, end| *end > now);
        }
        if self.seen.len() >= MAX_REMEMBERED {
            return false;
        }
        // A client id has no zero byte.
        let hash = Sha256::new()
            .chain_update(client)
            .chain_update([0])
            .chain_update(id);
        let hash: [u8; 32] = hash.finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(&hash[..16]);
        match self.seen.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(forget_at);
                true
            }
            Entry::Occupied(mut end) => {
                // A second token with the same id must not shorten the time for which the id is remembered.
                let longest = forget_at.max(*end.get());
                end.insert(longest);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_and_memory_is_bounded() {
        let mut seen = SeenTokens::default();
        assert!(seen.insert("c", "a", 100, 0));
        assert!(!seen.insert("c", "a", 100, 0));
        assert!(seen.insert("d", "a", 100, 0));
        assert!(!seen.insert("c", "a", 1, 0));
        assert_eq!(seen.seen.values().min(), Some(&100));
        for number in 2..MAX_REMEMBERED {
            assert!(seen.insert("c", &number.to_string(), 100, 0));
        }
        assert!(!seen.insert("c", "one too many", 100, 99));
        assert!(seen.insert("c", "after the others expired", 300, 100));
        assert_eq!(seen.seen.len(), 1);
    }
}
