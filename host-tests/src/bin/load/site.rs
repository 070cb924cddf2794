//! The site of a run: a certificate, the registry of devices, and the servers, each a process.

use crate::{Outcome, process::Served};
use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind_host_tests::{pki::Pki, program};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// The HMAC key of every device.
pub(crate) const SECRET: &[u8] = b"my_api_key, of thirty-two bytes.";
/// The id of the device of most connections.
pub(crate) const CLIENT: &str = "client1";
/// The id of a device that is disabled.
pub(crate) const DISABLED: &str = "client2";

/// Files, removed at the end.
pub(crate) struct Site {
    pub(crate) pki: Pki,
    pub(crate) folder: TempDir,
}

impl Site {
    pub(crate) fn new() -> Outcome<Self> {
        let site = Self {
            pki: Pki::new()?,
            folder: TempDir::new()?,
        };
        fs::write(site.path("cert.pem"), &site.pki.certificate)?;
        fs::write(site.path("key.pem"), &site.pki.key)?;
        let key = BASE64_STANDARD.encode(SECRET);
        let registry = format!(
            "[clients.{CLIENT}]\nhmac_sha256 = \"{key}\"\n\n[clients.{DISABLED}]\nhmac_sha256 = \"{key}\"\nenabled = false\n"
        );
        fs::write(site.path("registry.toml"), registry)?;
        Ok(site)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `chanbind registry` on a database.
    pub(crate) fn registry(&self, url: &str, arguments: &[&str]) -> Outcome<()> {
        let mut command = Command::new(program::path("chanbind"));
        command.arg("registry").args(arguments);
        command.env("CHANBIND_DATABASE", url);
        command.env("CHANBIND_DATABASE_KEY", self.path("registry.key"));
        let output = command.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(())
    }

    /// Creates a registry in SQLite, with the devices of the file.
    pub(crate) fn create_database(&self) -> Outcome<()> {
        let url = format!("sqlite:{}", text(&self.path("fleet.db")));
        self.registry(&url, &["create-key", text(&self.path("registry.key"))])?;
        self.registry(&url, &["import", text(&self.path("registry.toml"))])?;
        self.registry(&url, &["disable", DISABLED])
    }

    pub(crate) fn gateway_with_database(&self, upstream: Option<u16>) -> Outcome<Served> {
        let registry = "database = \"sqlite:fleet.db\"\ndatabase_key = \"registry.key\"\n";
        self.gateway_of(0, upstream, registry, "any = [\"otp\"]")
    }

    /// Starts a gateway on this port with the registry of a database server.
    pub(crate) fn gateway_of_fleet(&self, port: u16, upstream: u16, url: &str) -> Outcome<Served> {
        let registry = format!("database = \"{url}\"\ndatabase_key = \"registry.key\"\n");
        self.gateway_of(port, Some(upstream), &registry, "any = [\"otp\"]")
    }

    /// Starts `chanbind gateway` with the registry in a file, and these settings of passwords. `upstream` is the port of the server that it passes
    /// requests on to.
    pub(crate) fn gateway(&self, upstream: Option<u16>, settings: &str) -> Outcome<Served> {
        let registry = format!("registry = \"registry.toml\"\n{settings}");
        self.gateway_of(0, upstream, &registry, "any = [\"otp\"]")
    }

    /// Starts the same gateway, whose rule needs no proof.
    pub(crate) fn exempt_gateway(&self, upstream: u16) -> Outcome<Served> {
        let registry = "registry = \"registry.toml\"\n";
        self.gateway_of(0, Some(upstream), registry, "exempt = true")
    }

    /// Starts `chanbind gateway` with a configuration for many connections.
    fn gateway_of(
        &self,
        port: u16,
        upstream: Option<u16>,
        proof: &str,
        rule: &str,
    ) -> Outcome<Served> {
        let upstream =
            upstream.map(|port| format!("[upstream]\nurl = \"http://127.0.0.1:{port}\"\n"));
        let config = format!(
            "listen = \"127.0.0.1:{port}\"\nmax_connections_per_address = 100000\n[limits]\nconnections = 100000\nhandshakes_per_second_and_address = 0\nidle_seconds = 600\nhead_seconds = 600\n[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n[admin]\nlisten = \"127.0.0.1:0\"\n{}[proof.otp]\n{proof}[[rule]]\npath = \"/\"\n{rule}\n",
            upstream.unwrap_or_default(),
        );
        let number = fs::read_dir(self.folder.path())?.count();
        let file = self.path(&format!("gateway{number}.toml"));
        fs::write(&file, config)?;
        let mut command = Command::new(program::path("chanbind"));
        command.args(["gateway", "--config"]).arg(file);
        // A line for every connection would measure the terminal.
        command.env("RUST_LOG", "error");
        Served::start(command)
    }

    /// Starts this program as one of the other servers.
    pub(crate) fn other(&self, arguments: &[&str]) -> Outcome<Served> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        Served::start(command)
    }

    pub(crate) fn upstream(&self) -> Outcome<Served> {
        self.other(&["upstream"])
    }

    /// Starts the same proxy without authentication.
    pub(crate) fn plain_proxy(&self, upstream: u16) -> Outcome<Served> {
        let (certificate, key) = (self.path("cert.pem"), self.path("key.pem"));
        self.other(&[
            "plain-proxy",
            text(&certificate),
            text(&key),
            &upstream.to_string(),
        ])
    }

    pub(crate) fn bare_tls(&self) -> Outcome<Served> {
        let (certificate, key) = (self.path("cert.pem"), self.path("key.pem"));
        self.other(&["bare-tls", text(&certificate), text(&key)])
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

/// Returns the share of `all` that `at` is.
pub(crate) fn share(at: usize, all: usize) -> f64 {
    let number = |value: usize| f64::from(u32::try_from(value).unwrap_or(u32::MAX));
    number(at) / number(all)
}
