//! The programs of this workspace, as cargo built them.

use rustix::process::Pid;
pub use rustix::process::Signal;
use std::{env, io, path::PathBuf, process::Child};

/// The path of a binary beside the running one.
///
/// # Panics
/// If it is not built.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let running = env::current_exe().unwrap_or_else(|error| panic!("{error}"));
    // Tests run in target/PROFILE/deps, binaries in target/PROFILE.
    running
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!(
                "{name} is not built: run `cargo build --workspace --bins`, as `cargo x test` does"
            )
        })
}

/// Whether there is a program of this name on the path.
#[must_use]
pub fn is_installed(name: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}

/// Sends a signal to a child process by system call: a minimal system has no program `kill`.
///
/// # Errors
/// The system's reason.
pub fn signal(child: &Child, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::kill_process(pid, signal)?)
}
