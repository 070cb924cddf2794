//! A gateway's client.

mod authenticator;
mod blessing;
mod exchange;
mod exit;
mod mutual;
mod otp;
mod request;

use crate::failure::Failure;
use clap::{Args, Subcommand};
use std::process::ExitCode;

pub(crate) use exit::{CommandError, exit_code};

/// Connect to a gateway, prove who this device is, and send a request.
///
/// The content of the response goes to standard output, everything else to standard error.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 admitted by the proof; 1 admitted, but the response is an error, or any other failure; 2 wrong usage; 3 refused;\n4 answered without asking for a proof (a one-time password is shown unasked: a server that ignores it gives 0); 5 network; 6 TLS; 7 TPM or key; 8 file.\n\nThe environment variables HTTPS_PROXY, ALL_PROXY and NO_PROXY name a proxy."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    kind: Kind,
}

/// The kinds of proof.
#[derive(Subcommand)]
enum Kind {
    Otp(otp::Arguments),
    Authenticator(authenticator::Arguments),
    Blessing(blessing::Arguments),
    Mutual(mutual::Arguments),
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.kind {
        Kind::Otp(arguments) => otp::run(arguments).await,
        Kind::Authenticator(arguments) => authenticator::run(arguments).await,
        Kind::Blessing(arguments) => blessing::run(arguments).await,
        Kind::Mutual(arguments) => mutual::run(arguments).await,
    }
}
