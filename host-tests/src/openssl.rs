//! The command `openssl` as the peer of a TLS connection.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// An `openssl` process and the lines that it prints. The process is killed on drop.
pub struct OpenSsl {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl OpenSsl {
    /// Starts `openssl` with these arguments.
    ///
    /// # Panics
    /// Panics if `openssl` cannot be run.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("openssl: {error}"));
        let (sender, lines) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Self { child, lines }
    }

    /// Waits for the exported keying material that the process prints next, and returns it in lower-case hexadecimal.
    ///
    /// # Panics
    /// Panics if the process prints nothing for 20 seconds, or ends.
    #[must_use]
    pub fn keying_material(&self) -> String {
        loop {
            let line = self
                .lines
                .recv_timeout(Duration::from_secs(20))
                .unwrap_or_else(|error| panic!("openssl printed no keying material: {error}"));
            if let Some((_, material)) = line.split_once("Keying material: ") {
                return material.to_lowercase();
            }
        }
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
