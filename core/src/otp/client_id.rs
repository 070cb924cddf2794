use super::{ClientId, ClientIdError};
use core::fmt;

/// A client id together with its text, in an `Arc<str>` or a `heapless::String` for example. It is checked once, when it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientIdBuf<S>(S);

impl<S: AsRef<str>> ClientIdBuf<S> {
    /// Checks a client id.
    ///
    /// # Errors
    /// As [`ClientId::new`].
    pub fn new(text: S) -> Result<Self, ClientIdError> {
        ClientId::new(text.as_ref())?;
        Ok(Self(text))
    }

    /// Returns the id for functions that take one.
    #[must_use]
    pub fn as_client_id(&self) -> ClientId<'_> {
        ClientId(self.0.as_ref())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// Returns the text in its container.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.0
    }
}

impl<'a> ClientId<'a> {
    /// Copies the text into a container of its own.
    #[must_use]
    pub fn to_buf<S: AsRef<str> + From<&'a str>>(self) -> ClientIdBuf<S> {
        ClientIdBuf(S::from(self.0))
    }
}

impl<'a> From<ClientId<'a>> for ClientIdBuf<&'a str> {
    fn from(id: ClientId<'a>) -> Self {
        Self(id.as_str())
    }
}

impl<S: AsRef<str>> fmt::Display for ClientIdBuf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
