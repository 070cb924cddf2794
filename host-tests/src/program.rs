//! Programs: those that cargo built from this workspace, installed ones, and running ones.

use rustix::process::Pid;
pub use rustix::process::Signal;
use std::{env, io, path::PathBuf, process::Child};

/// Returns the path of a binary of this workspace that was built with the same profile as the running program.
///
/// # Panics
/// Panics if the binary is not built.
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

/// Returns whether a folder of `PATH` has a file of this name.
#[must_use]
pub fn is_installed(name: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}

/// Sends a signal to a child process, by a system call because a minimal system has no program `kill`.
///
/// # Errors
/// Returns [`io::ErrorKind::InvalidInput`] for an invalid process id, otherwise the error of the system call.
pub fn signal(child: &Child, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::kill_process(pid, signal)?)
}
