//! A device as its connection: HTTP/1.1 over rustls, with a one-time password.

use crate::{
    Outcome,
    site::{CLIENT, SECRET},
};
use axum::http::Request;
use chanbind::{
    client::RequestBody,
    proof::otp::{self, Form, Settings},
    protocol::{kdf::HmacSha256, otp::ClientId},
    tls::{RustlsExporter, crypto_provider, roots_from_pem},
};
use chanbind_host_tests::client::{begin, fields};
use rustls::{ClientConfig, crypto::aws_lc_rs, pki_types::ServerName, version::TLS13};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The way in which devices connect.
#[derive(Clone)]
pub(crate) struct Dial {
    pub(crate) port: u16,
    config: Arc<ClientConfig>,
    settings: Arc<Settings>,
    client: Arc<str>,
    key: Arc<[u8]>,
    path: &'static str,
}

impl Dial {
    /// Devices of the registry, with the same cipher suite and key exchange for all servers.
    pub(crate) fn new(ca: &str, port: u16) -> Outcome<Self> {
        let provider = rustls::crypto::CryptoProvider {
            cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![aws_lc_rs::kx_group::X25519],
            ..crypto_provider().as_ref().clone()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots_from_pem(ca.as_bytes())?)
            .with_no_client_auth();
        // Every connection is a new one.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self {
            port,
            config: Arc::new(config),
            settings: Arc::new(Settings::default()),
            client: CLIENT.into(),
            key: SECRET.into(),
            path: "/get",
        })
    }

    pub(crate) fn settings(mut self, settings: Settings) -> Self {
        self.settings = Arc::new(settings);
        self
    }

    pub(crate) fn client(mut self, client: &str, key: &[u8]) -> Self {
        (self.client, self.key) = (client.into(), key.into());
        self
    }

    pub(crate) fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    pub(crate) fn path(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    pub(crate) fn alpn(mut self, protocol: &[u8]) -> Self {
        let mut config = self.config.as_ref().clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        self.config = Arc::new(config);
        self
    }

    pub(crate) async fn tls(&self) -> Outcome<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        Ok(connector.connect(name, stream).await?)
    }

    pub(crate) async fn connect(&self) -> Outcome<Device> {
        let stream = self.tls().await?;
        let request = self.request(&stream).await?;
        Ok(Device {
            stream,
            request,
            buffer: Vec::with_capacity(512),
        })
    }

    /// Returns a request with a proof for this connection.
    pub(crate) async fn request(&self, stream: &TlsStream<TcpStream>) -> Outcome<Vec<u8>> {
        let mut request = Request::new(RequestBody::empty());
        *request.uri_mut() = format!("https://localhost:{}{}", self.port, self.path).parse()?;
        let (client, key) = (ClientId::new(&self.client)?, HmacSha256::new(&self.key));
        let mut prover = otp::prover(&self.settings, client, Form::ApiKey);
        begin(&mut prover, &RustlsExporter::new(stream.get_ref().1), &key).await?;
        let fields = fields(&mut prover, &request)?;
        let lines = fields
            .0
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        Ok(format!(
            "GET {} HTTP/1.1\r\nhost: localhost:{}\r\n{}\r\n",
            self.path,
            self.port,
            lines.collect::<String>()
        )
        .into_bytes())
    }
}

/// A connection, and the request that it repeats.
pub(crate) struct Device {
    pub(crate) stream: TlsStream<TcpStream>,
    pub(crate) request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Device {
    /// Sends the request, reads the response, and returns its status.
    pub(crate) async fn exchange(&mut self) -> Outcome<u16> {
        self.stream.write_all(&self.request).await?;
        self.stream.flush().await?;
        self.read().await
    }

    async fn read(&mut self) -> Outcome<u16> {
        self.buffer.clear();
        let (head, content) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if let Some(head) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let text = std::str::from_utf8(self.buffer.get(..head).unwrap_or_default())?;
                let len = text.to_ascii_lowercase();
                let len = len
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                break (
                    head,
                    len.ok_or("a response without a length")?
                        .trim()
                        .parse::<usize>()?,
                );
            }
        };
        while self.buffer.len() < head + 4 + content {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection within a response".into());
            }
        }
        let status = self.buffer.get(9..12).unwrap_or_default();
        Ok(std::str::from_utf8(status)?.parse()?)
    }

    /// Exchanges, and returns an error unless the status is 200.
    pub(crate) async fn succeed(&mut self) -> Outcome<()> {
        match self.exchange().await? {
            200 => Ok(()),
            status => Err(format!("the status is {status} instead of 200").into()),
        }
    }
}
