//! The command `gateway`, which serves a gateway.

mod admin;
mod authenticator;
mod blessing;
mod check;
mod config;
mod diagnostics;
mod mutual;
mod otp;
mod serve;
mod signals;
#[cfg(feature = "opentelemetry")]
mod traces;

use crate::failure::Failure;
use clap::{Args, Subcommand};
use config::Config;
#[cfg(feature = "cli")]
pub(crate) use diagnostics::DEFAULT_PATH as DIAGNOSTICS_PATH;
use std::{path::PathBuf, process::ExitCode};
#[cfg(feature = "opentelemetry")]
pub(crate) use traces::Traces;

/// Serve a gateway that admits devices by their proofs.
///
/// With --config a file says which paths need which proofs, and where the requests of admitted devices are passed on to: with their identity in
/// header fields, and whatever devices say of themselves in those removed.
///
/// The subcommands serve one kind of proof without a file. They answer with `ok` and the name of the device, to try things out, and so does a
/// configuration without an upstream.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    after_help = "Example of a file:\n  listen = \":8443\"\n\n  [tls]\n  certificate = \"chain.pem\"\n  key = \"key.pem\"\n\n  [upstream]\n  url = \"http://127.0.0.1:8080\"\n\n  [proof.otp]\n  registry = \"registry.toml\"\n\n  [proof.authenticator]\n  client_ca = \"ca.pem\"\n\n  [proof.mutual]\n  origin = \"https://gateway.example:8443\"\n  realm = \"technicians\"\n  users = \"users.toml\"\n\n  [[rule]]\n  path = \"/\"\n  any = [\"otp\", \"authenticator\", \"mutual\"]\n\n  [[rule]]\n  path = \"/health\"\n  exempt = true\n\nOn SIGHUP everything is read again, and connections stay open; registry and users are read when they change, too."
)]
pub(crate) struct Arguments {
    /// The configuration, TOML.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Check the configuration and the files that it names, print what was found, and exit.
    #[arg(long, requires = "config")]
    check: bool,

    #[command(subcommand)]
    kind: Option<Kind>,
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
    let config = match (arguments.kind, &arguments.config) {
        (Some(Kind::Otp(arguments)), _) => arguments.config(),
        (Some(Kind::Authenticator(arguments)), _) => arguments.config(),
        (Some(Kind::Blessing(arguments)), _) => arguments.config(),
        (Some(Kind::Mutual(arguments)), _) => arguments.config(),
        (None, Some(path)) => Config::read(path)?,
        (None, None) => return Err("give --config, or a kind of proof".into()),
    };
    let prepared = config.prepare().await?;
    if arguments.check {
        return check::report(&prepared);
    }
    serve::run(config, prepared).await
}
