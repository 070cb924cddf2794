//! The server that a command connects to, from the command line.

use crate::{
    connect::CommandError,
    failure::Failure,
    files::{named, read},
};
use axum::http::Uri;
use chanbind::{client::ConnectOptions, tls};
use clap::Args;
use rustls::RootCertStore;
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// The address of a server, and how to reach and recognise it.
#[derive(Args)]
pub(crate) struct TargetArguments {
    /// The address, like https://gateway.example:8443/path.
    pub(crate) url: Uri,

    /// The certification authority of the gateway, PEM. Without it the system's authorities are trusted.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// The name that the gateway's certificate must have, if it is not the host of the address.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,

    /// The IP address to connect to, if it is not one that the host resolves to; with a port, if it is not the address's.
    #[arg(long, value_name = "ADDRESS", value_parser = resolve)]
    resolve: Option<Resolve>,

    /// The limit, in seconds, of each step: connecting, the TLS handshake, waiting for the response.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: Option<u64>,
}

#[derive(Clone, Copy)]
struct Resolve {
    address: IpAddr,
    port: Option<u16>,
}

fn resolve(text: &str) -> Result<Resolve, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Resolve {
            address: address.ip(),
            port: Some(address.port()),
        });
    }
    let address = text
        .parse()
        .map_err(|_| "write an IP address, with a port or without one".to_owned())?;
    Ok(Resolve {
        address,
        port: None,
    })
}

impl TargetArguments {
    pub(crate) fn host(&self) -> String {
        self.url.host().unwrap_or_default().to_owned()
    }

    pub(crate) fn port(&self) -> u16 {
        let is_http = self.url.scheme_str() == Some("http");
        self.url
            .port_u16()
            .unwrap_or(if is_http { 80 } else { 443 })
    }

    /// Returns the authorities that are trusted: those of `--ca`, or the system's.
    pub(crate) fn roots(&self) -> Result<RootCertStore, Failure> {
        match &self.ca {
            Some(path) => {
                let roots = tls::roots_from_pem(&read(path)?);
                roots.map_err(|error| named(path, error))
            }
            None => system_roots(),
        }
    }

    pub(crate) fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::default().proxy_from_env(&self.url);
        options.server_name.clone_from(&self.server_name);
        if let Some(Resolve { address, port: own }) = self.resolve {
            options.address = Some(SocketAddr::new(address, own.unwrap_or(self.port())));
        }
        if let Some(seconds) = self.timeout {
            options.connect_timeout = Duration::from_secs(seconds);
            options.response_timeout = Duration::from_secs(seconds);
        }
        options
    }
}

fn system_roots() -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reason = found.errors.first().map(|error| format!(" ({error})"));
        return Err(CommandError::files(format!(
            "the system has no certification authorities{}: name the gateway's with --ca",
            reason.unwrap_or_default()
        ))
        .into());
    }
    Ok(roots)
}
