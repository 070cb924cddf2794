//! The command `provision`, which creates a device's key and the data by which the gateway recognises the device.

mod authenticator;
mod batch;
mod blessing;
mod key;
mod mutual;
pub(crate) mod new_files;
mod otp;

pub(crate) use authenticator::PublicPoint;

use crate::failure::Failure;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Provision a key in the TPM, or register a password, and write the data by which the gateway recognises the device.
///
/// With --batch, HMAC keys for one-time passwords are provisioned for all devices of a file.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    batch: batch::BatchArguments,

    #[command(subcommand)]
    kind: Option<Kind>,
}

/// The kinds of proof.
#[derive(Subcommand)]
enum Kind {
    Otp(otp::Arguments),
    Authenticator(authenticator::Arguments),
    Mutual(mutual::Arguments),
    Blessing(blessing::Arguments),
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.kind {
        Some(Kind::Otp(arguments)) => otp::run(arguments).await,
        Some(Kind::Authenticator(arguments)) => authenticator::run(arguments).await,
        Some(Kind::Mutual(arguments)) => mutual::run(arguments).await,
        Some(Kind::Blessing(arguments)) => blessing::run(arguments).await,
        None => batch::run(&arguments.batch).await,
    }
}
