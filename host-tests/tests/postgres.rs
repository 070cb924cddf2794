//! Checks tls-server-end-point against PostgreSQL: SCRAM-SHA-256-PLUS binds the login to the channel, and the server computes the
//! binding itself.
#![cfg(test)]
#![allow(clippy::arithmetic_side_effects, reason = "a panic fails the test")]

use chanbind::{
    protocol::binding::ChannelBinding,
    tls::{client_config, crypto_provider},
};
use chanbind_host_tests::postgres::{PASSWORD, Postgres};
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_postgres::{
    Config,
    config::{ChannelBinding as BindingMode, SslMode},
    tls::{ChannelBinding as StreamBinding, TlsConnect, TlsStream},
};

/// Logs in with this value of tls-server-end-point, and returns the result of a query.
async fn login(server: &Postgres, binding: Vec<u8>) -> Result<String, tokio_postgres::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(server.certificate.clone().into()).unwrap();
    let mut config = client_config(roots).unwrap();
    // A self-signed certificate has no authority, so its bytes are compared with the expected ones.
    config
        .dangerous()
        .set_certificate_verifier(Arc::new(Pinned(server.certificate.clone())));
    let mut login = Config::new();
    login
        .user("user")
        .password(PASSWORD)
        .dbname("postgres")
        .ssl_mode(SslMode::Require)
        .channel_binding(BindingMode::Require);
    let mut tries = 0;
    loop {
        let stream = match TcpStream::connect(("127.0.0.1", server.port)).await {
            Ok(stream) => stream,
            Err(error) => {
                tries += 1;
                assert!(tries < 600, "PostgreSQL did not start: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let tls = Tls {
            config: config.clone(),
            binding: binding.clone(),
        };
        match login.connect_raw(stream, tls).await {
            Ok((client, connection)) => {
                let driver = tokio::spawn(connection);
                let row = client.query_one("select 'in'", &[]).await?;
                driver.abort();
                return Ok(row.get(0));
            }
            // The server accepts connections before it accepts logins.
            Err(error) if error.code().is_some_and(|code| code.code() == "57P03") => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// TLS for tokio-postgres with a given channel binding.
struct Tls {
    config: rustls::ClientConfig,
    binding: Vec<u8>,
}

impl TlsConnect<TcpStream> for Tls {
    type Stream = BoundStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<BoundStream>> + Send>>;

    fn connect(self, stream: TcpStream) -> Self::Future {
        Box::pin(async move {
            let connector = tokio_rustls::TlsConnector::from(Arc::new(self.config));
            let stream = connector
                .connect("localhost".try_into().unwrap(), stream)
                .await?;
            Ok(BoundStream {
                stream,
                binding: self.binding,
            })
        })
    }
}

struct BoundStream {
    stream: tokio_rustls::client::TlsStream<TcpStream>,
    binding: Vec<u8>,
}

impl TlsStream for BoundStream {
    fn channel_binding(&self) -> StreamBinding {
        StreamBinding::tls_server_end_point(self.binding.clone())
    }
}

impl AsyncRead for BoundStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for BoundStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Accepts only this certificate.
#[derive(Debug)]
struct Pinned(Vec<u8>);

impl rustls::client::danger::ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        assert_eq!(end_entity.as_ref(), self.0);
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &rustls::pki_types::CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &crypto_provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &rustls::pki_types::CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &crypto_provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        crypto_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[tokio::test]
async fn postgresql_accepts_tls_server_end_point_binding() {
    let ec = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let rsa = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    for (key, signature, len) in [
        (ec, "-sha256", 32),
        (ec, "-sha384", 48),
        (rsa, "-sha512", 64),
        (rsa, "-sha1", 32),
    ] {
        let postgres = Postgres::start(&key, &[signature]);
        let binding = ChannelBinding::tls_server_end_point(&postgres.certificate).unwrap();
        assert_eq!(binding.as_bytes().len(), len);
        assert_eq!(
            login(&postgres, binding.as_bytes().to_vec()).await.unwrap(),
            "in",
            "{signature}"
        );
        let mut other = binding.as_bytes().to_vec();
        other[0] ^= 1;
        let refused = login(&postgres, other).await.unwrap_err();
        assert!(
            refused
                .as_db_error()
                .is_some_and(|error| error.message().contains("channel binding")),
            "{refused:?}"
        );
    }
}
