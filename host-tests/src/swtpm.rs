//! A software TPM with a process and a state directory of its own.
//!
//! Dropping the handle ends the process and removes the directory.

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

/// A swtpm process, which serves one TPM 2.0 on TCP ports of 127.0.0.1.
pub struct Swtpm {
    child: Child,
    state: TempDir,
    port: u16,
}

impl Swtpm {
    /// Starts a TPM with empty state.
    ///
    /// # Errors
    /// Returns an error if swtpm is not installed, if it ends, or if it accepts no connection within 20 seconds, in each of five
    /// attempts.
    pub fn start() -> io::Result<Self> {
        Self::start_in(
            tempfile::Builder::new()
                .prefix("chanbind-swtpm-")
                .tempdir()?,
        )
    }

    /// Starts a TPM whose permanent state is a copy of the file `permall`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be copied, and in the cases of [`Swtpm::start`].
    pub fn start_from(permall: &Path) -> io::Result<Self> {
        let state = tempfile::Builder::new()
            .prefix("chanbind-swtpm-")
            .tempdir()?;
        std::fs::copy(permall, state.path().join("tpm2-00.permall"))?;
        Self::start_in(state)
    }

    fn start_in(state: TempDir) -> io::Result<Self> {
        let mut last_error = io::Error::other("swtpm was not started");
        // Another process may take the ports after they were found free and before swtpm binds them.
        for _ in 0..5 {
            let port = port::neighbours()?;
            let mut child = spawn(state.path(), port)?;
            match wait_until_up(&mut child, port) {
                Ok(()) => return Ok(Self { child, state, port }),
                Err(error) => last_error = error,
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        Err(last_error)
    }

    /// Kills the process and starts it again with the same state and ports, as after a power failure.
    ///
    /// # Errors
    /// Returns an error if swtpm cannot be run, ends, or accepts no connection within 20 seconds.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        self.child = spawn(self.state.path(), self.port)?;
        wait_until_up(&mut self.child, self.port)
    }

    /// Kills the process and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Returns whether the control port accepts a connection.
    #[must_use]
    pub fn is_running(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port.saturating_add(1))).is_ok()
    }

    /// Returns the data port. The control port is the next higher one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the TCTI string with which the TPM software stack reaches this TPM.
    #[must_use]
    pub fn tcti(&self) -> String {
        tcti(self.port)
    }

    /// Runs a command of tpm2-tools against this TPM.
    ///
    /// # Panics
    /// Panics if the command cannot be run or fails.
    pub fn tool(&self, command: &str, arguments: &[&str]) -> Output {
        let output = self.try_tool(command, arguments);
        assert!(
            output.status.success(),
            "{command} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    /// Runs a command of tpm2-tools against this TPM and returns its output also when it fails.
    ///
    /// # Panics
    /// Panics if the command cannot be run.
    pub fn try_tool(&self, command: &str, arguments: &[&str]) -> Output {
        Command::new(command)
            .args(arguments)
            .env("TPM2TOOLS_TCTI", self.tcti())
            .current_dir(self.state.path())
            .output()
            .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Writes a file into the directory in which the commands of tpm2-tools run.
    ///
    /// # Panics
    /// Panics if the file cannot be written.
    pub fn put_file(&self, name: &str, contents: &[u8]) {
        std::fs::write(self.state.path().join(name), contents)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Reads a file that a command of tpm2-tools has written.
    ///
    /// # Panics
    /// Panics if the file cannot be read.
    #[must_use]
    pub fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.state.path().join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Returns the handles of the transient objects and loaded sessions that the TPM holds, as `tpm2_getcap` prints them.
    ///
    /// # Panics
    /// Panics if `tpm2_getcap` cannot be run or fails.
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

/// Returns the TCTI string of the swtpm with this data port on 127.0.0.1.
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
        // Probe the control port: the data port serves one client at a time, and a probe would occupy it.
        if TcpStream::connect(("127.0.0.1", port.saturating_add(1))).is_ok() {
            // If another process listens on that port, this swtpm could not bind it and is about to end.
            thread::sleep(Duration::from_millis(20));
            if child.try_wait()?.is_none() {
                return Ok(());
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        "swtpm accepted no connection within 20 s",
    ))
}
