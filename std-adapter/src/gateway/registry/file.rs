use super::{ClientTable, LookUp, MemoryRegistry, Registry, RegistryError};
use crate::file_stamp::{FOLLOW_INTERVAL, FileStamp};
use chanbind_core::otp::ClientId;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// A registry in a TOML file. It is read again when it changes while [`RegistryFile::follow`] runs, and at each [`RegistryFile::reload`].
///
/// ```no_run
/// # fn example() -> Result<(), chanbind::gateway::RegistryError> {
/// let registry = chanbind::gateway::RegistryFile::open("registry.toml".as_ref())?;
/// tokio::spawn(std::sync::Arc::clone(&registry).follow());
/// # Ok(())
/// # }
/// ```
pub struct RegistryFile {
    path: PathBuf,
    registry: Arc<MemoryRegistry>,
    /// The state of the file when it was last read.
    read: Mutex<Option<FileStamp>>,
}

impl RegistryFile {
    /// Reads a registry. See [`ClientTable`] for the format.
    ///
    /// # Errors
    /// [`RegistryError`]: if the file cannot be read or parsed, and [`RegistryError::Empty`] if it has no clients.
    pub fn open(path: &Path) -> Result<Arc<Self>, RegistryError> {
        let stamp = FileStamp::of(path);
        let table = read(path)?;
        if table.is_empty() {
            return Err(RegistryError::Empty);
        }
        Ok(Arc::new(Self {
            path: path.to_owned(),
            registry: MemoryRegistry::new(table),
            read: Mutex::new(stamp),
        }))
    }

    /// Reads the file again. Live connections of clients that are gone, disabled or changed are closed. If the file cannot be read, all
    /// stays as it is.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub fn reload(&self) -> Result<(), RegistryError> {
        // Locked up to the end, so that of two calls the later one has read the later contents.
        let mut read_stamp = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        *read_stamp = FileStamp::of(&self.path);
        let table = read(&self.path)?;
        tracing::info!(path = %self.path.display(), clients = table.len(), "registry read");
        self.registry.replace(table);
        Ok(())
    }

    /// Reads the file again whenever it changes, until the future is dropped or nothing else holds the registry. The file is looked at
    /// every second. Errors are logged, and all stays as it is.
    pub async fn follow(self: Arc<Self>) {
        let registry = Arc::downgrade(&self);
        drop(self);
        loop {
            tokio::time::sleep(FOLLOW_INTERVAL).await;
            let Some(this) = registry.upgrade() else {
                return;
            };
            let before = *this.read.lock().unwrap_or_else(PoisonError::into_inner);
            if FileStamp::of(&this.path) != before
                && let Err(error) = this.reload()
            {
                tracing::error!(%error, "the registry changed and cannot be read: the clients stay as they were");
            }
        }
    }

    /// Returns the table as it was last read.
    #[must_use]
    pub fn table(&self) -> Arc<ClientTable> {
        self.registry.table()
    }
}

fn read(path: &Path) -> Result<ClientTable, RegistryError> {
    let failed = |error: &dyn fmt::Display| RegistryError::File {
        path: path.to_owned(),
        error: error.to_string(),
    };
    let bytes = Zeroizing::new(fs::read(path).map_err(|error| failed(&error))?);
    let text = str::from_utf8(&bytes).map_err(|error| failed(&error))?;
    ClientTable::from_toml(text).map_err(|error| failed(&error))
}

impl Registry for RegistryFile {
    fn find<'a>(&'a self, client: ClientId<'a>) -> LookUp<'a> {
        self.registry.find(client)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.registry.changes()
    }
}

impl fmt::Debug for RegistryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RegistryFile({}, {:?})",
            self.path.display(),
            self.table()
        )
    }
}
