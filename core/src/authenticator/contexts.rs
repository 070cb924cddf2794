use super::{AuthenticateError, RequestError, ValidateError};
use crate::crypto::sha256;
use heapless::Vec;

/// The values of certificate_request_context that were used on a connection, stored as the first 16 bytes of their SHA-256
/// hashes. A context whose stored hash collides with that of a used one is rejected as used.
pub(super) struct Contexts<const N: usize> {
    used: Vec<[u8; 16], N>,
}

/// The reason why a context cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContextError {
    Used,
    Exhausted,
}

impl<const N: usize> Contexts<N> {
    pub(super) const fn new() -> Self {
        Self { used: Vec::new() }
    }

    pub(super) fn contains(&self, context: &[u8]) -> bool {
        self.used.contains(&digest(context))
    }

    /// Checks that the context can be added.
    pub(super) fn check(&self, context: &[u8]) -> Result<(), ContextError> {
        if self.contains(context) {
            Err(ContextError::Used)
        } else if self.used.is_full() {
            Err(ContextError::Exhausted)
        } else {
            Ok(())
        }
    }

    pub(super) fn add(&mut self, context: &[u8]) -> Result<(), ContextError> {
        self.check(context)?;
        let pushed = self.used.push(digest(context));
        pushed.map_err(|_| ContextError::Exhausted)
    }

    pub(super) fn left(&self) -> usize {
        N.saturating_sub(self.used.len())
    }
}

fn digest(context: &[u8]) -> [u8; 16] {
    let mut front = [0; 16];
    for (to, from) in front.iter_mut().zip(sha256(context)) {
        *to = from;
    }
    front
}

impl From<ContextError> for RequestError {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::Used => Self::ContextUsed,
            ContextError::Exhausted => Self::ContextsExhausted,
        }
    }
}

impl From<ContextError> for AuthenticateError {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::Used => Self::ContextUsed,
            ContextError::Exhausted => Self::ContextsExhausted,
        }
    }
}

impl From<ContextError> for ValidateError {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::Used => Self::ContextUsed,
            ContextError::Exhausted => Self::ContextsExhausted,
        }
    }
}
