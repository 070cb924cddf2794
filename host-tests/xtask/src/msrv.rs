//! Compiles the workspace with the oldest Rust version that it supports, the `rust-version` of `Cargo.toml`.

use crate::{TaskResult, run};
use std::process::Command;

/// The oldest supported version, like 1.95.
const VERSION: &str = env!("CARGO_PKG_RUST_VERSION");

/// The compiler that can check the oldest supported version.
#[derive(Debug, PartialEq, Eq)]
enum Compiler {
    /// The compiler of all other parts has this version.
    Current,
    /// The toolchain of rustup with this name.
    Toolchain(String),
    Missing,
}

/// Compiles all default members with the oldest supported version. Does nothing if the other parts do that, or if that version is not
/// installed.
pub(crate) fn check() -> TaskResult {
    let toolchain = match compiler() {
        Compiler::Toolchain(name) => name,
        Compiler::Current => {
            println!("the compiler of all parts is Rust {VERSION}, the oldest supported version");
            return Ok(());
        }
        Compiler::Missing => {
            println!("Rust {VERSION} is not installed");
            return Ok(());
        }
    };
    let mut check = run::command(&["rustup", "run", &toolchain, "cargo", "check"]);
    check
        .args(["--quiet", "--locked", "--all-targets"])
        .env("CARGO_TARGET_DIR", "target/msrv");
    // The cargo that runs this program sets variables that would lead the toolchain's cargo to another compiler.
    for name in ["CARGO", "RUSTC", "RUSTDOC"] {
        check.env_remove(name);
    }
    run::quietly(&format!("check with the toolchain {toolchain}"), &mut check).map(|_| ())
}

/// Returns whether an installed compiler has the oldest supported version.
pub(crate) fn is_installed() -> bool {
    compiler() != Compiler::Missing
}

fn compiler() -> Compiler {
    let output = |program: &str, arguments: &[&str]| {
        (Command::new(program).args(arguments).output())
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default()
    };
    choose(
        VERSION,
        &output("rustc", &["--version"]),
        &output("rustup", &["toolchain", "list"]),
    )
}

/// Chooses a compiler of `version` from the outputs of `rustc --version` and `rustup toolchain list`.
fn choose(version: &str, current: &str, toolchains: &str) -> Compiler {
    // Any patch version: 1.95.1 is 1.95, but 1.9 is not.
    let is_version = |text: &str| {
        text.strip_prefix(version)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if current.strip_prefix("rustc ").is_some_and(is_version) {
        return Compiler::Current;
    }
    toolchains
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .find(|name| is_version(name))
        .map_or(Compiler::Missing, |name| {
            Compiler::Toolchain(name.to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOLCHAINS: &str =
        "stable-x86_64-unknown-linux-gnu (active, default)\n1.95.0-x86_64-unknown-linux-gnu\n";

    #[test]
    fn uses_the_current_compiler_if_it_has_the_version() {
        let current = "rustc 1.95.1 (59807616e 2026-04-14)";
        assert_eq!(choose("1.95", current, TOOLCHAINS), Compiler::Current);
    }

    #[test]
    fn finds_a_toolchain_of_the_version() {
        let current = "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)";
        assert_eq!(
            choose("1.95", current, TOOLCHAINS),
            Compiler::Toolchain("1.95.0-x86_64-unknown-linux-gnu".to_owned())
        );
        assert_eq!(choose("1.9", current, TOOLCHAINS), Compiler::Missing);
        assert_eq!(choose("1.88", current, ""), Compiler::Missing);
    }
}
