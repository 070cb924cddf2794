//! `cargo x`: the one script that a person and CI run.
#![allow(clippy::print_stdout, reason = "it talks to people")]

mod bench;
mod demo;
mod firmware;
mod firmware_targets;
mod fuzz;
mod report;
mod run;
mod setup;
mod size;
mod test;
mod uf2;

use clap::{CommandFactory, Parser, Subcommand};
use std::{error::Error, path::PathBuf, process::ExitCode};

type Done = Result<(), Box<dyn Error>>;

/// The commands of chanbind's workspace.
#[derive(Parser)]
#[command(name = "cargo x", bin_name = "cargo x", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing, build, and show the main job on real parts: a TPM, a gateway, a device, a thief.
    Demo(demo::Arguments),
    /// Format, lints, tests, documents, bare-metal builds, fuzz targets: all that CI runs.
    Test,
    /// Measure speed, as ratios within one run.
    Bench(report::Arguments),
    /// Count the bytes of the bare-metal builds.
    Size(report::Arguments),
    /// Build the flash images of boards.
    Firmware(firmware::Arguments),
    /// Build a board's image with a configuration, and flash it.
    Flash(firmware::FlashArguments),
    /// Put a configuration into an image that is built.
    Configure(firmware::ConfigureArguments),
    /// Search for new inputs that break the fuzz targets, for as many minutes each as you give.
    Fuzz(fuzz::Arguments),
    /// Install the system packages that tests and demo need, and say which and why.
    Setup,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        None => Arguments::command().print_help().map_err(Into::into),
        Some(Command::Demo(arguments)) => demo::run(&arguments),
        Some(Command::Test) => test::run(),
        Some(Command::Bench(arguments)) => bench::run(&arguments),
        Some(Command::Size(arguments)) => size::run(&arguments),
        Some(Command::Firmware(arguments)) => firmware::run(&arguments),
        Some(Command::Flash(arguments)) => firmware::flash(&arguments),
        Some(Command::Configure(arguments)) => firmware::configure(&arguments),
        Some(Command::Fuzz(arguments)) => fuzz::run(&arguments),
        Some(Command::Setup) => setup::all(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo x: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The top folder of the workspace.
fn root() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask
        .ancestors()
        .nth(2)
        .map_or(xtask.clone(), PathBuf::from)
}
