//! The command `principal`: keys, names and roots of Vanadium's principals.

mod bless;
mod create;
mod discharge;
mod dump;
mod opened;
mod recognize;
mod set;
mod show;

pub(crate) use opened::Opened;

use crate::failure::Failure;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Create principals, bless them with names, and look at both.
///
/// A principal is a folder with a key, the blessings that it shows to peers, and the roots that it recognizes. Blessings and public keys are read and
/// written as Vanadium's command `principal` does: base64url, on one line.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind principal create factory --name factory\n  chanbind principal create pump7\n  chanbind principal bless factory --for pump7 --extension line3:pump7 --valid-for 365d > pump7.blessings\n  chanbind principal set pump7 pump7.blessings\n  chanbind principal recognize pump7 --blessings pump7.blessings\n  chanbind principal show pump7"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Create(create::Arguments),
    Bless(bless::Arguments),
    Set(set::Arguments),
    Recognize(recognize::Arguments),
    Show(show::Arguments),
    Dump(dump::Arguments),
    Discharge(discharge::Arguments),
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command {
        Command::Create(arguments) => create::run(arguments).await,
        Command::Bless(arguments) => bless::run(arguments).await,
        Command::Set(arguments) => set::run(&arguments),
        Command::Recognize(arguments) => recognize::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Discharge(arguments) => discharge::run(arguments).await,
        Command::Dump(arguments) => dump::run(&arguments),
    }
}
