//! Builds the no_std crates for bare-metal targets, with the standard libraries that rustup installs, or without rustup with Debian's
//! compiler, which comes with the sources of `core`.

use crate::{TaskResult, root, run, setup};
use std::{path::Path, process::Command};

/// Cortex-M0+, Cortex-M4F, Cortex-M33F and RISC-V.
const TARGETS: [&str; 4] = [
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imac-unknown-none-elf",
];

/// The crates of this workspace that build for every bare-metal target.
const CRATES: [&str; 3] = ["chanbind-core", "chanbind-embedded-tls", "chanbind-tpm-spi"];

/// The compiler of Debian's package `rustc-web`.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";

/// Installs the libraries of the bare-metal targets, or else Debian's compiler.
pub(crate) fn prepare() -> TaskResult {
    if TARGETS.iter().all(|target| has_library(target)) || add_by_rustup() {
        return Ok(());
    }
    setup::install_for_bare_metal()
}

/// Builds the no_std crates with all features for every bare-metal target.
pub(crate) fn build() -> TaskResult {
    prepare()?;
    for target in TARGETS {
        let mut command = cargo_for(target, "build");
        command.arg("--release").args(["--target", target]);
        // All features; `cargo x size` builds the crates without them.
        command.args([
            "--features",
            "chanbind-core/authenticator,chanbind-core/blessing-channel,chanbind-core/mutual,chanbind-embedded-tls/defmt,chanbind-tpm-spi/defmt",
        ]);
        for name in CRATES {
            command.args(["--package", name]);
        }
        run::quietly(
            &format!("build {} for {target}", CRATES.join(", ")),
            &mut command,
        )?;
    }
    Ok(())
}

/// Returns a cargo command that can build or, with the verb `clippy`, check for `target`.
pub(crate) fn cargo_for(target: &str, verb: &str) -> Command {
    if has_library(target) {
        return run::cargo(&[verb, "--locked"]);
    }
    // As a subcommand, cargo would run the first clippy of `PATH`, which may be rustup's.
    let program = if verb == "clippy" {
        DEBIAN_CLIPPY
    } else {
        DEBIAN_CARGO
    };
    let mut command = Command::new(program);
    command
        .current_dir(root())
        .args([verb, "--locked", "-Zbuild-std=core,alloc"])
        .env("CARGO", DEBIAN_CARGO)
        .env("RUSTC", DEBIAN_RUSTC)
        .env("RUSTC_BOOTSTRAP", "1");
    // The cargo that runs this program may be rustup's, which sets variables that would lead Debian's cargo to rustup's compiler.
    for name in [
        "CARGO_TARGET_DIR",
        "RUSTUP_TOOLCHAIN",
        "RUSTC_WRAPPER",
        "RUSTDOC",
    ] {
        command.env_remove(name);
    }
    command
}

fn has_library(target: &str) -> bool {
    Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .output()
        .is_ok_and(|output| {
            output.status.success()
                && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
        })
}

fn add_by_rustup() -> bool {
    if !run::is_installed("rustup") {
        return false;
    }
    let arguments = [&["target", "add"][..], &TARGETS].concat();
    let added = Command::new("rustup")
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success());
    if !added {
        println!("rustup cannot add the bare-metal targets: using Debian's compiler instead");
    }
    added
}
