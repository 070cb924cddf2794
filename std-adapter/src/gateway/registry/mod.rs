//! The clients that a gateway knows by a key of its own.

#[cfg(feature = "database")]
mod database;
mod file;
mod key;
mod memory;
mod place;

#[cfg(feature = "database")]
pub use database::{DatabaseError, DatabaseRegistry, Device, KeySealer, SealError};
pub use file::RegistryFile;
pub use key::ClientKey;
pub use memory::{ClientTable, MemoryRegistry};
pub use place::Place;

use chanbind_core::otp::{ClientId, ClientIdError};
use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc};
use tokio::sync::watch;

/// A look-up, when it is done.
pub type LookUp<'a> =
    Pin<Box<dyn Future<Output = Result<ClientRecord, RegistryError>> + Send + 'a>>;

/// The clients of a gateway: a table in memory, a file, a database.
pub trait Registry: Send + Sync + 'static {
    /// Looks a client up. For an unknown or disabled one it gives [`ClientRecord::decoy`], after the same work: a stopwatch must not tell
    /// whether a client exists.
    ///
    /// # Errors
    /// In the future: [`RegistryError`] if the registry cannot be asked.
    fn find<'a>(&'a self, client: ClientId<'a>) -> LookUp<'a>;

    /// Returns a counter of changes. After each, the gateway looks the clients of its live connections up again.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Is told that a client has proved itself, once for each connection. Does nothing unless the registry keeps it.
    fn seen(&self, client: ClientId<'_>) {
        let _ = client;
    }
}

/// The entry of a client in a registry.
#[derive(Debug, Clone)]
pub struct ClientRecord {
    key: ClientKey,
    other: Option<ClientKey>,
    groups: Arc<[String]>,
    is_known: bool,
    revision: u64,
}

impl ClientRecord {
    /// Creates the record of a client. `revision` changes with the key.
    #[must_use]
    pub fn new(key: ClientKey, revision: u64) -> Self {
        Self {
            key,
            other: None,
            groups: Arc::default(),
            is_known: true,
            revision,
        }
    }

    /// Adds a second key that is valid too, while the client changes from one to the other.
    #[must_use]
    pub fn with_other_key(mut self, key: ClientKey) -> Self {
        self.other = Some(key);
        self
    }

    /// Creates the record of an unknown client, with a key whose holder takes as long to answer as a client's.
    #[must_use]
    pub fn decoy(key: ClientKey) -> Self {
        Self {
            key,
            other: None,
            groups: Arc::default(),
            is_known: false,
            revision: 0,
        }
    }

    /// Returns the client's key, or the decoy.
    #[must_use]
    pub fn key(&self) -> &ClientKey {
        &self.key
    }

    /// Adds the groups of the client.
    #[must_use]
    pub fn with_groups(mut self, groups: impl Into<Arc<[String]>>) -> Self {
        self.groups = groups.into();
        self
    }

    /// Returns the groups of the client.
    #[must_use]
    pub fn groups(&self) -> &Arc<[String]> {
        &self.groups
    }

    /// Returns the second key of a client that changes its key.
    #[must_use]
    pub fn other_key(&self) -> Option<&ClientKey> {
        self.other.as_ref()
    }

    /// Returns false for a decoy.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Returns the revision of the key: connections of a client whose revision changes are closed.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }
}

/// The error of reading a registry or looking a client up. No key appears in it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: String,
    },
    /// The text is not the TOML of a registry.
    #[error(
        "the registry cannot be read ({0}): each client needs a table [clients.NAME] of its own with hmac_sha256 = \"BASE64\", if need be enabled = false, and nothing else, as `chanbind provision` prints it"
    )]
    Toml(Place),
    /// There are no clients.
    #[error("the registry has no clients: add what `chanbind provision` prints")]
    Empty,
    /// A client id is invalid.
    #[error("client {id:?} in the registry: {error}")]
    ClientId {
        /// The id.
        id: String,
        /// The reason.
        error: ClientIdError,
    },
    /// Two clients have one id.
    #[error("client {id:?} stands twice in the registry: remove one of its entries")]
    Twice {
        /// The id.
        id: String,
    },
    /// A key is invalid.
    #[error(
        "the key of client {id:?} in the registry is empty or not base64: copy what `chanbind provision` printed"
    )]
    Key {
        /// The client.
        id: String,
    },
    /// The keys are of two kinds.
    #[error(
        "the registry mixes keys in software with keys in a TPM, or TPM keys with different parents or policies, which lets a stopwatch tell clients apart: use one kind"
    )]
    Mixed,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// The registry's storage cannot be asked.
    #[error("{0}")]
    Storage(String),
}
