//! Processes whose pipes are always read and which always end.

use super::*;
use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, ExitStatus},
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
};

/// Runs a command to its end and returns its output. Kills it after [`LIMIT`].
pub(crate) fn finish(mut child: Child) -> Output {
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let status = wait(&mut child);
    Output {
        status: status.expect("the command does not end"),
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// Waits for the end of a process. Kills it after [`LIMIT`] and returns `None`.
pub(crate) fn wait(child: &mut Child) -> Option<ExitStatus> {
    if wait_until(|| child.try_wait().unwrap().is_some()) {
        return child.wait().ok();
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// A running `chanbind gateway`. It is killed on drop.
pub(crate) struct Gateway {
    pub(crate) child: Child,
    pub(crate) port: u16,
    /// The line that it printed on standard output.
    pub(crate) line: String,
    log: Arc<Mutex<String>>,
}

impl Gateway {
    /// Starts a gateway and waits until it listens. Its log is what it writes to `log`, or to standard error if that is `None`.
    pub(crate) fn start(command: &mut Command, log: Option<std::fs::File>) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let collected = Arc::new(Mutex::new(String::new()));
        if let Some(pipe) = child.stderr.take() {
            collect(pipe, Arc::clone(&collected));
        }
        if let Some(pipe) = log {
            collect(pipe, Arc::clone(&collected));
        }
        let stdout = child.stdout.take().unwrap();
        let mut gateway = Self {
            child,
            port: 0,
            line: String::new(),
            log: collected,
        };
        let (sender, line) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let line = line.recv_timeout(LIMIT);
        gateway.line = line.unwrap_or_else(|error| panic!("{error}: {}", gateway.log()));
        let address = gateway.line.strip_prefix("listening on ");
        let address = address.and_then(|rest| rest.split(' ').next()?.parse::<SocketAddr>().ok());
        gateway.port = address
            .unwrap_or_else(|| panic!("{:?}", gateway.line))
            .port();
        gateway
    }

    pub(crate) fn url(&self) -> String {
        self.url_of("/get")
    }

    pub(crate) fn url_of(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        program::signal(&self.child, signal).unwrap();
    }

    /// Returns the log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log contains `part`, and returns the log.
    pub(crate) fn wait_for_log(&self, part: &str) -> String {
        let is_logged = wait_until(|| self.log().contains(part));
        let log = self.log();
        assert!(is_logged, "{part:?} is not logged: {log}");
        log
    }

    /// Stops the gateway by the signal of service managers, and returns its log.
    pub(crate) fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        let status = wait(&mut self.child).expect("the gateway does not stop");
        assert!(status.success(), "{status}: {}", self.log());
        // The reader holds one reference until the end of the log.
        wait_until(|| Arc::strong_count(&self.log) == 1);
        self.log()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(pipe: impl Read + Send + 'static, log: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            log.lock().unwrap().push_str(&text(&line));
            line.clear();
        }
    });
}
