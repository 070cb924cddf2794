//! Devices as text.

use super::{
    Database,
    entries::{Entry, Format},
};
use crate::{
    failure::Failure,
    files::{say, say_bytes},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind::gateway::{DatabaseRegistry, Device};
use clap::Args;
use std::fmt::Write;
use x509_parser::time::ASN1Time;
use zeroize::Zeroizing;

/// Write the devices to standard output, as CSV or JSON.
#[derive(Args)]
pub(super) struct Arguments {
    /// The format.
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,

    /// Write the keys too: what is written is a secret then. Of a device that changes its key it is the new one.
    #[arg(long)]
    with_keys: bool,

    #[command(flatten)]
    database: Database,
}

/// The devices that are read at a time.
const PAGE: u32 = 1000;

/// Calls `f` with all devices, a page at a time.
async fn for_each_page(
    registry: &DatabaseRegistry,
    mut f: impl AsyncFnMut(Vec<Device>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut after = String::new();
    loop {
        let page = registry.list(&after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after.clone_from(&last.id);
        f(page).await?;
    }
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let registry = arguments.database.open().await?;
    let mut entries = Vec::new();
    for_each_page(&registry, async |page| {
        for device in page {
            let key = if arguments.with_keys {
                let keys = registry.keys(&device.id).await?;
                let key = keys.first().map(|key| BASE64_STANDARD.encode(key));
                key.map(Zeroizing::new)
            } else {
                None
            };
            entries.push(Entry {
                id: device.id,
                hmac_sha256: key,
                enabled: device.enabled,
                groups: device.groups,
            });
        }
        Ok(())
    })
    .await?;
    say_bytes(&arguments.format.write(&entries)?)
}

/// Prints the devices for people.
pub(super) async fn list(registry: &DatabaseRegistry) -> Result<(), Failure> {
    for_each_page(registry, async |page| {
        let mut text = String::new();
        for device in page {
            let state = match (device.enabled, device.is_rotating) {
                (false, _) => "disabled",
                (true, true) => "changing its key",
                (true, false) => "enabled",
            };
            let seen = device.last_seen.and_then(|seen| i64::try_from(seen).ok());
            let seen = seen.and_then(|seen| ASN1Time::from_timestamp(seen).ok());
            let seen = seen.map_or("never seen".to_owned(), |seen| format!("seen {seen}"));
            let groups = device.groups.join(" ");
            let _ = writeln!(text, "{}\t{state}\t{seen}\t{groups}", device.id);
        }
        say(&text)
    })
    .await
}
