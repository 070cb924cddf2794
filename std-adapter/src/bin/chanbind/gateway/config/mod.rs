//! The configuration of a gateway: what a file says, or the options of a subcommand.

mod arguments;
mod limits;
mod rules;
mod upstream;

pub(super) use arguments::ServerArguments;

use super::{
    admin::{self, NamedFleet},
    authenticator, blessing, check, diagnostics, mutual, otp,
    serve::{Listener, Prepared},
};
use crate::{
    failure::Failure,
    files::{named, read, read_text},
};
use chanbind::{
    gateway::{Limits, Policy, Requirement},
    proof::Responder,
    tls::ServerCertificate,
};
use rules::RuleEntry;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    net::{Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use toml::Spanned;
use zeroize::Zeroizing;

/// A configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    #[serde(default = "listen", deserialize_with = "deserialize_listen")]
    pub(super) listen: SocketAddr,
    #[serde(default = "max_connections_per_address")]
    pub(super) max_connections_per_address: usize,
    #[serde(default)]
    pub(super) max_fragment_size: Option<u16>,
    #[serde(default = "handshake_seconds")]
    pub(super) handshake_seconds: u16,
    pub(super) tls: Tls,
    #[serde(default)]
    limits: limits::Section,
    #[serde(default)]
    admin: Option<admin::Section>,
    #[serde(default)]
    diagnostics: Option<diagnostics::Section>,
    #[serde(default)]
    upstream: Option<upstream::Section>,
    pub(super) proof: Proofs,
    pub(super) rule: Vec<Spanned<RuleEntry>>,
    /// The folder to which relative paths refer.
    #[serde(skip)]
    pub(super) folder: PathBuf,
    /// The file and its text, for errors.
    #[serde(skip)]
    source: Option<Source>,
}

/// Where a configuration comes from.
struct Source {
    file: PathBuf,
    text: Zeroizing<String>,
}

impl Source {
    /// Creates an error at a position in the text.
    fn error(&self, at: Option<usize>, error: impl fmt::Display) -> Failure {
        let before = self.text.get(..at.unwrap_or(0)).unwrap_or_default();
        match at {
            Some(_) => {
                let line = before.matches('\n').count() + 1;
                named(&self.file, format_args!("line {line}: {error}"))
            }
            None => named(&self.file, error),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// A section for each kind of proof.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Proofs {
    #[serde(default)]
    pub(super) otp: Option<otp::Section>,
    #[serde(default)]
    pub(super) authenticator: Option<authenticator::Section>,
    #[serde(default)]
    pub(super) blessing: Option<blessing::Section>,
    #[serde(default)]
    pub(super) mutual: Option<mutual::Section>,
}

/// The parts of the configuration that the sections of proofs refer to.
#[derive(Clone, Copy)]
pub(super) struct Site<'c> {
    /// The folder to which relative paths refer.
    pub(super) folder: &'c Path,
    /// The server's certificate chain, PEM.
    pub(super) chain: &'c [u8],
}

impl Proofs {
    async fn set_up(&self, site: Site<'_>) -> Result<Vec<SetUp>, Failure> {
        let otp = match &self.otp {
            Some(section) => Some(section.set_up(site).await),
            None => None,
        };
        let all = [
            otp,
            self.authenticator
                .as_ref()
                .map(|section| section.set_up(site)),
            self.blessing.as_ref().map(|section| section.set_up(site)),
            self.mutual.as_ref().map(|section| section.set_up(site)),
        ];
        all.into_iter().flatten().collect()
    }
}

/// The contribution of a kind of proof to the gateway.
#[derive(Default)]
pub(super) struct SetUp {
    /// The proofs that rules can name.
    pub(super) requirements: Vec<(String, Requirement)>,
    pub(super) responders: Vec<Arc<dyn Responder>>,
    /// Reads files again.
    pub(super) reload: Option<Arc<dyn Fn() + Send + Sync>>,
    /// Work beside the requests.
    pub(super) background: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// A summary of the admitted clients, for the operator.
    pub(super) summary: Vec<String>,
    /// Findings that the operator should look at.
    pub(super) warnings: Vec<String>,
    /// The devices, if operators can list them.
    pub(super) fleet: Option<NamedFleet>,
}

impl Config {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = read_text(path)?;
        let source = Source {
            file: path.to_owned(),
            text,
        };
        let mut config: Self = toml::from_str(&source.text)
            .map_err(|error| source.error(error.span().map(|span| span.start), error.message()))?;
        config.folder = path.parent().unwrap_or(Path::new("")).to_owned();
        config.source = Some(source);
        Ok(config)
    }

    /// Reads the configuration again, if it comes from a file.
    pub(super) fn again(&self) -> Result<Option<Self>, Failure> {
        let source = self.source.as_ref();
        source.map(|source| Self::read(&source.file)).transpose()
    }

    /// Creates an error at a position in the configuration's file, if it comes from one.
    fn error(&self, at: Option<usize>, error: String) -> Failure {
        match &self.source {
            Some(source) => source.error(at, error),
            None => error.into(),
        }
    }

