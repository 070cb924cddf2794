//! Builds of the no_std crates for bare-metal targets, by rustup's libraries where they are, else by Debian's compiler, which
//! has the sources of its own library.

use crate::{Done, root, run, setup};
use std::{path::Path, process::Command};

/// Cortex-M0+, Cortex-M4F, Cortex-M33F and RISC-V.
const TARGETS: [&str; 4] = [
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imac-unknown-none-elf",
];

/// The crates that firmware uses.
const CRATES: [&str; 3] = ["chanbind-core", "chanbind-embedded-tls", "chanbind-tpm-spi"];

/// Debian's compiler.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

pub(crate) fn prepare() -> Done {
    if TARGETS.iter().all(|target| has_library(target)) || add_by_rustup() {
        return Ok(());
    }
    setup::for_bare_metal()
}

pub(crate) fn build() -> Done {
    prepare()?;
    for target in TARGETS {
        let mut command = cargo_for(target, "build");
        command.arg("--release").args(["--target", target]);
        // With every feature; `cargo x size` builds them without.
        command.args([
            "--features",
            "chanbind-core/authenticator,chanbind-embedded-tls/defmt,chanbind-tpm-spi/defmt",
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

/// A cargo that can build for `target`.
pub(crate) fn cargo_for(target: &str, verb: &str) -> Command {
    if has_library(target) {
        return run::cargo(&[verb, "--locked"]);
    }
    let mut command = Command::new(DEBIAN_CARGO);
    command
        .current_dir(root())
        .args([verb, "--locked", "-Zbuild-std=core,alloc"])
        .env("RUSTC", DEBIAN_RUSTC)
        .env("RUSTC_BOOTSTRAP", "1");
    // rustup's cargo has put its own in the way of what Debian's looks for.
    for name in [
        "CARGO",
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
    if !run::has("rustup") {
        return false;
    }
    let arguments = [&["target", "add"][..], &TARGETS].concat();
    let added = Command::new("rustup")
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success());
    if !added {
        println!("rustup cannot add the bare-metal targets here: Debian's compiler builds them");
    }
    added
}
