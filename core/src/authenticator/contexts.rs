use super::{AuthenticateError, RequestError, ValidateError};
use crate::crypto::sha256;

/// The values of certificate_request_context that were used on a connection, as the front halves of their SHA-256: two that share one
/// are taken for the same, and the second is refused.
pub(super) struct Contexts<const N: usize> {
    used: [[u8; 16]; N],
    len: usize,
}

/// Why a context cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContextError {
    Used,
    NoRoom,
}

impl<const N: usize> Contexts<N> {
    pub(super) const fn new() -> Self {
        Self {
            used: [[0; 16]; N],
            len: 0,
        }
    }

    pub(super) fn has(&self, context: &[u8]) -> bool {
        let digest = digest(context);
        self.used.iter().take(self.len).any(|used| *used == digest)
    }

    /// Whether it could be added.
    pub(super) fn check(&self, context: &[u8]) -> Result<(), ContextError> {
        if self.has(context) {
            Err(ContextError::Used)
        } else if self.len >= N {
            Err(ContextError::NoRoom)
        } else {
            Ok(())
        }
    }

    pub(super) fn add(&mut self, context: &[u8]) -> Result<(), ContextError> {
        self.check(context)?;
        if let Some(free) = self.used.get_mut(self.len) {
            *free = digest(context);
            self.len = self.len.saturating_add(1);
        }
        Ok(())
    }

    pub(super) fn left(&self) -> usize {
        N.saturating_sub(self.len)
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
    fn from(spent: ContextError) -> Self {
        match spent {
            ContextError::Used => Self::ContextUsed,
            ContextError::NoRoom => Self::ContextsExhausted,
        }
    }
}

impl From<ContextError> for AuthenticateError {
    fn from(spent: ContextError) -> Self {
        match spent {
            ContextError::Used => Self::ContextUsed,
            ContextError::NoRoom => Self::ContextsExhausted,
        }
    }
}

impl From<ContextError> for ValidateError {
    fn from(spent: ContextError) -> Self {
        match spent {
            ContextError::Used => Self::ContextUsed,
            ContextError::NoRoom => Self::ContextsExhausted,
        }
    }
}
