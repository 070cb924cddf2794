use crate::shared::{Failure, SettingsArguments, read, say};
use axum::{Router, http::header, routing::get};
use chanbind::{
    gateway::{Identity, ProofLayer, Registry, serve},
    tls,
};
use clap::Args;
use std::{net::SocketAddr, path::PathBuf, process::ExitCode};
use tokio::net::TcpListener;
use tower::Layer;

/// Serve a gateway that admits the devices of a registry.
///
/// It answers any GET of an admitted device with `ok`, and is meant to try things out: in a service of your own, put
/// `chanbind::gateway::ProofLayer` around your routes.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind gateway --registry registry.toml --cert chain.pem --key key.pem --listen 127.0.0.1:8443"
)]
pub(crate) struct Arguments {
    /// The registry of clients, as `chanbind provision` prints its entries.
    #[arg(long, value_name = "FILE")]
    registry: PathBuf,

    /// The server's certificate chain, PEM, its own certificate first.
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,

    /// The key of that certificate, PEM.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// Where to listen; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,

    /// Send TLS records of at most so many bytes, for devices with little memory: 2048 suits firmware with the feature
    /// small-records. The certificates must fit one record.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(512..=16384))]
    max_fragment_size: Option<u16>,

    #[command(flatten)]
    settings: SettingsArguments,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let named =
        |path: &PathBuf, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let registry = String::from_utf8(read(&arguments.registry)?)
        .map_err(|error| named(&arguments.registry, &error))?;
    let registry =
        Registry::from_toml(&registry).map_err(|error| named(&arguments.registry, &error))?;
    let mut tls = tls::server_config_from_pem(&read(&arguments.cert)?, &read(&arguments.key)?)?;
    // rustls counts the record's header in.
    tls.max_fragment_size = arguments.max_fragment_size.map(|len| usize::from(len) + 5);
    let clients = registry.len();
    let app = Router::new().fallback(get(|who: Identity| async move {
        (
            [(header::CONTENT_TYPE, "text/plain")],
            format!("ok {}\n", who.client()),
        )
    }));
    let app = ProofLayer::new(registry, arguments.settings.settings()).layer(app);
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| format!("cannot listen on {} ({error}): is another gateway running? --listen takes another address", arguments.listen))?;
    say(&format!(
        "listening on {} for {clients} client(s)\n",
        listener.local_addr()?
    ))?;
    serve(listener, tls, app, stopped()).await;
    Ok(ExitCode::SUCCESS)
}

/// Ctrl-C, or the signal that service managers send.
async fn stopped() {
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
