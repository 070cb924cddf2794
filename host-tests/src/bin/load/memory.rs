//! The memory of a connection that is kept alive.

use crate::{Figure, Outcome, device::Dial, process::Served, site::Site};
use std::sync::Arc;
use tokio::{sync::Semaphore, task::JoinSet};

/// The connections that are open at a time.
const CONNECTIONS: usize = 10_000;
/// The handshakes that are in progress at a time.
const AT_ONCE: usize = 64;

pub(crate) async fn figures() -> Outcome<Vec<Figure>> {
    let site = Site::new()?;
    let upstream = site.upstream()?;
    let bare = per_connection(&site, &site.bare_tls()?).await?;
    let gateway = per_connection(&site, &site.gateway(Some(upstream.port), "")?).await?;
    let kib = |bytes: f64| bytes / 1024.0;
    Ok(vec![
        (
            "10,000 connections: memory of each, rustls alone".to_owned(),
            kib(bare.memory),
            "KiB",
        ),
        (
            "10,000 connections: memory of each, gateway".to_owned(),
            kib(gateway.memory),
            "KiB",
        ),
        (
            "10,000 connections: memory of each, above rustls".to_owned(),
            kib(gateway.memory - bare.memory),
            "KiB",
        ),
        (
            "10,000 connections: errors in two requests on each".to_owned(),
            gateway.errors,
            "count",
        ),
    ])
}

struct Measured {
    memory: f64,
    errors: f64,
}

/// Opens the connections with a request on each, measures the memory that they take while idle, and sends a second request on each.
async fn per_connection(site: &Site, server: &Served) -> Outcome<Measured> {
    let dial = Dial::new(&site.pki.ca, server.port)?;
    // The first connections allocate what all share.
    for _ in 0..200 {
        dial.connect().await?.succeed().await?;
    }
    let before = server.memory()?;
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (dial, permits) = (dial.clone(), Arc::clone(&permits));
        tasks.spawn(async move {
            let _permit = permits.acquire().await?;
            let mut device = dial.connect().await?;
            device.succeed().await?;
            Outcome::Ok(device)
        });
    }
    let opened = tasks.join_all().await;
    let mut errors = 0.0;
    let mut devices = Vec::with_capacity(CONNECTIONS);
    for device in opened {
        match device {
            Ok(device) => devices.push(device),
            Err(error) => {
                eprintln!("connection: {error}");
                errors += 1.0;
            }
        }
    }
    let memory = (server.memory()? - before) / f64::from(u32::try_from(CONNECTIONS)?);
    for device in &mut devices {
        if let Err(error) = device.succeed().await {
            eprintln!("second request: {error}");
            errors += 1.0;
        }
    }
    Ok(Measured { memory, errors })
}
