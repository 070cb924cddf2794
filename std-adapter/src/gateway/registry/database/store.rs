//! The tables, in SQLite and in PostgreSQL. The statements are the same for both.

use super::DatabaseError;
use crate::clock;
use sqlx::{
    FromRow, PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use std::{collections::HashMap, fmt, str::FromStr, time::Duration};
use tokio::sync::Mutex;

/// A device in a registry, without its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The id.
    pub id: String,
    /// False if it is refused.
    pub enabled: bool,
    /// True while two keys are valid.
    pub is_rotating: bool,
    /// Its groups, in order.
    pub groups: Vec<String>,
    /// The time at which it was added, in seconds since 1970.
    pub created: u64,
    /// The time at which it last opened a connection, in seconds since 1970 and to about ten seconds.
    pub last_seen: Option<u64>,
}

#[derive(FromRow)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) enabled: bool,
    pub(super) revision: i64,
    pub(super) sealed_key: Vec<u8>,
    pub(super) other_sealed_key: Option<Vec<u8>>,
}

#[derive(FromRow)]
struct Listed {
    id: String,
    enabled: bool,
    is_rotating: bool,
    created: i64,
    last_seen: Option<i64>,
}

/// A database.
pub(super) enum Store {
    Sqlite {
        pool: SqlitePool,
        /// The number of changes that was seen last.
        changes: Mutex<Option<i64>>,
    },
    Postgres {
        pool: PgPool,
        listener: Mutex<Option<PgListener>>,
    },
}

/// The time in which a connection to the database must be there.
const ACQUIRE: Duration = Duration::from_secs(5);
/// The time between two looks at the number of changes in SQLite.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// The channel on which PostgreSQL tells of changes.
const CHANNEL: &str = "chanbind_device";

/// Calls `$call` with a pool of either database.
macro_rules! on {
    ($store:expr, $pool:ident => $call:expr) => {
        match $store {
            Store::Sqlite { pool: $pool, .. } => $call,
            Store::Postgres { pool: $pool, .. } => $call,
        }
    };
}

/// Executes a statement with these values, and returns whether it has changed a row.
macro_rules! has_changed {
    ($store:expr, $sql:literal, $($value:expr),*) => {
        on!($store, pool => {
            let query = sqlx::query($sql)$(.bind($value))*;
            query.execute(pool).await?.rows_affected() > 0
        })
    };
}

