//! The request that is sent, from the command line.

use crate::{failure::Failure, files::read, target::TargetArguments};
use axum::http::{HeaderName, HeaderValue, Method, Request};
use bytes::Bytes;
use chanbind::{
    client::{ClientError, ConnectOptions, Connection, RequestBody},
    tls,
};
use clap::Args;
use rustls::ClientConfig;
use std::path::{Path, PathBuf};

/// Options of the request, for every kind of proof.
#[derive(Args)]
pub(super) struct RequestArguments {
    #[command(flatten)]
    pub(super) target: TargetArguments,

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
        let url = &self.target.url;
        if url.scheme_str() != Some("https") {
            return Err(ClientError::Uri(url.to_string()).into());
        }
        self.task_with_or_without_tls()
    }

    /// Returns the task. With an address of http the connection has no TLS.
    pub(super) fn task_with_or_without_tls(&self) -> Result<Task, Failure> {
        let (target, url) = (&self.target, &self.target.url);
        let is_https = url.scheme_str() == Some("https");
        let tls = is_https.then(|| Ok::<_, Failure>(tls::client_config(target.roots()?)?));
        let tls = tls.transpose()?;
        let mut request = Connection::get(url)?;
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
        Ok(Task {
            host: target.host(),
            port: target.port(),
            tls,
            options: target.options(),
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
