use super::sessions::Entry;
use chanbind_core::mutual::{HostValidation, SecretNumber, Validation};
use std::{fmt, sync::Arc};

/// The details of a user that proved itself by HTTP Mutual authentication; see [`Identity::details`](crate::proof::Identity::details).
#[derive(Clone)]
pub struct Details {
    pub(super) entry: Arc<Entry>,
    pub(super) realm: Arc<str>,
    pub(super) validation: HostValidation,
}

impl Details {
    /// Returns the name of the realm.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Returns the method by which the proof is bound to its connection.
    #[must_use]
    pub fn validation(&self) -> Validation {
        self.validation.method()
    }

    /// Returns b_1 of RFC 8120 section 13: a secret that this user's client and the gateway share for the session and the connection. `t` is the
    /// application's own. `None` if a nonce number was used twice, which ends a session at once; one that expires or whose user is removed ends with
    /// its next request.
    #[must_use]
    pub fn session_binding(&self, t: &[u8]) -> Option<SecretNumber> {
        self.entry.lock().session_binding(&self.validation, t)
    }
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Details({:?}, {})", self.realm, self.validation())
    }
}
