use super::{UserLookUp, UserStore, UserStoreError, UserTable, users};
use crate::file_stamp::{FOLLOW_INTERVAL, FileStamp};
use chanbind_core::mutual::StoredCredential;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// Users in a TOML file, as `chanbind provision mutual` prints its entries. It is read again when it changes while [`UserFile::follow`] runs, and
/// at each [`UserFile::reload`].
pub struct UserFile {
    path: PathBuf,
    table: Arc<UserTable>,
    /// The state of the file when it was last read.
    read: Mutex<Option<FileStamp>>,
}

impl UserFile {
    /// Reads the users.
    ///
    /// # Errors
    /// [`UserStoreError`]: if the file cannot be read or parsed, and [`UserStoreError::Empty`] if it has no users.
    pub fn open(path: &Path) -> Result<Arc<Self>, UserStoreError> {
        let stamp = FileStamp::of(path);
        let users = read(path)?;
        if users.is_empty() {
            return Err(UserStoreError::Empty);
        }
        Ok(Arc::new(Self {
            path: path.to_owned(),
            table: UserTable::new(users)?,
            read: Mutex::new(stamp),
        }))
    }

    /// Reads the file again. Sessions of users that are gone, disabled or have another password end. If the file cannot be read, all stays as
    /// it is.
    ///
    /// # Errors
    /// [`UserStoreError`]
    pub fn reload(&self) -> Result<(), UserStoreError> {
        // Locked up to the end, so that of two calls the later one has read the later contents.
        let mut stamp = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        *stamp = FileStamp::of(&self.path);
        let users = read(&self.path)?;
        tracing::info!(path = %self.path.display(), users = users.len(), "users read");
        self.table.replace(users);
        Ok(())
    }

    /// Reads the file again whenever it changes, until the future is dropped or nothing else holds the users. The file is looked at every
    /// second. Errors are logged, and all stays as it is.
    pub async fn follow(self: Arc<Self>) {
        let users = Arc::downgrade(&self);
        drop(self);
        loop {
            tokio::time::sleep(FOLLOW_INTERVAL).await;
            let Some(this) = users.upgrade() else {
                return;
            };
            let before = *this.read.lock().unwrap_or_else(PoisonError::into_inner);
            if FileStamp::of(&this.path) != before
                && let Err(error) = this.reload()
            {
                tracing::error!(%error, "the users changed and cannot be read: they stay as they were");
            }
        }
    }

    /// Returns the number of users.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns true if there are no users.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

fn read(path: &Path) -> Result<Vec<(String, StoredCredential)>, UserStoreError> {
    let failed = |error: &dyn fmt::Display| UserStoreError::File {
        path: path.display().to_string(),
        error: error.to_string(),
    };
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    let text = Zeroizing::new(text);
    users::parse(&text).map_err(|error| failed(&error))
}

impl UserStore for UserFile {
    fn find<'a>(&'a self, user: &'a str) -> UserLookUp<'a> {
        self.table.find(user)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.table.changes()
    }
}

impl fmt::Debug for UserFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserFile({}, {} users)", self.path.display(), self.len())
    }
}