/// Puts a device into groups.
macro_rules! insert_groups {
    ($transaction:ident, $id:ident, $groups:ident) => {
        for group in $groups {
            sqlx::query(
                "INSERT INTO device_group (device, name) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            )
            .bind($id)
            .bind(*group)
            .execute(&mut *$transaction)
            .await?;
        }
    };
}

impl Store {
    pub(super) async fn open(url: &str) -> Result<Self, DatabaseError> {
        let invalid = || DatabaseError::Url(url.to_owned());
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url).map_err(|_| invalid())?;
            let options = options
                .create_if_missing(true)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(ACQUIRE);
            let pool = SqlitePoolOptions::new().acquire_timeout(ACQUIRE);
            let pool = pool.max_connections(4).connect_with(options).await?;
            let migrated = sqlx::migrate!("migrations/sqlite").run(&pool).await;
            migrated.map_err(|error| DatabaseError::Database(error.to_string()))?;
            let changes = Mutex::default();
            return Ok(Self::Sqlite { pool, changes });
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let options = PgConnectOptions::from_str(url).map_err(|_| invalid())?;
            let pool = PgPoolOptions::new().acquire_timeout(ACQUIRE);
            let pool = pool.max_connections(8).connect_with(options).await?;
            let migrated = sqlx::migrate!("migrations/postgres").run(&pool).await;
            migrated.map_err(|error| DatabaseError::Database(error.to_string()))?;
            let listener = Mutex::default();
            return Ok(Self::Postgres { pool, listener });
        }
        Err(invalid())
    }

    /// Returns any device.
    pub(super) async fn first(&self) -> Result<Option<Row>, DatabaseError> {
        const SQL: &str =
            "SELECT id, enabled, revision, sealed_key, other_sealed_key FROM device LIMIT 1";
        Ok(on!(self, pool => sqlx::query_as(SQL).fetch_optional(pool).await?))
    }

    pub(super) async fn find(&self, id: &str) -> Result<Option<Row>, DatabaseError> {
        const SQL: &str =
            "SELECT id, enabled, revision, sealed_key, other_sealed_key FROM device WHERE id = $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(id).fetch_optional(pool).await?))
    }

    /// Returns false if there is a device with this id.
    pub(super) async fn insert(
        &self,
        id: &str,
        sealed_key: &[u8],
        revision: i64,
        groups: &[&str],
    ) -> Result<bool, DatabaseError> {
        const SQL: &str = "INSERT INTO device (id, enabled, revision, sealed_key, created) VALUES ($1, TRUE, $2, $3, $4) ON CONFLICT DO NOTHING";
        let created = i64::try_from(clock::now()).unwrap_or(i64::MAX);
        on!(self, pool => {
            let mut transaction = pool.begin().await?;
            let query = sqlx::query(SQL).bind(id).bind(revision).bind(sealed_key).bind(created);
            if query.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            insert_groups!(transaction, id, groups);
            transaction.commit().await?;
        });
        Ok(true)
    }

    /// Makes another key the device's, beside the one that it has. Returns false if it is unknown or has two keys.
    pub(super) async fn begin_rotation(
        &self,
        id: &str,
        sealed_key: &[u8],
        revision: i64,
    ) -> Result<bool, DatabaseError> {
        Ok(has_changed!(
            self,
            "UPDATE device SET other_sealed_key = sealed_key, sealed_key = $2, revision = $3 WHERE id = $1 AND other_sealed_key IS NULL",
            id,
            sealed_key,
            revision
        ))
    }

    pub(super) async fn end_rotation(
        &self,
        id: &str,
        revision: i64,
    ) -> Result<bool, DatabaseError> {
        Ok(has_changed!(
            self,
            "UPDATE device SET other_sealed_key = NULL, revision = $2 WHERE id = $1",
            id,
            revision
        ))
    }

    pub(super) async fn set_enabled(
        &self,
        id: &str,
        enabled: bool,
        revision: i64,
    ) -> Result<bool, DatabaseError> {
        Ok(has_changed!(
            self,
            "UPDATE device SET enabled = $2, revision = $3 WHERE id = $1",
            id,
            enabled,
            revision
        ))
    }

    pub(super) async fn delete(&self, id: &str) -> Result<bool, DatabaseError> {
        Ok(has_changed!(self, "DELETE FROM device WHERE id = $1", id))
    }

    pub(super) async fn set_groups(
        &self,
        id: &str,
        groups: &[&str],
        revision: i64,
    ) -> Result<bool, DatabaseError> {
        const SQL: &str = "UPDATE device SET revision = $2 WHERE id = $1";
        on!(self, pool => {
            let mut transaction = pool.begin().await?;
            let query = sqlx::query(SQL).bind(id).bind(revision);
            if query.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            let query = sqlx::query("DELETE FROM device_group WHERE device = $1").bind(id);
            query.execute(&mut *transaction).await?;
            insert_groups!(transaction, id, groups);
            transaction.commit().await?;
        });
        Ok(true)
    }

    pub(super) async fn list(&self, after: &str, limit: u32) -> Result<Vec<Device>, DatabaseError> {
        const SQL: &str = "SELECT id, enabled, other_sealed_key IS NOT NULL AS is_rotating, created, last_seen FROM device WHERE id > $1 ORDER BY id LIMIT $2";
        let rows: Vec<Listed> = on!(self, pool => {
            sqlx::query_as(SQL).bind(after).bind(i64::from(limit)).fetch_all(pool).await?
        });
        let Some(last) = rows.last() else {
            return Ok(Vec::new());
        };
        const GROUPS: &str = "SELECT device, name FROM device_group WHERE device > $1 AND device <= $2 ORDER BY name";
        let groups: Vec<(String, String)> = on!(self, pool => {
            sqlx::query_as(GROUPS).bind(after).bind(&last.id).fetch_all(pool).await?
        });
        let mut groups_of = HashMap::<String, Vec<String>>::new();
        for (device, name) in groups {
            groups_of.entry(device).or_default().push(name);
        }
        let devices = rows.into_iter().map(|row| Device {
            groups: groups_of.remove(&row.id).unwrap_or_default(),
            id: row.id,
            enabled: row.enabled,
            is_rotating: row.is_rotating,
            created: u64::try_from(row.created).unwrap_or(0),
            last_seen: row.last_seen.and_then(|seen| u64::try_from(seen).ok()),
        });
        Ok(devices.collect())
    }

    /// Returns the groups of a device, in order.
    pub(super) async fn groups(&self, id: &str) -> Result<Vec<String>, DatabaseError> {
        const SQL: &str = "SELECT name FROM device_group WHERE device = $1 ORDER BY name";
        let groups: Vec<(String,)> = on!(self, pool => {
            sqlx::query_as(SQL).bind(id).fetch_all(pool).await?
        });
        Ok(groups.into_iter().map(|(name,)| name).collect())
    }

    /// Notes that devices have been seen now.
    pub(super) async fn set_seen(&self, ids: &[&str]) -> Result<(), DatabaseError> {
        const SQL: &str = "UPDATE device SET last_seen = $2 WHERE id = $1";
        let now = i64::try_from(clock::now()).unwrap_or(i64::MAX);
        on!(self, pool => {
            let mut transaction = pool.begin().await?;
            for id in ids {
                sqlx::query(SQL).bind(*id).bind(now).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// Waits for changes for about `limit`. Calls `changed` with the device that has changed, or with `None` if any may have.
    pub(super) async fn follow(
        &self,
        limit: Duration,
        changed: &(dyn Fn(Option<&str>) + Sync),
    ) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite { pool, changes } => {
                tokio::time::sleep(LOOK_INTERVAL.min(limit)).await;
                let (number,): (i64,) = sqlx::query_as("SELECT number FROM change_count")
                    .fetch_one(pool)
                    .await?;
                let last = changes.lock().await.replace(number);
                if last != Some(number) {
                    changed(None);
                }
            }
            Self::Postgres { pool, listener } => {
                let mut listener = listener.lock().await;
                let mut own = match listener.take() {
                    Some(own) => own,
                    None => {
                        let mut own = PgListener::connect_with(pool).await?;
                        own.listen(CHANNEL).await?;
                        // A change may have been missed before.
                        changed(None);
                        own
                    }
                };
                match tokio::time::timeout(limit, own.try_recv()).await {
                    Err(_) => {}
                    Ok(Ok(Some(notification))) => changed(Some(notification.payload())),
                    // The connection was lost, and with it whatever was told in the meantime.
                    Ok(Ok(None)) => changed(None),
                    Ok(Err(error)) => return Err(error.into()),
                }
                *listener = Some(own);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite { .. } => "SQLite",
            Self::Postgres { .. } => "PostgreSQL",
        })
    }
}
