//! The command `registry`, which keeps the devices of a database.

mod entries;
mod export;
mod import;
mod key;

pub(crate) use key::sealer;

use crate::failure::Failure;
use chanbind::gateway::DatabaseRegistry;
use clap::{Args, Subcommand};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// Keep the devices of gateways in a database.
///
/// The database is a file of SQLite for one gateway, or PostgreSQL for any number of them. The keys in it are encrypted with a key of its own, which
/// `chanbind registry create-key` writes. Gateways that run see every change at once: connections of a device that is disabled are closed.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind registry create-key registry.key\n  export CHANBIND_DATABASE=sqlite:fleet.db CHANBIND_DATABASE_KEY=registry.key\n  chanbind provision otp --client-id pump7 --out pump7.pem | chanbind registry import -\n  chanbind registry disable pump7"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

/// The database.
#[derive(Args)]
struct Database {
    /// The database: sqlite:path/of/file, or postgres://user@host/database.
    #[arg(
        long,
        value_name = "URL",
        env = "CHANBIND_DATABASE",
        hide_env_values = true
    )]
    database: String,

    /// The file with the key that encrypts the keys in it. CHANBIND_TCTI names the TPM if the key is in one.
    #[arg(long, value_name = "FILE", env = "CHANBIND_DATABASE_KEY")]
    database_key: PathBuf,
}

/// One device.
#[derive(Args)]
struct One {
    /// The device.
    id: String,

    #[command(flatten)]
    database: Database,
}

#[derive(Subcommand)]
enum Verb {
    /// Create a key file for a new registry. Keep a copy apart from that of the database.
    CreateKey {
        /// The new file.
        file: PathBuf,

        /// Create the key inside the TPM, which it never leaves: the database can be read with this TPM alone. CHANBIND_TCTI names the TPM.
        #[arg(long)]
        in_tpm: bool,
    },
    Import(import::Arguments),
    Export(export::Arguments),
    /// List the devices, with their groups and the times at which they were seen.
    List(Database),
    /// Admit devices again.
    Enable {
        /// The devices.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        database: Database,
    },
    /// Refuse devices, and close their connections.
    Disable {
        /// The devices.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        database: Database,
    },
    /// Remove a device with its keys.
    Remove(One),
    /// End the change of a device's key, which `import --rotate` began: the old key is valid no more.
    FinishRotation(One),
    /// Set the groups of a device.
    SetGroups {
        /// The device.
        id: String,
        /// The groups; none if left out.
        groups: Vec<String>,
        #[command(flatten)]
        database: Database,
    },
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.verb {
        Verb::CreateKey { file, in_tpm } => key::create(&file, in_tpm).await?,
        Verb::Import(arguments) => return import::run(arguments).await,
        Verb::Export(arguments) => export::run(&arguments).await?,
        Verb::List(database) => export::list(&*database.open().await?).await?,
        Verb::Enable { ids, database } => set_enabled(&database, &ids, true).await?,
        Verb::Disable { ids, database } => set_enabled(&database, &ids, false).await?,
        Verb::Remove(one) => one.database.open().await?.remove(&one.id).await?,
        Verb::FinishRotation(one) => {
            let registry = one.database.open().await?;
            registry.finish_rotation(&one.id).await?;
        }
        Verb::SetGroups {
            id,
            groups,
            database,
        } => {
            let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
            database.open().await?.set_groups(&id, &groups).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Database {
    async fn open(&self) -> Result<Arc<DatabaseRegistry>, Failure> {
        open(&self.database, &self.database_key).await
    }
}

/// Opens a database.
pub(crate) async fn open(url: &str, key: &Path) -> Result<Arc<DatabaseRegistry>, Failure> {
    Ok(DatabaseRegistry::open(url, sealer(key, None).await?).await?)
}

async fn set_enabled(database: &Database, ids: &[String], enabled: bool) -> Result<(), Failure> {
    let registry = database.open().await?;
    for id in ids {
        registry.set_enabled(id, enabled).await?;
    }
    Ok(())
}
