/// The time to wait before the next attempt: twice as long after each failure, up to a limit, and each time up to a quarter less, so
/// that devices that failed together do not come back together.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    first: u32,
    longest: u32,
    next: u32,
}

impl Backoff {
    /// Creates a backoff from the time after the first failure and the longest time, in milliseconds.
    #[must_use]
    pub fn new(first: u32, longest: u32) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// Returns the milliseconds to wait now; `random` is any number.
    pub fn next(&mut self, random: u32) -> u32 {
        let pause = self.next.min(self.longest);
        self.next = pause.saturating_mul(2).max(1);
        // The remainder slightly prefers small numbers, which does no harm here.
        let less = random.checked_rem(pause >> 2).unwrap_or(0);
        pause.saturating_sub(less)
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_and_ends() {
        let mut backoff = Backoff::new(1_000, 10_000);
        let pauses = [(); 6].map(|()| backoff.next(0));
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
        backoff.reset();
        for random in [0, 1, 249, 250, u32::MAX] {
            let pause = backoff.next(random);
            assert!((750..=1_000).contains(&pause), "{pause}");
            backoff.reset();
        }
        let mut tiny = Backoff::new(1, 1);
        assert_eq!([tiny.next(7), tiny.next(7)], [1, 1]);
        let mut none = Backoff::new(0, 0);
        assert_eq!([none.next(7), none.next(7)], [0, 0]);
    }
}
