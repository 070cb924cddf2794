//! The programs of this workspace, as cargo built them.

use std::{env, path::PathBuf};

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
