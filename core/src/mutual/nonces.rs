/// The nonce numbers of a session that a server remembers, below the largest (RFC 8120 section 6).
pub const NONCE_WINDOW: u32 = 128;

/// The nonce numbers that a session has used: the largest, and which of the [`NONCE_WINDOW`] up to it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Nonces {
    largest: u32,
    /// Bit i stands for `largest - i`.
    used: u128,
}

impl Nonces {
    /// Returns true if the number was certainly not used before: it is in the window or above it, and its bit is not set.
    pub(super) fn is_new(&self, nc: u32) -> bool {
        match self.largest.checked_sub(nc) {
            None => true,
            Some(distance) => {
                let used = self.used.checked_shr(distance);
                used.is_some_and(|used| used & 1 == 0)
            }
        }
    }

    /// Marks the number as used.
    pub(super) fn mark(&mut self, nc: u32) {
        if let Some(advance) = nc.checked_sub(self.largest) {
            self.used = self.used.checked_shl(advance).unwrap_or(0) | 1;
            self.largest = nc;
        } else if let Some(bit) = 1_u128.checked_shl(self.largest.saturating_sub(nc)) {
            self.used |= bit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::collections::BTreeSet;

    /// The example of section 6: nc-max is 400, and the window 128.
    #[test]
    fn the_example_of_the_rfc_holds() {
        let mut nonces = Nonces::default();
        let used = (1..=120)
            .chain([122, 124])
            .chain(130..=238)
            .chain(255..=360)
            .chain(363..=372);
        for nc in used {
            assert!(nonces.is_new(nc), "{nc}");
            nonces.mark(nc);
        }
        let available: BTreeSet<u32> = (0..=400).filter(|nc| nonces.is_new(*nc)).collect();
        let expected = (245..=254).chain([361, 362]).chain(373..=400).collect();
        assert_eq!(available, expected);
    }

    /// Against a set, over numbers in an order that a fixed generator gives.
    #[test]
    fn no_number_is_new_twice() {
        let (mut nonces, mut set, mut state) = (Nonces::default(), BTreeSet::new(), 7_u64);
        let mut largest = 0;
        for _ in 0..100_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let below = |bound: u64| u32::try_from((state >> 30) % bound).unwrap();
            let nc = match state >> 60 {
                0 => below(1_000_000),
                1..8 => largest + below(3),
                _ => (largest + 10_u32).saturating_sub(below(160)),
            };
            let is_in_window = nc + NONCE_WINDOW > largest;
            assert_eq!(
                nonces.is_new(nc),
                is_in_window && !set.contains(&nc),
                "{nc} of {largest}"
            );
            if nonces.is_new(nc) {
                nonces.mark(nc);
                set.insert(nc);
                largest = largest.max(nc);
            }
        }
        assert!(set.len() > 10_000);
    }

    #[test]
    fn the_ends_of_the_range_are_numbers_too() {
        let mut nonces = Nonces::default();
        assert!(nonces.is_new(0));
        nonces.mark(0);
        assert!(!nonces.is_new(0));
        nonces.mark(u32::MAX);
        assert!(!nonces.is_new(u32::MAX));
        assert!(!nonces.is_new(u32::MAX - NONCE_WINDOW));
        assert!(nonces.is_new(u32::MAX - NONCE_WINDOW + 1));
    }
}
