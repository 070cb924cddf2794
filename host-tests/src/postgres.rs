//! A PostgreSQL server for tests, on a port of 127.0.0.1.

use crate::program::{self, Signal};
use std::{
    fmt::Display,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

/// The password of the user `user`.
pub const PASSWORD: &str = "a password";

/// A PostgreSQL server with its own folder. It runs as an unprivileged user and is stopped when dropped.
pub struct Postgres {
    child: Child,
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The server's certificate, DER.
    pub certificate: Vec<u8>,
    folder: TempDir,
}

fn or_panic<T, E: Display>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

impl Postgres {
    /// Starts a server with a certificate for a key on P-256.
    ///
    /// # Panics
    /// Panics if the server cannot be set up.
    #[must_use]
    pub fn new() -> Self {
        let key = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
        Self::start(&key, &["-sha256"])
    }

    /// Starts a server whose self-signed certificate has a key and a signature by these arguments of `openssl`.
    ///
    /// # Panics
    /// Panics if the server cannot be set up.
    #[must_use]
    pub fn start(key: &[&str], signature: &[&str]) -> Self {
        let folder = or_panic(tempfile::tempdir(), "a temporary folder");
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
        let der = ["-outform", "DER", "-out", &file("cert.der")];
        openssl(&[&["x509", "-in", &file("cert.pem")], &der]);
        or_panic(std::fs::write(file("password"), PASSWORD), "password");
        if is_root() {
            let (user, group) = postgres_user();
            let own = |path: &Path| or_panic(chown(path, Some(user), Some(group)), "chown");
            for entry in or_panic(std::fs::read_dir(folder.path()), "the folder").flatten() {
                own(&entry.path());
            }
            own(folder.path());
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
        let port = or_panic(crate::port::neighbours(), "a free port");
        Self {
            child: server(folder.path(), port),
            port,
            certificate: or_panic(std::fs::read(file("cert.der")), "cert.der"),
            folder,
        }
    }

    /// Returns the URL of its database.
    #[must_use]
    pub fn url(&self) -> String {
        let password = PASSWORD.replace(' ', "%20");
        format!(
            "postgres://user:{password}@127.0.0.1:{}/postgres",
            self.port
        )
    }

    /// Stops the server.
    pub fn stop(&mut self) {
        // SIGINT requests a fast shutdown, which also ends the child processes.
        let _ = program::signal(&self.child, Signal::INT);
        let _ = self.child.wait();
    }

    /// Starts the server again, after it was stopped.
    pub fn start_again(&mut self) {
        self.child = server(self.folder.path(), self.port);
    }
}

impl Default for Postgres {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the server process.
fn server(folder: &Path, port: u16) -> Child {
    let file = |name: &str| folder.join(name).display().to_string();
    let settings = [
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", file("cert.pem")),
        format!("ssl_key_file={}", file("key.pem")),
        "fsync=off".to_owned(),
    ];
    let mut command = unprivileged("postgres", &["-D", &file("data"), "-p", &port.to_string()]);
    for setting in &settings {
        command.args(["-c", setting]);
    }
    let spawned = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    or_panic(spawned, "postgres")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns the user and group ids of `postgres`, which Debian's package creates.
fn postgres_user() -> (u32, u32) {
    let users = or_panic(std::fs::read_to_string("/etc/passwd"), "/etc/passwd");
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line.unwrap_or_default().split(':').skip(2);
    let mut id = || fields.next().and_then(|id| id.parse().ok());
    match (id(), id()) {
        (Some(user), Some(group)) => (user, group),
        _ => panic!("/etc/passwd has no user postgres"),
    }
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
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
