use chanbind_core::mutual::StoredCredential;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// A look-up of a user, when it is done.
pub type UserLookUp<'a> =
    Pin<Box<dyn Future<Output = Result<Option<FoundUser>, UserStoreError>> + Send + 'a>>;

/// A user of a realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundUser {
    /// The value that the gateway stores of the password.
    pub credential: StoredCredential,
}

/// The users of a realm: a table in memory, a file, a database.
pub trait UserStore: Send + Sync + 'static {
    /// Looks a user up; `None` for an unknown or disabled one. A look-up should take as long for both.
    ///
    /// # Errors
    /// In the future: [`UserStoreError`] if the store cannot be asked.
    fn find<'a>(&'a self, user: &'a str) -> UserLookUp<'a>;

    /// Returns a counter of changes. After each, the gateway looks up the users of its sessions again.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// The error of reading users or looking one up. No credential appears in it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum UserStoreError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// The reason.
        error: String,
    },
    /// The text is not the TOML of users.
    #[error(
        "line {line}: the users cannot be read: each needs a table [users.NAME] with credential = \"mutual1:...\", if need be enabled = false, and nothing else, as `chanbind provision mutual` prints it"
    )]
    Toml {
        /// The line, counted from 1.
        line: usize,
    },
    /// There are no users.
    #[error("there are no users: add what `chanbind provision mutual` prints")]
    Empty,
    /// A credential is invalid.
    #[error("the credential of user {user:?} cannot be read: {error}")]
    Credential {
        /// The user.
        user: String,
        /// The reason.
        error: chanbind_core::mutual::MutualError,
    },
    /// Two users have one name.
    #[error("user {0:?} occurs twice: remove one of the entries")]
    Twice(String),
    /// The store cannot be asked.
    #[error("{0}")]
    Storage(String),
}

/// Users in memory.
pub struct UserTable {
    users: RwLock<HashMap<String, StoredCredential>>,
    changes: watch::Sender<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    users: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    credential: Zeroizing<String>,
    #[serde(default = "enabled")]
    enabled: bool,
}

fn enabled() -> bool {
    true
}

impl UserTable {
    /// Creates a table.
    ///
    /// # Errors
    /// [`UserStoreError::Twice`] if a name occurs twice.
    pub fn new(
        users: impl IntoIterator<Item = (String, StoredCredential)>,
    ) -> Result<Arc<Self>, UserStoreError> {
        let mut table = HashMap::new();
        for (name, credential) in users {
            if table.insert(name.clone(), credential).is_some() {
                return Err(UserStoreError::Twice(name));
            }
        }
        Ok(Arc::new(Self {
            users: RwLock::new(table),
            changes: watch::Sender::new(0),
        }))
    }

    /// Parses the TOML of a file of users: a table `[users.NAME]` for each, with `credential` as `chanbind provision mutual` prints it.
    ///
    /// # Errors
    /// [`UserStoreError`]
    pub fn from_toml(text: &str) -> Result<Arc<Self>, UserStoreError> {
        Self::new(parse(text)?)
    }

    /// Returns the text of the entry of a user.
    #[must_use]
    pub fn entry(user: &str, credential: &StoredCredential) -> String {
        let name = toml::Value::from(user);
        format!(
            "[users.{name}]\ncredential = \"{}\"\n",
            credential.to_text()
        )
    }

    /// Replaces all users. Sessions of users that are gone, disabled or have another password end.
    pub(super) fn replace(&self, users: Vec<(String, StoredCredential)>) {
        let mut table = self.users.write().unwrap_or_else(PoisonError::into_inner);
        *table = users.into_iter().collect();
        drop(table);
        self.changes
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// Sets or removes one user, whose sessions end unless the credential is the same.
    pub fn set(&self, user: &str, credential: Option<StoredCredential>) {
        let mut table = self.users.write().unwrap_or_else(PoisonError::into_inner);
        match credential {
            Some(credential) => table.insert(user.to_owned(), credential),
            None => table.remove(user),
        };
        drop(table);
        self.changes
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// Returns the number of users.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Returns true if there are no users.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

pub(super) fn parse(text: &str) -> Result<Vec<(String, StoredCredential)>, UserStoreError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or_default();
        UserStoreError::Toml {
            line: before.matches('\n').count() + 1,
        }
    })?;
    let enabled = file.users.into_iter().filter(|(_, entry)| entry.enabled);
    let users = enabled.map(
        |(user, entry)| match StoredCredential::parse(&entry.credential) {
            Ok(credential) => Ok((user, credential)),
            Err(error) => Err(UserStoreError::Credential { user, error }),
        },
    );
    users.collect()
}

impl UserStore for UserTable {
    fn find<'a>(&'a self, user: &'a str) -> UserLookUp<'a> {
        let table = self.users.read().unwrap_or_else(PoisonError::into_inner);
        let found = table.get(user).cloned();
        let found = found.map(|credential| FoundUser { credential });
        Box::pin(std::future::ready(Ok(found)))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl fmt::Debug for UserTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserTable({} users)", self.len())
    }
}
