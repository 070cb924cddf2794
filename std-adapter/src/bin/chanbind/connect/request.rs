//! The request that is sent, from the command line.

use super::exit::CommandError;
use crate::{
    failure::Failure,
    files::{named, read},
};
use axum::http::{HeaderName, HeaderValue, Method, Request, Uri};
use bytes::Bytes;
use chanbind::{
    client::{ClientError, ConnectOptions, Connection, RequestBody},
    tls,
};
use clap::Args;
use rustls::{ClientConfig, RootCertStore};
use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

/// Options of the request, for every kind of proof.
#[derive(Args)]
pub(super) struct RequestArguments {
    /// The address, like https://gateway.example:8443/path.
    pub(super) url: Uri,

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

    /// The method; GET, or POST where there is data.
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<Method>,

    /// The content to send, or @FILE for that of a file, or @- for standard input.
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,

    /// A header field, like "Content-Type: application/json". May be given several times.
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,

    /// Write the head of the response to standard output as well.
    #[arg(short, long)]
    pub(super) include: bool,

    /// Write the content of the response to this file.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
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

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("write a name, a colon and a value")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|error| error.to_string())?;
    let value = HeaderValue::from_str(value.trim()).map_err(|error| error.to_string())?;
    Ok((name, value))
}

/// A request that has been read and checked, and how to reach its server.
pub(super) struct Task {
    host: String,
    port: u16,
    /// Without it the connection has no TLS.
    tls: Option<ClientConfig>,
    options: ConnectOptions,
    pub(super) request: Request<RequestBody>,
    /// The length of the content, in bytes.
    pub(super) content_len: usize,
    /// True if a request without content goes before, so that the gateway asks for the proof there.
    pub(super) authenticates_first: bool,
}

impl RequestArguments {
    /// Returns the task, for a proof that needs TLS.
    pub(super) fn task(&self) -> Result<Task, Failure> {
        if self.url.scheme_str() != Some("https") {
            return Err(ClientError::Uri(self.url.to_string()).into());
        }
        self.task_with_or_without_tls()
    }

    /// Returns the task. With an address of http the connection has no TLS.
    pub(super) fn task_with_or_without_tls(&self) -> Result<Task, Failure> {
        let is_https = self.url.scheme_str() == Some("https");
        let tls = match (&self.ca, is_https) {
            (_, false) => None,
            (Some(path), true) => {
                let roots = tls::roots_from_pem(&read(path)?);
                let roots = roots.map_err(|error| named(path, error))?;
                Some(tls::client_config(roots)?)
            }
            (None, true) => Some(tls::client_config(system_roots()?)?),
        };
        let mut request = Connection::get(&self.url)?;
        let host = self.url.host().unwrap_or_default().to_owned();
        let port = self
            .url
            .port_u16()
            .unwrap_or(if is_https { 443 } else { 80 });
        let mut content_len = 0;
        if let Some(data) = &self.data {
            *request.method_mut() = Method::POST;
            let content = content(data)?;
            content_len = content.len();
            *request.body_mut() = content.into();
        }
        if let Some(method) = &self.method {
            *request.method_mut() = method.clone();
        }
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        let mut options = ConnectOptions::default().proxy_from_env(&self.url);
        options.server_name.clone_from(&self.server_name);
        if let Some(Resolve { address, port: own }) = self.resolve {
            options.address = Some(SocketAddr::new(address, own.unwrap_or(port)));
        }
        if let Some(seconds) = self.timeout {
            options.connect_timeout = Duration::from_secs(seconds);
            options.response_timeout = Duration::from_secs(seconds);
        }
        Ok(Task {
            host,
            port,
            tls,
            options,
            request,
            content_len,
            authenticates_first: false,
        })
    }
}

impl Task {
    pub(super) async fn open(&self) -> Result<Connection, ClientError> {
        let (host, port, options) = (&self.host, self.port, &self.options);
        match &self.tls {
            Some(tls) => Connection::open(host, port, tls.clone(), options).await,
            None => Connection::open_without_tls(host, port, options).await,
        }
    }
}

fn content(data: &str) -> Result<Bytes, Failure> {
    match data.strip_prefix('@') {
        Some(path) => Ok(Bytes::from(read(Path::new(path))?.to_vec())),
        None => Ok(Bytes::from(data.to_owned())),
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
