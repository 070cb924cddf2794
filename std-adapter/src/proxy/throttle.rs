use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A limit on lines of the log that say the same: a server that is down would fill it.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    /// The lines that were left out since then.
    left_out: u64,
}

/// The time between two lines.
const INTERVAL: Duration = Duration::from_secs(1);

impl Throttle {
    /// Returns the number of lines that were left out since the last one; `None` if this one is left out too.
    pub(super) fn pass(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = state
            .last
            .is_none_or(|last| now.saturating_duration_since(last) >= INTERVAL);
        if !is_due {
            state.left_out = state.left_out.saturating_add(1);
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_a_second_passes_and_counts_the_others() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let passed = [0, 1, 999, 1000, 1001, 5000]
            .map(|milliseconds| throttle.pass(start + Duration::from_millis(milliseconds)));
        assert_eq!(passed, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
