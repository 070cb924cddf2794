use super::Form;
use std::{fmt, sync::Arc};

/// The details of a client that proved itself by a one-time password; see [`Identity::details`](crate::proof::Identity::details).
#[derive(Clone, PartialEq, Eq)]
pub struct Details {
    form: Form,
    payload: Option<Arc<[u8]>>,
}

impl Details {
    pub(super) fn new(form: Form, payload: Option<Arc<[u8]>>) -> Self {
        Self { form, payload }
    }

    /// Returns the form of the password.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// Returns the payload of the token, JSON; `None` for an API key.
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Details({})", self.form)
    }
}
