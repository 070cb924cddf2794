//! Faults: three gateways behind one PostgreSQL, killed, cut off and left without their server, while devices and attackers go on.

use crate::{
    Figure, Outcome,
    device::{Device, Dial},
    process::Served,
    site::{Site, text},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind_host_tests::{port, postgres::Postgres};
use sha2::{Digest, Sha256};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

const GATEWAYS: usize = 3;
const DEVICES: usize = 40;
/// The device that is disabled again and again.
const VICTIM: &str = "victim";
/// The time between two requests of a device.
const PACE: Duration = Duration::from_millis(25);
/// The requests of a device on one connection.
const REQUESTS: usize = 40;
/// The time of a fault, and of the calm after it.
const FAULT: Duration = Duration::from_secs(2);
/// The limit for a return to calm.
const RETURN: Duration = Duration::from_secs(20);

/// The counts of all devices.
#[derive(Default)]
struct Counts {
    admitted: AtomicU64,
    broken: AtomicU64,
    /// Refusals of honest devices, and admissions of attackers: there must be none.
    wrongly_refused: AtomicU64,
    wrongly_admitted: AtomicU64,
    attacks: AtomicU64,
    /// While the database is away, devices that no gateway remembers are refused.
    refused_without_database: AtomicU64,
    admitted_without_database: AtomicU64,
    bad_gateway: AtomicU64,
    is_database_away: AtomicBool,
    is_upstream_away: AtomicBool,
}

fn key_of(device: &str) -> [u8; 32] {
    Sha256::digest(device).into()
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

struct Fleet {
    site: Site,
    database: Postgres,
    upstream: Option<Served>,
    upstream_port: u16,
    gateways: Vec<Option<Served>>,
    ports: Vec<u16>,
    dial: Dial,
    counts: Arc<Counts>,
}

impl Fleet {
    async fn start() -> Outcome<Self> {
        let site = Site::new()?;
        let database = Postgres::new();
        let mut list = "id,hmac_sha256,enabled,groups\n".to_owned();
        for name in (0..DEVICES)
            .map(|at| format!("device{at}"))
            .chain([VICTIM.to_owned()])
        {
            let key = BASE64_STANDARD.encode(key_of(&name));
            list.push_str(&format!("{name},{key},true,\n"));
        }
        list.push_str(&format!(
            "disabled,{},false,\n",
            BASE64_STANDARD.encode(key_of("disabled"))
        ));
        fs::write(site.path("devices.csv"), list)?;
        let url = database.url();
        site.registry(&url, &["create-key", text(&site.path("registry.key"))])?;
        let start = Instant::now();
        // The server may still be starting.
        while let Err(error) = site.registry(&url, &["import", text(&site.path("devices.csv"))]) {
            if start.elapsed() > RETURN {
                return Err(error);
            }
            sleep(Duration::from_millis(200)).await;
        }
        let mut ports = Vec::new();
        for _ in 0..=GATEWAYS {
            ports.push(port::neighbours()?);
        }
        let upstream_port = ports.pop().unwrap_or_default();
        let mut fleet = Self {
            dial: Dial::new(&site.pki.ca, 0)?,
            upstream: Some(site.other(&["upstream", &upstream_port.to_string()])?),
            upstream_port,
            gateways: (0..GATEWAYS).map(|_| None).collect(),
            ports,
            site,
            database,
            counts: Arc::default(),
        };
        for at in 0..GATEWAYS {
            fleet.start_gateway(at)?;
        }
        Ok(fleet)
    }

    fn start_gateway(&mut self, at: usize) -> Outcome<()> {
        let url = self.database.url();
        self.gateways[at] = Some(self.site.gateway_of_fleet(
            self.ports[at],
            self.upstream_port,
            &url,
        )?);
        Ok(())
    }

    /// Kills a gateway, whose place is taken by a new process.
    async fn kill_gateway(&mut self, at: usize) -> Outcome<()> {
        if let Some(mut gateway) = self.gateways[at].take() {
            gateway.kill()?;
        }
        sleep(FAULT).await;
        self.start_gateway(at)?;
        sleep(FAULT).await;
        Ok(())
    }

    async fn restart_database(&mut self) -> Outcome<()> {
        self.counts.is_database_away.store(true, Ordering::SeqCst);
        self.database.stop();
        sleep(FAULT).await;
        self.database.start_again();
        // Every gateway looks devices up again.
        self.wait_for_all().await?;
        self.counts.is_database_away.store(false, Ordering::SeqCst);
        sleep(FAULT).await;
        Ok(())
    }

    async fn restart_upstream(&mut self) -> Outcome<()> {
        self.counts.is_upstream_away.store(true, Ordering::SeqCst);
        self.upstream = None;
        sleep(FAULT).await;
        self.upstream = Some(
            self.site
                .other(&["upstream", &self.upstream_port.to_string()])?,
        );
        self.wait_for_all().await?;
        self.counts.is_upstream_away.store(false, Ordering::SeqCst);
        sleep(FAULT).await;
        Ok(())
    }

    /// Waits until every gateway admits every device on a new connection.
    async fn wait_for_all(&self) -> Outcome<()> {
        let start = Instant::now();
        for port in &self.ports {
            for at in 0..DEVICES {
                let name = format!("device{at}");
                let dial = self.dial.clone().port(*port).client(&name, &key_of(&name));
                while once(&dial).await.ok() != Some(200) {
                    if start.elapsed() > RETURN {
                        return Err(
                            format!("{name} is not admitted {RETURN:?} after a fault").into()
                        );
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        Ok(())
    }

    /// Disables a device that is connected to every gateway. Returns the time until the last one has closed its connection.
    async fn disable(&self) -> Outcome<Duration> {
        let url = self.database.url();
        let dial = self.dial.clone().client(VICTIM, &key_of(VICTIM));
        let mut devices = Vec::new();
        for port in &self.ports {
            let mut device = dial.clone().port(*port).connect().await?;
            device.succeed().await?;
            devices.push(device);
        }
        let start = Instant::now();
        self.site.registry(&url, &["disable", VICTIM])?;
        let disabled = Instant::now();
        for device in &mut devices {
            timeout(RETURN, closed(device)).await?;
        }
        let took = disabled.elapsed();
        if start.elapsed() > RETURN {
            return Err("the machine is too slow to tell".into());
        }
        for port in &self.ports {
            if once(&dial.clone().port(*port)).await? != 401 {
                add(&self.counts.wrongly_admitted);
            }
        }
        self.site.registry(&url, &["enable", VICTIM])?;
        for port in &self.ports {
            let dial = dial.clone().port(*port);
            let again = async {
                while once(&dial).await.ok() != Some(200) {
                    sleep(PACE).await
                }
            };
            timeout(RETURN, again).await?;
        }
        Ok(took)
    }
}

/// Waits until the gateway closes the connection.
async fn closed(device: &mut Device) {
    while device.exchange().await.is_ok() {
        sleep(Duration::from_millis(2)).await;
    }
}

/// Returns the status of a request on a new connection.
async fn once(dial: &Dial) -> Outcome<u16> {
    timeout(RETURN, async { dial.connect().await?.exchange().await }).await?
}

/// A device that goes from gateway to gateway.
async fn device(at: usize, dial: Dial, ports: Vec<u16>, counts: Arc<Counts>) {
    let name = format!("device{at}");
    let dial = dial.client(&name, &key_of(&name));
    for round in at..usize::MAX {
        let dial = dial.clone().port(ports[round % ports.len()]);
        let Ok(mut device) = dial.connect().await else {
            add(&counts.broken);
            sleep(PACE).await;
            continue;
        };
        for _ in 0..REQUESTS {
            let was_away = counts.is_database_away.load(Ordering::SeqCst);
            let had_no_upstream = counts.is_upstream_away.load(Ordering::SeqCst);
            let Ok(status) = device.exchange().await else {
                add(&counts.broken);
                break;
            };
            // A request that began or ended in the fault is of the fault.
            let is_away = was_away || counts.is_database_away.load(Ordering::SeqCst);
            let has_no_upstream = had_no_upstream || counts.is_upstream_away.load(Ordering::SeqCst);
            match status {
                200 => {
                    add(&counts.admitted);
                    if was_away {
                        add(&counts.admitted_without_database);
                    }
                }
                502 if has_no_upstream => add(&counts.bad_gateway),
                401 if is_away => {
                    add(&counts.refused_without_database);
                    break;
                }
                other => {
                    eprintln!("{name} got the status {other}");
                    add(&counts.wrongly_refused);
                    break;
                }
            }
            sleep(PACE).await;
        }
    }
}

/// An attacker that tries another thing each time.
async fn attacker(dial: Dial, ports: Vec<u16>, counts: Arc<Counts>) {
    for round in 0..usize::MAX {
        let dial = dial.clone().port(ports[round % ports.len()]);
        let attempt = async {
            match round % 4 {
                0 => once(&dial.client("device1", b"another key")).await,
                1 => once(&dial.client("disabled", &key_of("disabled"))).await,
                2 => once(&dial.client("unknown", &key_of("unknown"))).await,
                _ => {
                    let dial = dial.client("device2", &key_of("device2"));
                    let stolen = dial.connect().await?.request;
                    let mut device = dial.connect().await?;
                    device.request = stolen;
                    device.exchange().await
                }
            }
        };
        if let Ok(status) = attempt.await {
            add(&counts.attacks);
            if status != 401 {
                eprintln!("an attack got the status {status}");
                add(&counts.wrongly_admitted);
            }
        }
        sleep(PACE).await;
    }
}

pub(crate) async fn figures(minutes: u32) -> Outcome<Vec<Figure>> {
    let mut fleet = Fleet::start().await?;
    let mut tasks = JoinSet::new();
    for at in 0..DEVICES {
        let (dial, ports, counts) = (
            fleet.dial.clone(),
            fleet.ports.clone(),
            Arc::clone(&fleet.counts),
        );
        tasks.spawn(device(at, dial, ports, counts));
    }
    for _ in 0..4 {
        let (dial, ports, counts) = (
            fleet.dial.clone(),
            fleet.ports.clone(),
            Arc::clone(&fleet.counts),
        );
        tasks.spawn(attacker(dial, ports, counts));
    }
    let end = Instant::now() + Duration::from_secs(60) * minutes;
    let (mut rounds, mut slowest) = (0_u32, Duration::ZERO);
    while rounds == 0 || Instant::now() < end {
        let at = usize::try_from(rounds)? % GATEWAYS;
        fleet.kill_gateway(at).await?;
        slowest = slowest.max(fleet.disable().await?);
        fleet.restart_database().await?;
        slowest = slowest.max(fleet.disable().await?);
        fleet.restart_upstream().await?;
        rounds += 1;
        eprintln!("    round {rounds}: {:?}", fleet.counts);
    }
    tasks.shutdown().await;
    let counts = &fleet.counts;
    let figure = |name: &str, count: &AtomicU64| {
        let count = u32::try_from(count.load(Ordering::SeqCst)).unwrap_or(u32::MAX);
        (format!("soak: {name}"), f64::from(count), "count")
    };
    Ok(vec![
        (
            "soak: rounds of all faults".to_owned(),
            f64::from(rounds),
            "count",
        ),
        figure("requests of devices that were admitted", &counts.admitted),
        figure("connections that broke", &counts.broken),
        figure(
            "requests of devices that were wrongly refused",
            &counts.wrongly_refused,
        ),
        figure("attacks", &counts.attacks),
        figure("attacks that were admitted", &counts.wrongly_admitted),
        figure(
            "requests that were admitted while the database was away",
            &counts.admitted_without_database,
        ),
        figure(
            "requests that were refused while the database was away",
            &counts.refused_without_database,
        ),
        figure(
            "requests that were answered with 502 while the upstream was away",
            &counts.bad_gateway,
        ),
        (
            "soak: time until all gateways closed the connections of a disabled device".to_owned(),
            slowest.as_secs_f64() * 1e3,
            "milliseconds",
        ),
    ])
}

impl std::fmt::Debug for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?} admitted, {:?} broken, {:?} wrongly refused, {:?} wrongly admitted",
            self.admitted, self.broken, self.wrongly_refused, self.wrongly_admitted
        )
    }
}
