//! Connecting with a password.

use super::{exchange::exchange, exit::CommandError, request::RequestArguments};
use crate::{failure::Failure, password::PasswordArguments};
use axum::http::StatusCode;
use chanbind::{
    proof::mutual::prover,
    protocol::mutual::{MutualSettings, Origin, Validation},
};
use clap::{Args, ValueEnum};
use std::process::ExitCode;

/// Prove a password, and have the server prove that it knows this user, by HTTP Mutual authentication (RFC 8120).
///
/// The password is asked for on the terminal, and shown to no server. Only a response that the server has proved to be its own is shown.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind connect mutual https://localhost:8443/get --ca ca.pem --user john"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    request: RequestArguments,

    /// The name of the user.
    #[arg(long, value_name = "NAME")]
    user: String,

    #[command(flatten)]
    password: PasswordArguments,

    /// The binding of the proof to the connection that is accepted; may be given several times, the preferred first. Default: for https
    /// tls-exporter and tls-server-end-point, for http host.
    #[arg(long, value_enum, value_name = "METHOD")]
    validation: Vec<ValidationArgument>,
}

/// A host validation method, on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum ValidationArgument {
    /// This one TLS connection.
    TlsExporter,
    /// The server's certificate.
    TlsServerEndPoint,
    /// The server's name.
    Host,
}

impl From<ValidationArgument> for Validation {
    fn from(argument: ValidationArgument) -> Self {
        match argument {
            ValidationArgument::TlsExporter => Self::TlsExporter,
            ValidationArgument::TlsServerEndPoint => Self::TlsServerEndPoint,
            ValidationArgument::Host => Self::Host,
        }
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut task = arguments.request.task_with_or_without_tls()?;
    // The server proves itself before it sees the content.
    task.authenticates_first = task.content_len > 0;
    let url = &arguments.request.target.url;
    let is_https = url.scheme_str() == Some("https");
    let authority = url.authority().map(|one| one.as_str()).unwrap_or_default();
    let origin = Origin::new(is_https, authority)
        .map_err(|error| CommandError::usage(format!("{url}: {error}")))?;
    if !is_https {
        eprintln!(
            "warning: http has no TLS: others on the network can read the request and the response, and replace both while you are logged in"
        );
    }
    let mut settings = MutualSettings::of(&origin);
    if !arguments.validation.is_empty() {
        let chosen: Vec<Validation> = arguments.validation.iter().map(|&one| one.into()).collect();
        // The settings live as long as the program.
        settings.validations = chosen.leak();
    }
    let password = arguments.password.read(&arguments.user)?;
    let prover = prover(origin, &arguments.user, &password)?.with_settings(settings);
    let (done, _) = exchange(&arguments.request, task, prover, ()).await?;
    Ok(done.report(|status| advice(status).to_owned()))
}

fn advice(status: StatusCode) -> &'static str {
    if status == StatusCode::FORBIDDEN {
        "the gateway knows this user and does not let it do this: ask its operator"
    } else {
        "the gateway did not admit this user: is the password the one that was registered for this realm?"
    }
}
