//! A registry in a database.

mod seal;
mod store;

pub use seal::{KeySealer, SealError};
pub use store::Device;

use super::{ClientKey, ClientRecord, LookUp, Registry, RegistryError};
use chanbind_core::otp::ClientId;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use store::{Row, Store};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// A registry in SQLite or PostgreSQL, with which any number of gateways work, and whose keys are encrypted.
///
/// Gateways keep what they have looked up for up to 30 seconds, and learn of changes while [`DatabaseRegistry::follow`] runs: within a second,
/// connections of a device that has been disabled, removed or given other keys are closed. While the database cannot be reached, devices that were
/// looked up lately are admitted, and others are refused as unknown ones are.
///
/// ```no_run
/// use chanbind::gateway::{DatabaseRegistry, KeySealer};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let sealer = KeySealer::from_file("registry.key".as_ref())?;
/// let registry = DatabaseRegistry::open("sqlite:fleet.db", sealer).await?;
/// registry.add("pump7", &[7; 32], &["line3"]).await?;
/// tokio::spawn(std::sync::Arc::clone(&registry).follow());
/// # Ok(())
/// # }
/// ```
pub struct DatabaseRegistry {
    store: Store,
    sealer: KeySealer,
    decoy: ClientKey,
    cache: Mutex<HashMap<Box<str>, Cached>>,
    changes: watch::Sender<u64>,
    /// The devices that have been seen and not been written down yet.
    seen: Mutex<HashSet<Box<str>>>,
}

struct Cached {
    record: ClientRecord,
    since: Instant,
}

/// The time for which a look-up is good.
const MAX_AGE: Duration = Duration::from_secs(30);
/// The look-ups that are kept.
const MAX_CACHED: usize = 100_000;
/// The time between two writings of the devices that have been seen.
const SEEN_INTERVAL: Duration = Duration::from_secs(10);
/// The pause after the database could not be followed.
const RETRY: Duration = Duration::from_secs(1);

/// The error of a registry in a database. No key appears in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The URL names no database.
    #[error("{0:?} names no database: write sqlite:path/of/file or postgres://user@host/database")]
    Url(String),
    /// The database failed.
    #[error("the database of the registry: {0}")]
    Database(String),
    /// A key cannot be decrypted.
    #[error("the keys of the registry: {0}")]
    Seal(#[from] SealError),
    /// The device id is invalid.
    #[error("device {id:?}: {error}")]
    Id {
        /// The id.
        id: String,
        /// The reason.
        error: chanbind_core::otp::ClientIdError,
    },
    /// The key is too short.
    #[error("the key of device {0:?} has less than 16 bytes: give at least 32")]
    Key(String),
    /// There is a device with this id.
    #[error("device {0:?} is in the registry already: rotate its key, or remove it first")]
    Exists(String),
    /// There is no device with this id.
    #[error("device {0:?} is not in the registry")]
    Unknown(String),
    /// The device is changing its key already.
    #[error("device {0:?} is changing its key already: finish that first")]
    Rotating(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.to_string())
    }
}

impl DatabaseRegistry {
    /// Opens a registry, and creates it if it does not exist: `sqlite:path/of/file`, or `postgres://user@host/database` as PostgreSQL's own programs
    /// take it.
    ///
    /// # Errors
    /// [`DatabaseError`]: also if the keys in it are encrypted with another key.
    pub async fn open(url: &str, sealer: KeySealer) -> Result<Arc<Self>, DatabaseError> {
        let store = Store::open(url).await?;
        if let Some(row) = store.first().await? {
            sealer.open(&row.id, &row.sealed_key)?;
        }
        let mut decoy = Zeroizing::new([0; 32]);
        getrandom::fill(decoy.as_mut_slice())
            .map_err(|error| DatabaseError::Random(error.to_string()))?;
        Ok(Arc::new(Self {
            store,
            sealer,
            decoy: ClientKey::secret(decoy.as_slice()),
            cache: Mutex::default(),
            changes: watch::Sender::new(0),
            seen: Mutex::default(),
        }))
    }

