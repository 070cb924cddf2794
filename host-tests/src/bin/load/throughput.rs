//! Throughput for the processor time that is used: requests on connections that are kept alive, and new connections.

use crate::{
    Figure, Outcome,
    device::{Device, Dial},
    process::Served,
    site::{SECRET, Site, text},
};
use chanbind::proof::otp::Settings;
use chanbind_host_tests::go;
use std::{process::Command, time::Instant};
use tokio::task::JoinSet;

/// The times that both servers are started anew: two processes of one program differ by some percent.
const STARTS: usize = 8;
/// The pieces of a comparison after each start.
const PIECES: usize = 50;
const WARM_UP: usize = 10;
/// The connections that are in use at a time.
const CONNECTIONS: usize = 32;
const REQUESTS_OF_EACH: usize = 50;

pub(crate) async fn figures() -> Outcome<Vec<Figure>> {
    let site = Site::new()?;
    let upstream = site.upstream()?;
    let proxy = || Target::new(&site, site.gateway(Some(upstream.port), "")?);
    let mut figures = Vec::new();
    let exempt = || Target::new(&site, site.exempt_gateway(upstream.port)?);
    compare(
        "proxy",
        "without authentication",
        proxy,
        exempt,
        &mut figures,
    )
    .await?;
    let plain = || Target::new(&site, site.plain_proxy(upstream.port)?);
    compare("proxy", "bare hyper proxy", proxy, plain, &mut figures).await?;
    if let Some(program) = go::program() {
        let with = |server| {
            let mut target = Target::new(&site, server)?;
            target.dial = target.dial.settings(Settings::go_demo_api_key());
            Outcome::Ok(target)
        };
        let gateway = || with(site.gateway(None, "profile = \"go-demo-api-key\"\n")?);
        let (certificate, key) = (site.path("cert.pem"), site.path("key.pem"));
        let go = || {
            let mut command = Command::new(program);
            command.args(["server", "-cert", text(&certificate), "-key", text(&key)]);
            command.args(["-secret", std::str::from_utf8(SECRET)?]);
            with(Served::start(command)?)
        };
        compare("server", "Go", gateway, go, &mut figures).await?;
    }
    Ok(figures)
}

struct Target {
    server: Served,
    dial: Dial,
}

impl Target {
    fn new(site: &Site, server: Served) -> Outcome<Self> {
        let dial = Dial::new(&site.pki.ca, server.port)?;
        Ok(Self { server, dial })
    }

    /// Opens connections, each with a first request.
    async fn devices(&self) -> Outcome<Vec<Device>> {
        let mut devices = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut device = self.dial.connect().await?;
            device.succeed().await?;
            devices.push(device);
        }
        Ok(devices)
    }

    /// Sends some requests on each connection.
    async fn kept_alive(&self, devices: Vec<Device>) -> Outcome<(Used, Vec<Device>)> {
        let meter = Meter::start(&self.server)?;
        let mut tasks = JoinSet::new();
        for mut device in devices {
            tasks.spawn(async move {
                for _ in 0..REQUESTS_OF_EACH {
                    device.succeed().await?;
                }
                Outcome::Ok(device)
            });
        }
        let devices = tasks.join_all().await.into_iter().collect::<Outcome<_>>()?;
        Ok((meter.used()?, devices))
    }

    /// Opens new connections with one request each.
    async fn new_connections(&self) -> Outcome<Used> {
        let meter = Meter::start(&self.server)?;
        let mut tasks = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let dial = self.dial.clone();
            tasks.spawn(async move { dial.connect().await?.succeed().await });
        }
        tasks
            .join_all()
            .await
            .into_iter()
            .collect::<Outcome<()>>()?;
        meter.used()
    }
}

/// The time that a piece of work took, in seconds.
struct Used {
    passed: f64,
    /// The processor time of the server alone.
    processor: f64,
}

struct Meter<'s> {
    server: &'s Served,
    start: Instant,
    before: f64,
}

impl<'s> Meter<'s> {
    fn start(server: &'s Served) -> Outcome<Self> {
        Ok(Self {
            server,
            start: Instant::now(),
            before: server.processor_time()?,
        })
    }

    fn used(&self) -> Outcome<Used> {
        Ok(Used {
            passed: self.start.elapsed().as_secs_f64(),
            processor: self.server.processor_time()? - self.before,
        })
    }
}

/// Adds the ratios of the throughput of `one` to that of `other`, of requests and of new connections. Both take turns in short pieces, so that other
/// work on the machine slows down both alike.
async fn compare(
    name: &str,
    than: &str,
    one: impl Fn() -> Outcome<Target>,
    other: impl Fn() -> Outcome<Target>,
    figures: &mut Vec<Figure>,
) -> Outcome<()> {
    let (mut kept, mut new) = (Times::default(), Times::default());
    for _ in 0..STARTS {
        let targets = [one()?, other()?];
        let mut devices = [targets[0].devices().await?, targets[1].devices().await?];
        for piece in 0..PIECES {
            let order = if piece % 2 == 0 { [0, 1] } else { [1, 0] };
            for at in order {
                let taken = std::mem::take(&mut devices[at]);
                let (used, taken) = targets[at].kept_alive(taken).await?;
                devices[at] = taken;
                let used_by_new = targets[at].new_connections().await?;
                if piece >= WARM_UP {
                    kept.0[at].push(used);
                    new.0[at].push(used_by_new);
                }
            }
        }
    }
    for (what, times) in [("requests", kept), ("new connections", new)] {
        let (passed, processor) = times.ratios();
        figures.push((
            format!("{name}: {what} per second / {than}"),
            passed,
            "ratio",
        ));
        figures.push((
            format!("{name}: {what} per second and core / {than}"),
            processor,
            "ratio",
        ));
    }
    Ok(())
}

/// The times of both servers, by piece.
#[derive(Default)]
struct Times([Vec<Used>; 2]);

impl Times {
    /// Returns the ratios of what both do in the same time, and in the same processor time.
    fn ratios(&self) -> (f64, f64) {
        let ratio = |part: fn(&Used) -> f64| {
            let [one, other] = self
                .0
                .each_ref()
                .map(|all| median(all.iter().map(part).collect()));
            eprintln!(
                "    {:.2} ms and {:.2} ms for each piece",
                one * 1e3,
                other * 1e3
            );
            other / one
        };
        (ratio(|used| used.passed), ratio(|used| used.processor))
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
