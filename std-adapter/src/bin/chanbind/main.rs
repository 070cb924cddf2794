//! The command `chanbind`: provision a key, serve a gateway, connect to one, look into files and tokens.

mod connect;
mod failure;
mod files;
mod gateway;
mod inspect;
mod provision;
mod shared;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Prove who a device is, on the one TLS connection it speaks on.
///
/// A device's HMAC key lives in its TPM. Device and gateway export keying material from their TLS 1.3 connection; the TPM
/// makes a one-time key of it, and so does the gateway. The proof is worth nothing on any other connection.
///
/// With --authenticator the TPM holds the key of a certificate instead, and the proof is an Exported Authenticator (RFC 9261):
/// the gateway needs no secret, only the authority of the certificates.
///
/// Start with `chanbind provision --help`.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the gateway.\n\nLogs: set RUST_LOG, for example RUST_LOG=chanbind=debug."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Provision(provision::Arguments),
    Gateway(gateway::Arguments),
    Connect(connect::Arguments),
    Inspect(inspect::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    quieten_tpm_stack();
    // Refusals are an operator's business; the TPM software stack's own lines would say everything twice.
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("chanbind=info,tss_esapi=off"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr)
        .init();
    let done = match arguments.command {
        Command::Provision(arguments) => provision::run(arguments).await,
        Command::Gateway(arguments) => gateway::run(arguments).await,
        Command::Connect(arguments) => connect::run(arguments).await,
        Command::Inspect(arguments) => inspect::run(&arguments),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("chanbind: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The TPM software stack prints each failure by itself, in its own words. Its switch is an environment variable that it reads
/// once, so the program starts itself again with it set, unless the user has set it.
fn quieten_tpm_stack() {
    const SWITCH: &str = "TSS2_LOG";
    #[cfg(unix)]
    if std::env::var_os(SWITCH).is_none()
        && let Ok(program) = std::env::current_exe()
    {
        use std::os::unix::process::CommandExt;
        // It returns only where it failed, and then the noise stays.
        let _ = std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(SWITCH, "all+NONE")
            .exec();
    }
}
