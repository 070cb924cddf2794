//! The commands of `cargo x`, which people and CI run alike.
#![allow(clippy::print_stdout, reason = "the output is for people")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a panic of this program harms no user"
)]

mod bench;
mod check;
mod demo;
mod dependencies;
mod features;
mod firmware;
mod firmware_targets;
mod fuzz;
mod msrv;
mod package;
mod packages;
mod prose;
mod prove;
mod report;
mod run;
mod semver;
mod setup;
mod size;
mod test;
mod tools;
mod uf2;

use clap::{CommandFactory, Parser, Subcommand};
use std::{error::Error, path::PathBuf, process::ExitCode};

/// The result of a command or of a part of it.
type TaskResult = Result<(), Box<dyn Error>>;

/// The commands of chanbind's workspace.
#[derive(Parser)]
#[command(name = "cargo x", bin_name = "cargo x", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Install missing packages, build, and run the demo: a gateway admits a device with a TPM and refuses a thief.
    Demo(demo::Arguments),
    /// Check format, prose and lints: the quick check for every edit, under a minute when the builds are warm.
    Check,
    /// Run everything that CI runs: format, prose, lints, tests, documentation, bare-metal builds, fuzz targets.
    Test(test::Arguments),
    /// Measure speed, as ratios within one run, and count instructions, stack and bus traffic.
    Bench(bench::Arguments),
    /// Run three gateways behind one database through faults, under load: kills, and the loss of the database and of the server behind them.
    Soak(bench::SoakArguments),
    /// Count the bytes of flash, memory and stack that the bare-metal builds need.
    Size(report::Arguments),
    /// Build the flash images of the boards.
    Firmware(firmware::Arguments),
    /// Build the flash image of a board with a configuration, and flash it.
    Flash(firmware::FlashArguments),
    /// Write a configuration into a built flash image.
    Configure(firmware::ConfigureArguments),
    /// Search for inputs that crash the fuzz targets, for a number of minutes per target.
    Fuzz(fuzz::Arguments),
    /// Check the models of the proofs with a theorem prover.
    Prove(prove::Arguments),
    /// Build a .deb with the gateway and its documents, and an OCI image of it.
    Package,
    /// Compare the public interfaces of the published crates with those of the last release.
    Semver,
    /// Install the system packages that the tests and the demo need, and print their names and reasons.
    Setup,
}

/// Installs everything that tests, demo and firmware need.
fn set_up() -> TaskResult {
    setup::install_for_tests()?;
    firmware_targets::prepare()?;
    println!("all packages are installed");
    Ok(())
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        None => Arguments::command().print_help().map_err(Into::into),
        Some(Command::Demo(arguments)) => demo::run(&arguments),
        Some(Command::Check) => check::run(),
        Some(Command::Test(arguments)) => test::run(&arguments),
        Some(Command::Bench(arguments)) => bench::run(&arguments),
        Some(Command::Soak(arguments)) => bench::soak(&arguments),
        Some(Command::Size(arguments)) => size::run(&arguments),
        Some(Command::Firmware(arguments)) => firmware::run(&arguments),
        Some(Command::Flash(arguments)) => firmware::flash(&arguments),
        Some(Command::Configure(arguments)) => firmware::configure(&arguments),
        Some(Command::Fuzz(arguments)) => fuzz::run(&arguments),
        Some(Command::Prove(arguments)) => prove::run(&arguments),
        Some(Command::Package) => package::run(),
        Some(Command::Semver) => semver::run(),
        Some(Command::Setup) => set_up(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo x: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the root folder of the workspace.
fn root() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask
        .ancestors()
        .nth(2)
        .map_or(xtask.clone(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// clap checks a command only when it is used.
    #[test]
    fn all_commands_can_be_parsed() {
        Arguments::command().debug_assert();
    }
}
