//! The command `provision`, which creates a device's key and the data by which the gateway recognises the device.

mod authenticator;
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
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    kind: Kind,
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
        Kind::Otp(arguments) => otp::run(arguments).await,
        Kind::Authenticator(arguments) => authenticator::run(arguments).await,
        Kind::Mutual(arguments) => mutual::run(arguments).await,
        Kind::Blessing(arguments) => blessing::run(arguments).await,
    }
}
