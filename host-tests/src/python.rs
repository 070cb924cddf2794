//! Finds a Python that has pyOpenSSL, for the client in `host-tests/interop/python`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// Returns a Python 3 that has pyOpenSSL: the first of `PATH`, or that of the system, which Debian's package `python3-openssl` extends.
/// Returns `None` if neither has it. `cargo x test` reports the tests that are skipped then.
pub fn with_openssl() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let found = ["python3", "/usr/bin/python3"]
                .into_iter()
                .find(|python| has_openssl(python));
            if found.is_none() {
                eprintln!("SKIPPED: pyOpenSSL is not installed (Debian: python3-openssl)");
            }
            found.map(PathBuf::from)
        })
        .as_deref()
}

fn has_openssl(python: &str) -> bool {
    Command::new(python)
        .args(["-c", "import OpenSSL, cryptography"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Returns the path of a script in `host-tests/interop/python`.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("interop/python")
        .join(name)
}
