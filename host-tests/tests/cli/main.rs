//! The command `chanbind`, as a user runs it.

mod authenticator;
mod errors;
mod flow;
mod inspect;
mod provision;

use chanbind_host_tests::{
    pki::Pki,
    program::{self, Signal},
    swtpm::Swtpm,
};
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

/// A folder with a TPM and certificates, where `chanbind` runs.
struct Workspace {
    folder: TempDir,
    swtpm: Swtpm,
}

impl Workspace {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new().unwrap();
        for (name, contents) in [
            ("ca.pem", &pki.ca),
            ("chain.pem", &pki.certificate),
            ("server.pem", &pki.key),
        ] {
            std::fs::write(folder.path().join(name), contents).unwrap();
        }
        Self {
            folder,
            swtpm: Swtpm::start().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program::path("chanbind"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("CHANBIND_TCTI", self.swtpm.tcti())
            .env_remove("TSS2_LOG")
            .env_remove("RUST_LOG");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs and gives what was printed, standard output first.
    fn succeed(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        (out, err)
    }

    /// Runs and gives the exit code and the error.
    fn fail(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        if self.swtpm.is_running() {
            assert_eq!(self.swtpm.orphans(), [""; 0], "{arguments:?}");
        }
        assert!(!output.status.success(), "{arguments:?}");
        (output.status.code().unwrap(), text(&output.stderr))
    }

    /// Provisions a key and registers it.
    fn provision(&self, client: &str, more: &[&str]) {
        let out = format!("{client}.pem");
        let arguments = [&["provision", "--client-id", client, "--out", &out], more].concat();
        let (entry, _) = self.succeed(&arguments);
        let registry = self.path("registry.toml");
        let before = std::fs::read_to_string(&registry).unwrap_or_default();
        std::fs::write(&registry, before + &entry).unwrap();
    }

    fn gateway(&self, more: &[&str]) -> Gateway {
        self.serve(&[&["--registry", "registry.toml"], more].concat())
    }

    /// A gateway for certificates of an authority.
    fn certified_gateway(&self, authority: &str, more: &[&str]) -> Gateway {
        self.serve(&[&["--authenticator-ca", authority], more].concat())
    }

    fn serve(&self, more: &[&str]) -> Gateway {
        let files = [
            "gateway",
            "--cert",
            "chain.pem",
            "--key",
            "server.pem",
            "--listen",
            "127.0.0.1:0",
        ];
        let mut child = self
            .command(&[&files[..], more].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line
            .strip_prefix("listening on 127.0.0.1:")
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("{line:?}"));
        Gateway { child, port, line }
    }

    /// Runs OpenSSL on the files here, and gives what it printed.
    fn openssl(&self, arguments: &[&str]) -> String {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        out + &err
    }

    /// An authority by OpenSSL: `NAME.pem` and `NAME.key`.
    fn authority(&self, name: &str, subject: &str, algorithm: &str) {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let mut arguments = vec!["req", "-x509", "-nodes", "-days", "30", "-subj", subject];
        arguments.extend(["-addext", "keyUsage=critical,keyCertSign"]);
        arguments.extend(["-keyout", &key, "-out", &certificate]);
        arguments.push("-newkey");
        arguments.extend(algorithm.split(' '));
        self.openssl(&arguments);
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), contents).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

/// Of OpenSSL's -newkey.
const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";

/// `chanbind gateway`; ended when dropped.
struct Gateway {
    child: Child,
    port: u16,
    /// What it printed first.
    line: String,
}

impl Gateway {
    fn url(&self) -> String {
        format!("https://localhost:{}/get", self.port)
    }

    /// Ends it by the signal of service managers and gives its log.
    fn stop(mut self) -> String {
        program::signal(&self.child, Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        let mut log = String::new();
        let mut stderr = BufReader::new(self.child.stderr.take().unwrap());
        while stderr.read_line(&mut log).unwrap() > 0 {}
        log
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
