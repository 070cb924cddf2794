//! The latency of honest devices, calm and beside attackers.

use crate::{
    Figure, Outcome, attackers,
    device::Dial,
    site::{Site, share},
};
use std::time::Duration;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// The devices that keep a connection, each with a request every [`attackers::PACE`].
const KEPT: usize = 180;
/// The devices that connect anew for each request, at the same pace.
const NEW: usize = 18;
/// A tenth of all.
const ATTACKERS: usize = 22;
/// The time of a part of the run. Calm and attacked parts take turns.
const PART: Duration = Duration::from_secs(12);
const ROUNDS: usize = 4;

/// The latencies, in seconds.
#[derive(Default)]
struct Latencies {
    kept: Vec<f64>,
    new: Vec<f64>,
}

pub(crate) async fn figures() -> Outcome<Vec<Figure>> {
    let site = Site::new()?;
    let upstream = site.upstream()?;
    let gateway = site.gateway(Some(upstream.port), "")?;
    let dial = Dial::new(&site.pki.ca, gateway.port)?;
    let (mut calm, mut attacked) = (Latencies::default(), Latencies::default());
    // The first part warms up.
    honest(&dial, &mut Latencies::default()).await?;
    for _ in 0..ROUNDS {
        honest(&dial, &mut calm).await?;
        let mut attacks = attackers::start(&dial, ATTACKERS);
        honest(&dial, &mut attacked).await?;
        attacks.shutdown().await;
    }
    let requests = calm.kept.len() + calm.new.len() + attacked.kept.len() + attacked.new.len();
    let mut figures = vec![(
        "mixed load: requests of honest devices, all answered".to_owned(),
        f64::from(u32::try_from(requests)?),
        "count",
    )];
    let [calm_kept, calm_new] = [calm.kept, calm.new].map(percentile_99);
    let [kept, new] = [attacked.kept, attacked.new].map(percentile_99);
    for (what, calm, attacked) in [
        ("requests", calm_kept, kept),
        ("new connections", calm_new, new),
    ] {
        figures.push((
            format!("mixed load: latency of {what}, percentile 99, calm"),
            calm * 1e6,
            "microseconds",
        ));
        figures.push((
            format!("mixed load: latency of {what}, percentile 99, 10 % attackers / calm"),
            attacked / calm,
            "ratio",
        ));
    }
    Ok(figures)
}

fn percentile_99(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get(values.len() * 99 / 100)
        .copied()
        .unwrap_or(f64::NAN)
}

/// Lets honest devices work for a part of the run. Every request has to be answered.
async fn honest(dial: &Dial, latencies: &mut Latencies) -> Outcome<()> {
    let mut devices = Vec::new();
    for _ in 0..KEPT {
        let mut device = dial.connect().await?;
        device.succeed().await?;
        devices.push(device);
    }
    let start = Instant::now();
    let (mut kept, mut new) = (JoinSet::new(), JoinSet::new());
    for (at, mut device) in devices.into_iter().enumerate() {
        kept.spawn(async move {
            let mut latencies = Vec::new();
            // From the time at which a request is due, not from when it was sent: a slow answer delays the next ones.
            for due in dues(start, share(at, KEPT)) {
                sleep_until(due).await;
                device.succeed().await?;
                latencies.push(due.elapsed().as_secs_f64());
            }
            Outcome::Ok(latencies)
        });
    }
    for at in 0..NEW {
        let dial = dial.clone();
        new.spawn(async move {
            let mut latencies = Vec::new();
            for due in dues(start, share(at, NEW)) {
                sleep_until(due).await;
                dial.connect().await?.succeed().await?;
                latencies.push(due.elapsed().as_secs_f64());
            }
            Outcome::Ok(latencies)
        });
    }
    for (tasks, all) in [(kept, &mut latencies.kept), (new, &mut latencies.new)] {
        for measured in tasks.join_all().await {
            all.extend(measured?);
        }
    }
    Ok(())
}

/// Returns the times at which a device is due to send.
fn dues(start: Instant, phase: f64) -> impl Iterator<Item = Instant> {
    let first = start + attackers::PACE.mul_f64(phase);
    std::iter::successors(Some(first), |due| Some(*due + attackers::PACE))
        .take_while(move |due| *due < start + PART)
}