    /// Adds a device with its HMAC-SHA256 key.
    ///
    /// # Errors
    /// [`DatabaseError::Exists`], [`DatabaseError::Id`], [`DatabaseError::Key`], or that of the database.
    pub async fn add(&self, id: &str, key: &[u8], groups: &[&str]) -> Result<(), DatabaseError> {
        let sealed = self.sealed(id, key)?;
        if !self.store.insert(id, &sealed, revision()?, groups).await? {
            return Err(DatabaseError::Exists(id.to_owned()));
        }
        Ok(())
    }

    /// Gives a device another key. The one that it has stays valid until [`DatabaseRegistry::finish_rotation`].
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`], [`DatabaseError::Rotating`], [`DatabaseError::Key`], or that of the database.
    pub async fn rotate(&self, id: &str, key: &[u8]) -> Result<(), DatabaseError> {
        let sealed = self.sealed(id, key)?;
        if self.store.begin_rotation(id, &sealed, revision()?).await? {
            return Ok(());
        }
        match self.store.find(id).await? {
            Some(_) => Err(DatabaseError::Rotating(id.to_owned())),
            None => Err(DatabaseError::Unknown(id.to_owned())),
        }
    }

    /// Ends the change of a device's key: the old one is valid no more. Does nothing if it is not changing its key.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`], or that of the database.
    pub async fn finish_rotation(&self, id: &str) -> Result<(), DatabaseError> {
        self.known(id, self.store.end_rotation(id, revision()?).await?)
    }

    /// Enables or disables a device. A disabled one is refused as an unknown one is.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`], or that of the database.
    pub async fn set_enabled(&self, id: &str, enabled: bool) -> Result<(), DatabaseError> {
        self.known(id, self.store.set_enabled(id, enabled, revision()?).await?)
    }

    /// Removes a device.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`], or that of the database.
    pub async fn remove(&self, id: &str) -> Result<(), DatabaseError> {
        self.known(id, self.store.delete(id).await?)
    }

    /// Sets the groups of a device.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`], or that of the database.
    pub async fn set_groups(&self, id: &str, groups: &[&str]) -> Result<(), DatabaseError> {
        self.known(id, self.store.set_groups(id, groups, revision()?).await?)
    }

    /// Returns devices in the order of their ids: those behind `after`, `limit` at most.
    ///
    /// # Errors
    /// That of the database.
    pub async fn list(&self, after: &str, limit: u32) -> Result<Vec<Device>, DatabaseError> {
        self.store.list(after, limit).await
    }

    /// Returns the keys of a device: the one that is to stay first, and during a rotation the other one.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`], [`DatabaseError::Seal`], or that of the database.
    pub async fn keys(&self, id: &str) -> Result<Vec<Zeroizing<Vec<u8>>>, DatabaseError> {
        let row = self.store.find(id).await?;
        let row = row.ok_or_else(|| DatabaseError::Unknown(id.to_owned()))?;
        let sealed = std::iter::once(&row.sealed_key).chain(&row.other_sealed_key);
        let opened = sealed.map(|sealed| self.sealer.open(&row.id, sealed));
        Ok(opened.collect::<Result<_, _>>()?)
    }

    /// Learns of changes in the database, and writes down which devices have been seen, until the future is dropped or nothing else holds the
    /// registry. Failures are logged, and end with the database's.
    pub async fn follow(self: Arc<Self>) {
        let registry = Arc::downgrade(&self);
        drop(self);
        let mut wrote = Instant::now();
        while let Some(this) = registry.upgrade() {
            let followed = this.store.follow(RETRY, &|id| this.forget(id)).await;
            if let Err(error) = followed {
                tracing::error!(%error, "the registry cannot be followed: trying again");
                // A change may have been missed.
                this.forget(None);
                tokio::time::sleep(RETRY).await;
            }
            if wrote.elapsed() >= SEEN_INTERVAL {
                wrote = Instant::now();
                this.write_seen().await;
            }
        }
    }

    /// Writes down which devices have been seen.
    pub async fn write_seen(&self) {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        if seen.is_empty() {
            return;
        }
        let ids: Vec<&str> = seen.iter().map(|id| &**id).collect();
        if let Err(error) = self.store.set_seen(&ids).await {
            tracing::warn!(%error, "it could not be written down which devices have been seen");
        }
    }

    /// Forgets the look-up of a device, or all, and has the connections of devices checked again.
    fn forget(&self, id: Option<&str>) {
        // Under the lock, so that a look-up from before is not kept after it.
        let mut cache = self.cache();
        match id {
            Some(id) => {
                cache.remove(id);
            }
            None => cache.clear(),
        }
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    fn known(&self, id: &str, was_there: bool) -> Result<(), DatabaseError> {
        if was_there {
            return Ok(());
        }
        Err(DatabaseError::Unknown(id.to_owned()))
    }

    fn sealed(&self, id: &str, key: &[u8]) -> Result<Vec<u8>, DatabaseError> {
        if let Err(error) = ClientId::new(id) {
            let id = id.to_owned();
            return Err(DatabaseError::Id { id, error });
        }
        if key.len() < 16 {
            return Err(DatabaseError::Key(id.to_owned()));
        }
        Ok(self.sealer.seal(id, key)?)
    }

    fn cached(&self, id: &str) -> Option<ClientRecord> {
        let cache = self.cache();
        let cached = cache.get(id)?;
        (cached.since.elapsed() < MAX_AGE).then(|| cached.record.clone())
    }

    async fn look_up(&self, id: &str) -> Result<ClientRecord, RegistryError> {
        if let Some(record) = self.cached(id) {
            return Ok(record);
        }
        let since = Instant::now();
        let changes = self.changes.subscribe();
        let row = self.store.find(id).await;
        let row = row.map_err(|error| RegistryError::Storage(error.to_string()))?;
        let storage = |error: &dyn fmt::Display| RegistryError::Storage(error.to_string());
        // The same work for unknown and disabled devices: a stopwatch must not tell them from others.
        let groups = self.store.groups(id).await;
        let groups = groups.map_err(|error| storage(&error))?;
        let record = match row.filter(|row| row.enabled) {
            Some(row) => {
                let record = self.record(&row).map_err(|error| storage(&error))?;
                record.with_groups(groups)
            }
            None => ClientRecord::decoy(self.decoy.clone()),
        };
        let mut cache = self.cache();
        // The row may be from before a change.
        if !changes.has_changed().unwrap_or(true) {
            if cache.len() >= MAX_CACHED {
                cache.clear();
            }
            let record = record.clone();
            cache.insert(id.into(), Cached { record, since });
        }
        Ok(record)
    }

    fn record(&self, row: &Row) -> Result<ClientRecord, SealError> {
        let key = |sealed: &[u8]| {
            let key = self.sealer.open(&row.id, sealed)?;
            Ok::<_, SealError>(ClientKey::secret(&key))
        };
        let revision = row.revision.cast_unsigned();
        let record = ClientRecord::new(key(&row.sealed_key)?, revision);
        Ok(match &row.other_sealed_key {
            Some(other) => record.with_other_key(key(other)?),
            None => record,
        })
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<Box<str>, Cached>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a new revision.
fn revision() -> Result<i64, DatabaseError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| DatabaseError::Random(error.to_string()))?;
    Ok(i64::from_le_bytes(bytes))
}

impl Registry for DatabaseRegistry {
    fn find<'a>(&'a self, client: ClientId<'a>) -> LookUp<'a> {
        Box::pin(self.look_up(client.as_str()))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn seen(&self, client: ClientId<'_>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MAX_CACHED {
            seen.insert(client.as_str().into());
        }
    }
}

impl fmt::Debug for DatabaseRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseRegistry({:?})", self.store)
    }
}
