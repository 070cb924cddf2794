//! The Go program in `host-tests/interop/go`, where Go is installed.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::OnceLock,
};

/// The built program; `None` where there is no Go, of which `cargo x test` warns.
///
/// # Panics
/// If Go is there and the program does not build.
pub fn program() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            if !crate::program::is_installed("go") {
                eprintln!("SKIPPED: Go is not installed");
                return None;
            }
            let sources = sources();
            let program = sources.join("../../../target/interop-go");
            let output = Command::new("go")
                .args(["build", "-o"])
                .arg(&program)
                .arg(".")
                .current_dir(sources)
                .output()
                .unwrap_or_else(|error| panic!("go: {error}"));
            assert!(
                output.status.success(),
                "go build: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            Some(program)
        })
        .as_deref()
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/go")
}

/// Runs the program's own tests, with these variables in their environment, and gives what they print.
///
/// # Panics
/// If they fail.
#[must_use]
pub fn test(environment: &[(&str, &Path)]) -> String {
    // Go takes a result of before for good where only files outside of its module have changed.
    let output = Command::new("go")
        .args(["test", "-count=1", "-v", "./..."])
        .envs(environment.iter().copied())
        .current_dir(sources())
        .output()
        .unwrap_or_else(|error| panic!("go: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "go test: {printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    printed
}

/// Runs the program to its end.
///
/// # Panics
/// If it cannot be run.
#[must_use]
pub fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// Runs the program to its end, with `input` as its standard input, and gives the lines that it prints.
///
/// # Panics
/// If it cannot be run, or fails.
#[must_use]
pub fn run_with(program: &Path, arguments: &[&str], input: &str) -> Vec<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut to = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // It prints while it reads.
        scope.spawn(move || to.take().map(|mut to| to.write_all(input.as_bytes())));
        child.wait_with_output()
    })
    .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.lines().map(str::to_owned).collect()
}

/// The program as a server; ended when dropped.
pub struct Server {
    child: Child,
    _open: ChildStdin,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl Server {
    /// Starts it; `command` is the one of its subcommands that serves.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start(program: &Path, command: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .arg(command)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut line = String::new();
        let started = child
            .stdout
            .take()
            .is_some_and(|out| BufReader::new(out).read_line(&mut line).is_ok());
        match (line.trim().parse(), child.stdin.take()) {
            (Ok(port), Some(open)) if started => Self {
                child,
                _open: open,
                port,
            },
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the Go server said {line:?}");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
