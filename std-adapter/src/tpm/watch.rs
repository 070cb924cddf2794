//! The time limit of the command that runs.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The command that runs and its deadline.
#[derive(Clone)]
pub(super) struct Watch {
    now: Arc<Mutex<(Instant, &'static str)>>,
    at_most: Option<Duration>,
}

impl Watch {
    /// Creates a watch. `at_most` is an upper bound on every command's time limit.
    pub(super) fn new(at_most: Option<Duration>) -> Self {
        Self {
            now: Arc::new(Mutex::new((Instant::now(), JOB))),
            at_most,
        }
    }

    /// Records that a command begins, and sets its deadline.
    pub(super) fn begin(&self, command: &'static str) {
        let end = Instant::now() + self.limit(command);
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = (end, command);
    }

    /// Returns the time limit of a command.
    pub(super) fn limit(&self, command: &str) -> Duration {
        let limit = match command {
            // Some chips take that long to create an RSA key; other keys take far less.
            "TPM2_CreatePrimary" | "TPM2_Create" => Duration::from_secs(300),
            CONNECT => Duration::from_secs(15),
            // A resource manager may run another program's command first.
            _ => Duration::from_secs(60),
        };
        self.at_most.map_or(limit, |at_most| limit.min(at_most))
    }

    /// Returns the time to wait until the deadline has passed.
    pub(super) fn remaining(&self) -> Duration {
        let (end, _) = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
        // One millisecond more, so that the deadline has passed when the wait ends.
        end.saturating_duration_since(Instant::now()) + Duration::from_millis(1)
    }

    /// Returns the command if its deadline has passed.
    pub(super) fn overdue(&self) -> Option<&'static str> {
        let (end, command) = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
        (Instant::now() >= end).then_some(command)
    }
}

/// The name under which connecting and the commands that belong to it are limited and reported.
pub(super) const CONNECT: &str = "connecting";
/// The name for a job that has not begun a command.
pub(super) const JOB: &str = "the TPM software stack";
