//! Checks tls-server-end-point against PostgreSQL: SCRAM-SHA-256-PLUS binds the login to the channel, and the server computes the
//! binding itself.
#![cfg(test)]
#![allow(clippy::arithmetic_side_effects, reason = "a panic fails the test")]

use chanbind::{
    protocol::binding::ChannelBinding,
    tls::{client_config, crypto_provider},
};
use chanbind_host_tests::program::{self, Signal};
use std::{
    future::Future,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    pin::Pin,
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_postgres::{
    Config,
    config::{ChannelBinding as BindingMode, SslMode},
    tls::{ChannelBinding as StreamBinding, TlsConnect, TlsStream},
};

const PASSWORD: &str = "a password";

/// A PostgreSQL server with its own folder. It runs as an unprivileged user and is stopped when dropped.
struct Postgres {
    child: Child,
    port: u16,
    certificate: Vec<u8>,
    _folder: TempDir,
}

impl Postgres {
    /// Starts a server whose self-signed certificate has a key and a signature by these arguments of `openssl`.
    fn start(key: &[&str], signature: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).display().to_string();
        let openssl = |arguments: &[&[&str]]| {
            run_successfully(Command::new("openssl").args(arguments.concat()))
        };
        openssl(&[&["genpkey"], key, &["-out", &file("key.pem")]]);
        let request = [
            "req",
            "-x509",
            "-key",
            &file("key.pem"),
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ];
        openssl(&[&request, signature, &["-out", &file("cert.pem")]]);
        openssl(&[&[
            "x509",
            "-in",
            &file("cert.pem"),
            "-outform",
            "DER",
            "-out",
            &file("cert.der"),
        ]]);
        std::fs::write(file("password"), PASSWORD).unwrap();
        if is_root() {
            let (user, group) = postgres_user();
            for entry in std::fs::read_dir(folder.path()).unwrap() {
                std::os::unix::fs::chown(entry.unwrap().path(), Some(user), Some(group)).unwrap();
            }
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        run_successfully(&mut unprivileged(
            "initdb",
            &[
                "-D",
                &file("data"),
                "-U",
                "user",
                "--pwfile",
                &file("password"),
                "--auth=scram-sha-256",
                "--no-sync",
            ],
        ));
        let port = chanbind_host_tests::port::neighbours().unwrap();
        let child = unprivileged(
            "postgres",
            &[
                "-D",
                &file("data"),
                "-p",
                &port.to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
                "-c",
                "ssl=on",
                "-c",
                &format!("ssl_cert_file={}", file("cert.pem")),
                "-c",
                &format!("ssl_key_file={}", file("key.pem")),
                "-c",
                "fsync=off",
            ],
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
        Self {
            child,
            port,
            certificate: std::fs::read(file("cert.der")).unwrap(),
            _folder: folder,
        }
    }

    /// Logs in with this value of tls-server-end-point, and returns the result of a query.
    async fn login(&self, binding: Vec<u8>) -> Result<String, tokio_postgres::Error> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone().into()).unwrap();
        let mut config = client_config(roots).unwrap();
        // A self-signed certificate has no authority, so its bytes are compared with the expected ones.
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(Pinned(self.certificate.clone())));
        let mut login = Config::new();
        login
            .user("user")
            .password(PASSWORD)
            .dbname("postgres")
            .ssl_mode(SslMode::Require)
            .channel_binding(BindingMode::Require);
        let mut tries = 0;
        loop {
            let stream = match TcpStream::connect(("127.0.0.1", self.port)).await {
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
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT requests a fast shutdown, which also ends the child processes.
        let _ = program::signal(&self.child, Signal::INT);
        let _ = self.child.wait();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns the user and group ids of `postgres`, which Debian's package creates.
fn postgres_user() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line
        .expect("/etc/passwd has no user postgres")
        .split(':')
        .skip(2);
    let mut id = || fields.next().unwrap().parse().unwrap();
    (id(), id())
}

/// Returns the command for a program of PostgreSQL, which refuses to run as root.
fn unprivileged(name: &str, arguments: &[&str]) -> Command {
    let program = find(name);
    let mut command = Command::new(program);
    if is_root() {
        let (user, group) = postgres_user();
        // Supplementary groups are cleared when the user changes.
        command.uid(user).gid(group);
    }
    command.args(arguments).current_dir("/");
    command
}

/// Finds a program of the server, which Debian does not install on the path.
fn find(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<_> = versions
        .map(|version| version.path().join("bin").join(name))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| Path::new(name).to_owned())
}

/// Runs the command and panics unless it succeeds.
fn run_successfully(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
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
            postgres.login(binding.as_bytes().to_vec()).await.unwrap(),
            "in",
            "{signature}"
        );
        let mut other = binding.as_bytes().to_vec();
        other[0] ^= 1;
        let refused = postgres.login(other).await.unwrap_err();
        assert!(
            refused
                .as_db_error()
                .is_some_and(|error| error.message().contains("channel binding")),
            "{refused:?}"
        );
    }
}
