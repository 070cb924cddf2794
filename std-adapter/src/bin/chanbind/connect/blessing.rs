//! Connecting with blessings.

use super::{exchange::exchange, request::RequestArguments};
use crate::{
    failure::Failure, principal::Opened, principal_folder::PrincipalFolder, tpm::TpmArguments,
};
use axum::http::StatusCode;
use chanbind::proof::blessing::{PeerPatterns, prover};
use clap::Args;
use std::{path::PathBuf, process::ExitCode, sync::Arc};

/// Prove the names of a principal's blessings to a server that has proved its own first.
///
/// A server without a name that --server matches is shown nothing: neither names nor the public key.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind connect blessing https://localhost:8443/get --ca ca.pem --principal pump7 --server factory:gateway"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    request: RequestArguments,

    /// The folder of the principal, as `chanbind principal create` writes it.
    #[arg(long, value_name = "FOLDER")]
    principal: PathBuf,

    /// A pattern for names of servers that are trusted. May be repeated.
    #[arg(long, value_name = "PATTERN", required = true)]
    server: Vec<String>,

    #[command(flatten)]
    tpm: TpmArguments,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let folder = PrincipalFolder::new(&arguments.principal);
    let mut task = arguments.request.task()?;
    // The server proves itself before it sees the content.
    task.authenticates_first = task.content_len > 0;
    let servers = PeerPatterns::admit(arguments.server.iter());
    let opened = Opened::open(&folder, &arguments.tpm).await?;
    let principal = Arc::new(opened.principal.clone());
    let prover = prover(&principal, &servers);
    let key = principal.key().clone();
    let done = exchange(&arguments.request, task, prover, key).await;
    drop(principal);
    // The worker thread does not outlive the program: keys leave the TPM before it ends, in any case.
    opened.close().await;
    let (done, _) = done?;
    Ok(done.report(|status| advice(status).to_owned()))
}

fn advice(status: StatusCode) -> &'static str {
    if status == StatusCode::FORBIDDEN {
        "the gateway knows this principal and does not let it do this: ask its operator"
    } else {
        "the gateway did not admit this principal: does it recognize the root of its name, does a pattern admit the name, and have the blessings expired?"
    }
}
