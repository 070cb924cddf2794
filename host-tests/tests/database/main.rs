//! Registries in SQLite and in PostgreSQL, each with the same tests: the servers are the real ones.
#![cfg(test)]

mod administration;
mod gateways;

use chanbind::gateway::{DatabaseError, DatabaseRegistry, KeySealer};
use chanbind_host_tests::postgres::Postgres;
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;

/// An empty database.
enum Database {
    Sqlite(TempDir),
    Postgres(Postgres),
}

impl Database {
    /// One of each kind.
    fn both() -> [Self; 2] {
        [
            Self::Sqlite(tempfile::tempdir().unwrap()),
            Self::Postgres(Postgres::new()),
        ]
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => {
                format!("sqlite:{}", folder.path().join("fleet.db").display())
            }
            Self::Postgres(server) => server.url(),
        }
    }

    /// Opens a registry, as soon as the server answers.
    async fn open(&self) -> Arc<DatabaseRegistry> {
        for _ in 0..300 {
            match DatabaseRegistry::open(&self.url(), KeySealer::new(&[7; 32])).await {
                Err(DatabaseError::Database(_)) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                opened => return opened.unwrap(),
            }
        }
        panic!("the database does not answer")
    }
}

const KEY: &[u8] = b"a key with more than 16 bytes";
const OTHER_KEY: &[u8] = b"another key with more than 16 bytes";
