//! A software TPM in its own process and directory, ended and removed when dropped.

use crate::port;
use std::{
    io,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A running swtpm.
pub struct Swtpm {
    child: Child,
    state: TempDir,
    port: u16,
}

impl Swtpm {
    /// Starts a new TPM.
    ///
    /// # Errors
    /// If swtpm is not installed or does not come up.
    pub fn start() -> io::Result<Self> {
        Self::start_in(
            tempfile::Builder::new()
                .prefix("chanbind-swtpm-")
                .tempdir()?,
        )
    }

    /// Starts a TPM with a copy of the state file `permall`.
    ///
    /// # Errors
    /// As [`Swtpm::start`].
    pub fn start_from(permall: &Path) -> io::Result<Self> {
        let state = tempfile::Builder::new()
            .prefix("chanbind-swtpm-")
            .tempdir()?;
        std::fs::copy(permall, state.path().join("tpm2-00.permall"))?;
        Self::start_in(state)
    }

    fn start_in(state: TempDir) -> io::Result<Self> {
        let mut failed = io::Error::other("no tries");
        // Another process may take the ports between the look and the start.
        for _ in 0..5 {
            let port = port::neighbours()?;
            let mut child = spawn(state.path(), port)?;
            match wait_until_up(&mut child, port) {
                Ok(()) => return Ok(Self { child, state, port }),
                Err(error) => failed = error,
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        Err(failed)
    }

    /// Ends the process and starts it again with the same state, as after a power cut.
    ///
    /// # Errors
    /// As [`Swtpm::start`].
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        self.child = spawn(self.state.path(), self.port)?;
        wait_until_up(&mut self.child, self.port)
    }

    /// Ends the process.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it has not been killed.
    #[must_use]
    pub fn is_running(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port.saturating_add(1))).is_ok()
    }

    /// Its data port; the control port is the next one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The TCTI string that reaches it.
    #[must_use]
    pub fn tcti(&self) -> String {
        tcti(self.port)
    }

    /// Runs a command of tpm2-tools against it.
    ///
    /// # Panics
    /// If the command cannot be run or fails.
    pub fn tool(&self, command: &str, arguments: &[&str]) -> Output {
        let output = self.try_tool(command, arguments);
        assert!(
            output.status.success(),
            "{command} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    /// As [`Swtpm::tool`], for a command that may fail.
    ///
    /// # Panics
    /// If the command cannot be run.
    pub fn try_tool(&self, command: &str, arguments: &[&str]) -> Output {
        Command::new(command)
            .args(arguments)
            .env("TPM2TOOLS_TCTI", self.tcti())
            .current_dir(self.state.path())
            .output()
            .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Puts a file into the folder in which tpm2-tools run.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn put_file(&self, name: &str, contents: &[u8]) {
        std::fs::write(self.state.path().join(name), contents)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// A file that a command has written.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.state.path().join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The transient objects and loaded sessions that the TPM holds.
    #[must_use]
    pub fn orphans(&self) -> Vec<String> {
        ["handles-transient", "handles-loaded-session"]
            .iter()
            .flat_map(|kind| {
                let output = self.tool("tpm2_getcap", &[kind]);
                String::from_utf8_lossy(&output.stdout)
                    .lines()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The TCTI string of a swtpm at a port of 127.0.0.1.
#[must_use]
pub fn tcti(port: u16) -> String {
    format!("swtpm:host=127.0.0.1,port={port}")
}

fn spawn(state: &Path, port: u16) -> io::Result<Child> {
    let control = port.saturating_add(1);
    Command::new("swtpm")
        .arg("socket")
        .arg("--tpm2")
        .arg("--tpmstate")
        .arg(format!("dir={}", state.display()))
        .args(["--flags", "not-need-init,startup-clear"])
        .arg("--server")
        .arg(format!("type=tcp,port={port},bindaddr=127.0.0.1"))
        .arg("--ctrl")
        .arg(format!("type=tcp,port={control},bindaddr=127.0.0.1"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("swtpm: {error} (`cargo x setup` installs it)"),
            )
        })
}

fn wait_until_up(child: &mut Child, port: u16) -> io::Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Err(io::Error::other(format!("swtpm ended with {status}")));
        }
        // The control port: the data port serves one client at a time, and a look would be one.
        if TcpStream::connect(("127.0.0.1", port.saturating_add(1))).is_ok() {
            // If that was somebody else's port, this swtpm is about to end for want of it.
            thread::sleep(Duration::from_millis(20));
            if child.try_wait()?.is_none() {
                return Ok(());
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        "swtpm did not come up in 20 s",
    ))
}
