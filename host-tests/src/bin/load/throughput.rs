//! Throughput for the processor time that is used: requests on connections that are kept alive, and new connections.

use crate::{
    Figure, Outcome,
    device::{Device, Dial},
    process::Served,
    site::{SECRET, Site, text},
};
use chanbind::proof::otp::Settings;
use chanbind_host_tests::go;
use std::process::Command;
use tokio::task::JoinSet;

/// The pieces of each comparison.
const PIECES: usize = 160;
const WARM_UP: usize = 10;
/// The connections that are in use at a time.
const CONNECTIONS: usize = 32;
const REQUESTS_OF_EACH: usize = 50;

pub(crate) async fn figures() -> Outcome<Vec<Figure>> {
    let site = Site::new()?;
    let upstream = site.upstream()?;
    let mut figures = Vec::new();
    {
        let gateway = Target::new(&site, site.gateway(Some(upstream.port), "")?)?;
        let exempt = Target::new(&site, site.exempt_gateway(upstream.port)?)?;
        let (kept, new) = compare(&gateway, &exempt).await?;
        figures.push((
            "proxy: requests per second and core / without authentication".to_owned(),
            kept,
            "ratio",
        ));
        figures.push((
            "proxy: new connections per second and core / without authentication".to_owned(),
            new,
            "ratio",
        ));
    }
    {
        let gateway = Target::new(&site, site.gateway(Some(upstream.port), "")?)?;
        let plain = Target::new(&site, site.plain_proxy(upstream.port)?)?;
        let (kept, new) = compare(&gateway, &plain).await?;
        figures.push((
            "proxy: requests per second and core / bare hyper proxy".to_owned(),
            kept,
            "ratio",
        ));
        figures.push((
            "proxy: new connections per second and core / bare hyper proxy".to_owned(),
            new,
            "ratio",
        ));
    }
    if let Some(program) = go::program() {
        let mut gateway = Target::new(
            &site,
            site.gateway(None, "profile = \"go-demo-api-key\"\n")?,
        )?;
        let mut command = Command::new(program);
        let (certificate, key) = (site.path("cert.pem"), site.path("key.pem"));
        command.args(["server", "-cert", text(&certificate), "-key", text(&key)]);
        command.args(["-secret", std::str::from_utf8(SECRET)?]);
        let mut other = Target::new(&site, Served::start(command)?)?;
        for target in [&mut gateway, &mut other] {
            target.dial = target.dial.clone().settings(Settings::go_demo_api_key());
        }
        let (kept, new) = compare(&gateway, &other).await?;
        figures.push((
            "server: requests per second and core / Go".to_owned(),
            kept,
            "ratio",
        ));
        figures.push((
            "server: new connections per second and core / Go".to_owned(),
            new,
            "ratio",
        ));
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

    /// Returns the processor time of the server for some requests on each connection, and the connections.
    async fn kept_alive(&self, devices: Vec<Device>) -> Outcome<(f64, Vec<Device>)> {
        let before = self.server.processor_time()?;
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
        Ok((self.server.processor_time()? - before, devices))
    }

    /// Returns the processor time of the server for new connections with one request each.
    async fn new_connections(&self) -> Outcome<f64> {
        let before = self.server.processor_time()?;
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
        Ok(self.server.processor_time()? - before)
    }
}

/// Returns the ratios of the throughput of `one` to that of `other`: of requests, and of new connections. Both take turns in short pieces, so that
/// other work on the machine slows down both alike.
async fn compare(one: &Target, other: &Target) -> Outcome<(f64, f64)> {
    let (mut ones, mut others) = (one.devices().await?, other.devices().await?);
    let (mut kept, mut new) = (Times::default(), Times::default());
    for piece in 0..PIECES {
        let (first, second) = if piece % 2 == 0 {
            (true, false)
        } else {
            (false, true)
        };
        for is_one in [first, second] {
            let (target, devices) = if is_one {
                (one, &mut ones)
            } else {
                (other, &mut others)
            };
            let (time, used) = target.kept_alive(std::mem::take(devices)).await?;
            *devices = used;
            let new_time = target.new_connections().await?;
            // The first pieces warm both up.
            if piece >= WARM_UP {
                kept.push(is_one, time);
                new.push(is_one, new_time);
            }
        }
    }
    Ok((kept.ratio(), new.ratio()))
}

/// The processor times of both servers, by piece.
#[derive(Default)]
struct Times {
    one: Vec<f64>,
    other: Vec<f64>,
}

impl Times {
    fn push(&mut self, is_one: bool, time: f64) {
        if is_one {
            self.one.push(time)
        } else {
            self.other.push(time)
        }
    }

    /// Returns the ratio of what both do in the same time.
    fn ratio(self) -> f64 {
        let (one, other) = (median(self.one), median(self.other));
        eprintln!(
            "    {:.2} ms and {:.2} ms for each piece",
            one * 1e3,
            other * 1e3
        );
        other / one
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
