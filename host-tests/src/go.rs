//! Builds and runs the Go programs in `host-tests/interop/go`, if Go is installed.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
    sync::OnceLock,
};

/// Builds the program, once per process, and returns its path, or `None` if Go is not installed. `cargo x test` reports the tests that
/// are skipped then.
///
/// # Panics
/// Panics if Go is installed and the program does not build.
pub fn program() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| build(".", "interop-go")).as_deref()
}

/// Builds the client in `otpclient`, which uses Go's standard library only, as [`program`] does.
///
/// # Panics
/// Panics if Go is installed and the client does not build.
pub fn otp_client() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT
        .get_or_init(|| build("./otpclient", "interop-go-otpclient"))
        .as_deref()
}

/// Builds the implementation of RFC 8120 in `mutual`, which uses Go's standard library only, as [`program`] does.
///
/// # Panics
/// Panics if Go is installed and the program does not build.
pub fn mutual() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT
        .get_or_init(|| build("./mutual", "interop-go-mutual"))
        .as_deref()
}

/// Builds the implementation of Vanadium's blessings in `blessing`, as [`program`] does.
///
/// # Panics
/// Panics if Go is installed and the program does not build.
pub fn blessing() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT
        .get_or_init(|| build("./blessing", "interop-go-blessing"))
        .as_deref()
}

/// Builds a package of the module and returns the path of the program.
fn build(package: &str, name: &str) -> Option<PathBuf> {
    if !crate::program::is_installed("go") {
        eprintln!("SKIPPED: Go is not installed");
        return None;
    }
    let sources = sources();
    let program = sources.join("../../../target").join(name);
    let output = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(package)
        .current_dir(sources)
        .output()
        .unwrap_or_else(|error| panic!("go: {error}"));
    assert!(
        output.status.success(),
        "go build: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(program)
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/go")
}

/// Runs the Go tests of the program with these variables in their environment, and returns their standard output.
///
/// # Panics
/// Panics if Go cannot be run, or if a test fails.
#[must_use]
pub fn test(environment: &[(&str, &Path)]) -> String {
    // Without `-count=1`, Go would reuse a cached result after changes to files outside of its module.
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

/// Runs the program, waits for its end, and returns its output.
///
/// # Panics
/// Panics if the program cannot be run.
#[must_use]
pub fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// Runs the program with `input` as its standard input, waits for its end, and returns the lines that it prints.
///
/// # Panics
/// Panics if the program cannot be run, or fails.
#[must_use]
pub fn run_with(program: &Path, arguments: &[&str], input: &str) -> Vec<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // The program prints while it reads: write from another thread, so that neither pipe can fill up and block both sides.
        scope.spawn(move || {
            stdin
                .take()
                .map(|mut stdin| stdin.write_all(input.as_bytes()))
        });
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

/// The Go program as a server. The process is killed on drop.
pub struct Server {
    child: Child,
    /// Held open: the server ends at the end of its standard input.
    _stdin: ChildStdin,
    /// Held open: the server would end at its next line.
    _stdout: BufReader<ChildStdout>,
    /// The port on 127.0.0.1 on which the server listens.
    pub port: u16,
}

impl Server {
    /// Starts the server. `command` is the subcommand that serves, and `arguments` are the arguments of that subcommand.
    ///
    /// # Panics
    /// Panics if the program cannot be run, or if the first line that it prints is not a port.
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
        let mut stdout = child.stdout.take().map(BufReader::new);
        if let Some(stdout) = &mut stdout {
            // Without a line there is no port.
            let _ = stdout.read_line(&mut line);
        }
        // The port alone, or after an address.
        let port = line.trim().rsplit(':').next().unwrap_or_default().parse();
        match (port, child.stdin.take(), stdout) {
            (Ok(port), Some(stdin), Some(stdout)) => Self {
                child,
                _stdin: stdin,
                _stdout: stdout,
                port,
            },
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the Go server printed {line:?} instead of its port");
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
