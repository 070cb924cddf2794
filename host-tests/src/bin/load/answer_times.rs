//! The times of refusals: whether a client can tell by them which ids the registry has.

use crate::{
    Figure, Outcome,
    device::Dial,
    site::{CLIENT, DISABLED, SECRET, Site},
};
use std::time::Instant;

/// The connections for each kind of client, with one request each. The kinds take turns.
const SAMPLES: usize = 4_000;

pub(crate) async fn figures() -> Outcome<Vec<Figure>> {
    let mut figures = Vec::new();
    for (registry, database) in [("file", false), ("SQLite", true)] {
        let site = Site::new()?;
        let gateway = if database {
            site.create_database()?;
            site.gateway_with_database(None)?
        } else {
            site.gateway(None, "")?
        };
        let dial = Dial::new(&site.pki.ca, gateway.port)?;
        let wrong = dial
            .clone()
            .client(CLIENT, b"another key, also thirty-two b.");
        let kinds = [
            wrong,
            dial.clone().client(DISABLED, SECRET),
            dial.client("client9", SECRET),
        ];
        let mut times: [Vec<f64>; 3] = Default::default();
        for round in 0..SAMPLES {
            for turn in 0..kinds.len() {
                // None of the kinds is always after the same one.
                let at = (round + turn * (1 + round % 2)) % kinds.len();
                if let (Some(dial), Some(times)) = (kinds.get(at), times.get_mut(at)) {
                    times.push(refusal(dial).await?);
                }
            }
        }
        let [wrong, disabled, unknown] = &times;
        for (what, one, other) in [
            ("unknown client, wrong key", unknown, wrong),
            ("disabled client, wrong key", disabled, wrong),
            ("unknown client, disabled client", unknown, disabled),
        ] {
            figures.push((
                format!("refusals, {registry}: {what}, ratio of medians"),
                crate::throughput::median(one.clone()) / crate::throughput::median(other.clone()),
                "ratio",
            ));
            figures.push((
                format!("refusals, {registry}: {what}, chance that a guess by time is right"),
                chance(one, other),
                "ratio",
            ));
        }
    }
    Ok(figures)
}

/// Returns the time of the first answer on a new connection, which must be a refusal.
async fn refusal(dial: &Dial) -> Outcome<f64> {
    let mut device = dial.connect().await?;
    let start = Instant::now();
    let status = device.exchange().await?;
    let time = start.elapsed().as_secs_f64();
    if status != 401 {
        return Err(format!("the status is {status} instead of 401").into());
    }
    Ok(time)
}

/// Returns the probability that of two measurements, one of each kind, the longer one is told apart correctly: the greater of the Mann-Whitney
/// statistic and its opposite. It is 0.5 if times tell nothing, give or take 0.01 with this number of measurements.
fn chance(one: &[f64], other: &[f64]) -> f64 {
    let mut all: Vec<_> = one.iter().map(|time| (*time, true)).collect();
    all.extend(other.iter().map(|time| (*time, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut others, mut greater) = (0.0, 0.0);
    for (_, is_one) in all {
        if is_one {
            greater += others;
        } else {
            others += 1.0;
        }
    }
    let pairs = others * f64::from(u32::try_from(one.len()).unwrap_or(u32::MAX));
    let chance = greater / pairs;
    chance.max(1.0 - chance)
}
