//! Servers as processes: their ports, the processor time and the memory that they use.

use crate::Outcome;
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A running server. The process is killed on drop.
pub(crate) struct Served {
    child: Child,
    /// Held open: some servers end at the end of their standard input.
    _stdin: Option<ChildStdin>,
    _stdout: BufReader<ChildStdout>,
    pub(crate) port: u16,
}

impl Served {
    /// Starts a server that first prints a line with its address or its port.
    pub(crate) fn start(mut command: Command) -> Outcome<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("a child has no output")?;
        let mut served = Self {
            _stdin: child.stdin.take(),
            child,
            _stdout: BufReader::new(stdout),
            port: 0,
        };
        let mut line = String::new();
        served._stdout.read_line(&mut line)?;
        let words = line.split_whitespace();
        let mut ports = words.filter_map(|word| word.rsplit(':').next()?.parse().ok());
        served.port = ports
            .next()
            .ok_or_else(|| format!("{command:?} printed {line:?} instead of its port"))?;
        Ok(served)
    }

    /// Returns the processor time that the threads of the process have used, in seconds.
    pub(crate) fn processor_time(&self) -> Outcome<f64> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let first = text.split_whitespace().next();
            nanoseconds += first.ok_or("/proc: no processor time")?.parse::<u64>()?;
        }
        Ok(std::time::Duration::from_nanos(nanoseconds).as_secs_f64())
    }

    /// Returns the memory that the process has in use, in bytes.
    pub(crate) fn memory(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.ok_or("/proc: no memory")?.parse::<f64>()? * 1024.0)
    }

    pub(crate) fn kill(&mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