    /// Reads the files that the configuration names, and checks them.
    pub(super) async fn prepare(&self) -> Result<Prepared, Failure> {
        if let Some(len) = self.max_fragment_size
            && !FRAGMENT_SIZES.contains(&len)
        {
            return Err(self.error(
                None,
                format!("max_fragment_size = {len}: write a number from 512 to 16384"),
            ));
        }
        if !HANDSHAKE_SECONDS.contains(&self.handshake_seconds) {
            let seconds = self.handshake_seconds;
            return Err(self.error(
                None,
                format!("handshake_seconds = {seconds}: write a number from 1 to 600"),
            ));
        }
        let certificate = self.folder.join(&self.tls.certificate);
        let key = self.folder.join(&self.tls.key);
        let chain = read(&certificate)?;
        let server = ServerCertificate::from_pem(&chain, &read(&key)?).map_err(|error| {
            let files = format!("{}, {}", certificate.display(), key.display());
            Failure::from(format!("{files}: {error}"))
        })?;
        let mut warnings = check::certificate(&certificate, &chain);
        warnings.extend(check::secret_file(&key));

        let site = Site {
            folder: &self.folder,
            chain: &chain,
        };
        let kinds = self.proof.set_up(site).await?;
        let mut known = BTreeMap::new();
        for (name, requirement) in kinds.iter().flat_map(|kind| &kind.requirements) {
            known.insert(name.clone(), requirement.clone());
        }
        let mut hosts: BTreeMap<String, Policy> = BTreeMap::new();
        let mut policy = Policy::new();
        for entry in &self.rule {
            let rule = entry.get_ref();
            let wrong = |error: String| self.error(Some(entry.span().start), error);
            match &rule.host {
                Some(host) => {
                    let host = host.trim_end_matches('.').to_ascii_lowercase();
                    let own = hosts.remove(&host).unwrap_or_default();
                    hosts.insert(host, rule.apply(own, &known).map_err(wrong)?);
                }
                None => policy = rule.apply(policy, &known).map_err(wrong)?,
            }
        }
        if !policy.has_rule("/") {
            warnings.push("no rule has the path /: paths without a rule need no proof".to_owned());
        }
        let diagnostics = self.diagnostics.as_ref().map(diagnostics::Section::path);
        let diagnostics = diagnostics
            .transpose()
            .map_err(|error| self.error(None, error.to_string()))?;
        if let Some(path) = diagnostics {
            warnings.push(format!(
                "{path} tells clients how their connections look from here: remove [diagnostics] when nothing is to be found out"
            ));
            policy = policy.exempt(path);
            hosts = hosts
                .into_iter()
                .map(|(host, own)| (host, own.exempt(path)))
                .collect();
        }
        for (host, own) in hosts {
            policy = policy.host(&host, own);
        }
        let mut limits = Limits::default();
        limits.connections_per_address = self.max_connections_per_address;
        limits.handshake = Duration::from_secs(self.handshake_seconds.into());
        let upstream = self.upstream.as_ref();
        let upstream = upstream.map(|section| section.set_up(&self.folder));
        let upstream = upstream
            .transpose()
            .map_err(|error| self.error(None, error.to_string()))?;
        let wrong = |error: Failure| self.error(None, error.to_string());
        self.limits.apply(&mut limits).map_err(wrong)?;
        let proxies = self.limits.proxies().map_err(wrong)?;
        let pending_proofs = self.limits.pending_proofs().map_err(wrong)?;
        let mut prepared = Prepared {
            diagnostics: diagnostics.map(str::to_owned),
            proxy: None,
            jwk_set: None,
            admin: None,
            fleets: Vec::new(),
            listener: Listener {
                address: self.listen,
                certificate: server,
                // rustls counts the header of a record too.
                max_fragment_size: self.max_fragment_size.map(|len| usize::from(len) + 5),
                limits,
                proxies,
            },
            policy,
            pending_proofs,
            responders: Vec::new(),
            reload: Vec::new(),
            background: Vec::new(),
            summary: Vec::new(),
            warnings,
        };
        for kind in kinds {
            prepared.responders.extend(kind.responders);
            prepared.reload.extend(kind.reload);
            prepared.background.extend(kind.background);
            prepared.summary.extend(kind.summary);
            prepared.warnings.extend(kind.warnings);
            prepared.fleets.extend(kind.fleet);
        }
        if let Some(upstream) = upstream {
            prepared.proxy = Some(upstream.proxy);
            prepared.jwk_set = upstream.jwk_set;
            prepared
                .summary
                .push(format!("passed on to {}", upstream.summary));
            prepared.warnings.extend(upstream.warnings);
        }
        if let Some(admin) = &self.admin {
            let address = admin
                .address()
                .map_err(|error| self.error(None, error.to_string()))?;
            prepared.admin = Some(address);
        }
        Ok(prepared)
    }
}

/// The sizes, in bytes, to which the records of the server can be limited.
const FRAGMENT_SIZES: RangeInclusive<u16> = 512..=16384;
/// The time limits, in seconds, that a TLS handshake can have.
const HANDSHAKE_SECONDS: RangeInclusive<u16> = 1..=600;

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix(':') {
        let port = port
            .parse()
            .map_err(|_| format!("{port:?} is not a port"))?;
        return Ok(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
    }
    text.parse()
        .map_err(|_| "write an IP address and a port, like 127.0.0.1:8443, or :8443".to_owned())
}

fn deserialize_listen<'de, D: serde::Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    parse_listen(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8443))
}

fn max_connections_per_address() -> usize {
    Limits::default().connections_per_address
}

fn handshake_seconds() -> u16 {
    let seconds = Limits::default().handshake.as_secs();
    u16::try_from(seconds).unwrap_or(*HANDSHAKE_SECONDS.end())
}
