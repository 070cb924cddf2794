use crate::{
    files::{named, read, read_text, say},
    shared::{Failure, SettingsArguments},
};
use axum::{
    Router,
    body::Body,
    http::{Request, header},
    routing::get,
};
use chanbind::{
    authenticator::{CertifiedIdentity, Credentials, Trust},
    gateway::{
        AuthenticatorLayer, AuthenticatorPolicy, Identity, Limits, ProofLayer, Registry, serve_with,
    },
    tls,
};
use clap::{ArgGroup, Args};
use rustls::ServerConfig;
use std::{
    convert::Infallible,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio::net::TcpListener;
use tower::{Layer, Service};

/// Serve a gateway that admits the devices of a registry, or those with certificates of an authority.
///
/// It answers any GET of an admitted device with `ok` and its name, and is meant to try things out: in a service of your own,
/// put `chanbind::gateway::ProofLayer` or `AuthenticatorLayer` around your routes.
#[derive(Args)]
#[command(
    group(ArgGroup::new("admitted").args(["registry", "authenticator_ca"]).required(true)),
    after_help = "Examples:\n  chanbind gateway --registry registry.toml --cert chain.pem --key key.pem --listen 127.0.0.1:8443\n  chanbind gateway --authenticator-ca ca.pem --cert chain.pem --key key.pem \\\n    --second-cert second.pem --second-key second.key"
)]
pub(crate) struct Arguments {
    /// The registry of clients, as `chanbind provision` prints its entries.
    #[arg(long, value_name = "FILE")]
    registry: Option<PathBuf>,

    /// The authorities, 1 to 4, PEM, of the certificates that `chanbind provision --authenticator` is about: who proves the key
    /// of one by an Exported Authenticator (RFC 9261) is admitted. There is no registry then.
    #[arg(long, value_name = "FILE", conflicts_with = "SettingsArguments")]
    authenticator_ca: Option<PathBuf>,

    /// The server's certificate chain, PEM, its own certificate first.
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,

    /// The key of that certificate, PEM.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// A second certificate chain of this server, PEM, proved to clients that ask for one (`chanbind connect --second-ca`).
    #[arg(
        long,
        value_name = "FILE",
        requires = "second_key",
        conflicts_with = "registry"
    )]
    second_cert: Option<PathBuf>,

    /// The key of the second certificate, PEM.
    #[arg(
        long,
        value_name = "FILE",
        requires = "second_cert",
        conflicts_with = "registry"
    )]
    second_key: Option<PathBuf>,

    /// Where to listen; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,

    /// The most connections at a time from one address; for a further one the longest idle is closed. Raise it where many devices
    /// share an address.
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().connections_per_address)]
    max_connections_per_address: usize,

    /// Send TLS records of at most so many bytes, for devices with little memory: 2048 suits firmware with the feature
    /// small-records. The certificates must fit one record.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(512..=16384))]
    max_fragment_size: Option<u16>,

    #[command(flatten)]
    settings: SettingsArguments,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let certificate = read(&arguments.cert)?;
    let key = read(&arguments.key)?;
    let mut tls = tls::server_config_from_pem(&certificate, &key)?;
    // rustls counts the record's header in.
    tls.max_fragment_size = arguments.max_fragment_size.map(|len| usize::from(len) + 5);
    match (&arguments.authenticator_ca, &arguments.registry) {
        (Some(ca), _) => {
            let who = |who: CertifiedIdentity| async move { ok(&who.name()) };
            let layer = authenticators(ca, &arguments)?;
            let app = layer.layer(Router::new().fallback(get(who)));
            let whom = format!("certificates of {}", ca.display());
            listen(&arguments, &whom, tls, app).await
        }
        (None, Some(path)) => {
            let text = read_text(path)?;
            let registry = Registry::from_toml(&text).map_err(|error| named(path, error))?;
            let who = |who: Identity| async move { ok(who.client()) };
            let whom = format!("{} client(s)", registry.len());
            let layer = ProofLayer::new(registry, arguments.settings.settings());
            let app = layer.layer(Router::new().fallback(get(who)));
            listen(&arguments, &whom, tls, app).await
        }
        (None, None) => Err("say whom to admit: --registry or --authenticator-ca".into()),
    }
}

fn ok(name: &str) -> ([(header::HeaderName, &'static str); 1], String) {
    (
        [(header::CONTENT_TYPE, "text/plain")],
        format!("ok {name}\n"),
    )
}

/// Everything needs an authenticator of an authority's certificate.
fn authenticators(ca: &Path, arguments: &Arguments) -> Result<AuthenticatorLayer, Failure> {
    let trust = Trust::from_pem(&read(ca)?).map_err(|error| named(ca, error))?;
    let policy = AuthenticatorPolicy::new().require("/", &trust);
    let mut identities = Vec::new();
    if let (Some(certificate), Some(key)) = (&arguments.second_cert, &arguments.second_key) {
        let chain = read(certificate)?;
        let pem = read(key)?;
        identities.push(Credentials::from_pem(&chain, &pem).map_err(|error| {
            let files = format!(
                "--second-cert {}, --second-key {}",
                certificate.display(),
                key.display()
            );
            format!("{files}: {error}")
        })?);
    }
    Ok(AuthenticatorLayer::with_identities(policy, identities))
}

async fn listen<S>(
    arguments: &Arguments,
    whom: &str,
    tls: ServerConfig,
    app: S,
) -> Result<ExitCode, Failure>
where
    S: Service<Request<Body>, Response = axum::response::Response, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let address = arguments.listen;
    let mut limits = Limits::default();
    limits.connections_per_address = arguments.max_connections_per_address;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address} ({error}): is another gateway running? --listen takes another address"))?;
    let address = listener.local_addr()?;
    say(&format!("listening on {address} for {whom}\n"))?;
    serve_with(listener, tls, app, limits, stopped()).await;
    Ok(ExitCode::SUCCESS)
}

/// Waits for Ctrl-C, or the signal that service managers send. The second one ends the program at once.
async fn stopped() {
    signal().await;
    tokio::spawn(async {
        signal().await;
        eprintln!("chanbind: stopped at once");
        std::process::exit(130);
    });
}

async fn signal() {
    #[cfg(unix)]
    if let Ok(mut terminate) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}
