//! The command `chanbind`: provisions keys, serves a gateway, connects to one, and explains files.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "the numbers here are lengths, counts and times on a host; chanbind-core parses those of the peer"
)]

#[cfg(feature = "cli")]
mod connect;
#[cfg(feature = "cli")]
mod doctor;
mod documents;
mod failure;
mod files;
mod gateway;
#[cfg(feature = "cli")]
mod inspect;
mod logs;
mod old;
#[cfg(feature = "cli")]
mod password;
#[cfg(feature = "cli")]
mod principal;
mod principal_folder;
#[cfg(feature = "cli")]
mod provision;
mod registry;
mod shared;
#[cfg(feature = "cli")]
mod target;
#[cfg(feature = "cli")]
mod tpm;

use clap::{Parser, Subcommand};
use logs::{LogFormat, Logs};
use std::process::ExitCode;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Prove who a device is, on the one TLS connection it speaks on.
///
/// The device's key is in its TPM. A proof is bound to one TLS 1.3 connection, and is worth nothing on any other. The kinds of proof:
///
/// otp: an HMAC key makes a one-time password of the connection; the gateway has the same key in its registry.
///
/// authenticator: the key of a certificate signs an Exported Authenticator (RFC 9261); the gateway needs no secret, only the authority
/// of the certificates.
///
/// mutual: a password proves its user and the gateway to each other, and is shown to neither (RFC 8120).
///
/// blessing: the key of a principal proves the names that others have given it; the gateway proves its own first (Vanadium).
///
/// Start with `chanbind provision --help`, or for blessings with `chanbind principal --help`.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage; `chanbind connect` has more.\n\nLogs go to standard error. Set RUST_LOG for more, for example RUST_LOG=chanbind=debug, and NO_COLOR for text without colours."
)]
struct Arguments {
    /// The format of logs.
    #[arg(long, value_enum, global = true, default_value_t = LogFormat::Text)]
    log_format: LogFormat,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[cfg(feature = "cli")]
    Provision(provision::Arguments),
    #[cfg(feature = "cli")]
    Principal(principal::Arguments),
    Gateway(gateway::Arguments),
    Registry(registry::Arguments),
    #[cfg(feature = "cli")]
    Connect(connect::Arguments),
    #[cfg(feature = "cli")]
    Inspect(inspect::Arguments),
    #[cfg(feature = "cli")]
    Doctor(doctor::Arguments),
    Completions(documents::CompletionsArguments),
    #[command(hide = true)]
    Man(documents::ManArguments),
}

fn main() -> ExitCode {
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("chanbind: the program cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run());
    // The system may still be resolving a name that a time limit has given up.
    runtime.shutdown_background();
    code
}

async fn run() -> ExitCode {
    if let Some(advice) = old::advice(std::env::args_os().skip(1)) {
        eprintln!("chanbind: {advice}");
        return ExitCode::from(2);
    }
    #[cfg(not(feature = "cli"))]
    if let Some(verb) = std::env::args().nth(1)
        && ["provision", "principal", "connect", "inspect", "doctor"].contains(&verb.as_str())
    {
        eprintln!(
            "chanbind: this program was built without {verb}: build it with its default features, which need the TPM software stack (Debian and Ubuntu: libtss2-dev; Fedora: tpm2-tss-devel)"
        );
        return ExitCode::from(2);
    }
    let arguments = Arguments::parse();
    quieten_tpm_stack();
    let is_gateway = matches!(arguments.command, Command::Gateway(_));
    let _logs = match Logs::start(arguments.log_format, is_gateway) {
        Ok(logs) => logs,
        Err(error) => {
            eprintln!("chanbind: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = match arguments.command {
        #[cfg(feature = "cli")]
        Command::Provision(arguments) => provision::run(arguments).await,
        #[cfg(feature = "cli")]
        Command::Principal(arguments) => principal::run(arguments).await,
        Command::Gateway(arguments) => gateway::run(arguments).await,
        Command::Registry(arguments) => registry::run(arguments).await,
        #[cfg(feature = "cli")]
        Command::Connect(arguments) => {
            let done = connect::run(arguments).await;
            if let Err(error) = &done {
                eprintln!("chanbind: {error}");
                return ExitCode::from(connect::exit_code(error));
            }
            done
        }
        #[cfg(feature = "cli")]
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Completions(arguments) => {
            documents::completions(&arguments).map(|()| ExitCode::SUCCESS)
        }
        Command::Man(arguments) => documents::man(&arguments).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "cli")]
        Command::Doctor(arguments) => match doctor::run(arguments).await {
            Err(error) => {
                eprintln!("chanbind: {error}");
                return ExitCode::from(connect::exit_code(&error));
            }
            done => done,
        },
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("chanbind: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Silences the TPM software stack, which prints each failure in words of its own. Its switch is an environment variable that it reads
/// once, so the program starts itself again with it set, unless the user has set it.
fn quieten_tpm_stack() {
    const SWITCH: &str = "TSS2_LOG";
    #[cfg(unix)]
    if std::env::var_os(SWITCH).is_none()
        && let Ok(program) = std::env::current_exe()
    {
        use std::os::unix::process::CommandExt;
        // It returns only if it fails, and then the messages stay.
        let _ = std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(SWITCH, "all+NONE")
            .exec();
    }
}
