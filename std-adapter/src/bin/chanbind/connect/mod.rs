//! A gateway's client.

mod authenticator;
mod password;

use crate::{
    files::{named, read},
    inspect::visible,
    shared::{Failure, FormArgument, SettingsArguments, TpmArguments},
};
use authenticator::explain;
use axum::http::{Request, Response, StatusCode, Uri};
use bytes::Bytes;
use chanbind::{
    authenticator::Trust,
    client::{Asked, CertifiedError, ClientError, Connection},
    core::authenticator::ValidateError,
    tls,
};
use clap::Args;
use rustls::ClientConfig;
use std::{io::Write, path::PathBuf, process::ExitCode};

/// Connect to a gateway, prove who this device is, and get a URL.
///
/// The answer's body goes to standard output, everything else to standard error.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  chanbind connect https://localhost:8443/get --ca ca.pem --key client1.pem --client-id client1\n  chanbind connect https://localhost:8443/get --ca ca.pem \\\n    --authenticator --certificate client1.crt --key client1.pem"
)]
pub(crate) struct Arguments {
    /// What to get, like https://gateway.example:8443/path.
    url: Uri,

    /// The certification authority of the gateway, PEM.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,

    /// The device's key file, as `chanbind provision` wrote it; with --authenticator also a private key outside of a TPM, PEM.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// A file with the password of a key in the TPM, if it has one.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// The name by which the gateway knows this device. With --authenticator the certificate says it.
    #[arg(
        long,
        value_name = "ID",
        required_unless_present = "authenticator",
        conflicts_with = "authenticator"
    )]
    client_id: Option<String>,

    /// How to prove it.
    #[arg(long, value_enum, default_value_t = FormArgument::ApiKey, conflicts_with = "authenticator")]
    proof: FormArgument,

    /// Prove the key of a certificate instead, by an Exported Authenticator (RFC 9261), when the gateway asks.
    #[arg(long, requires = "certificate", conflicts_with = "SettingsArguments")]
    authenticator: bool,

    /// The device's certificate, PEM, and behind it those between it and the authority that the gateway trusts.
    #[arg(
        long,
        value_name = "FILE",
        requires = "authenticator",
        conflicts_with = "client_id"
    )]
    certificate: Option<PathBuf>,

    /// Ask the gateway for a second identity, of these authorities, 1 to 4, PEM. If it proves none, the exit code is 1.
    #[arg(
        long,
        value_name = "FILE",
        requires = "authenticator",
        conflicts_with = "client_id"
    )]
    second_ca: Option<PathBuf>,

    /// The DNS name that the second identity must have.
    #[arg(long, value_name = "NAME", requires = "second_ca")]
    second_name: Option<String>,

    #[command(flatten)]
    settings: SettingsArguments,

    #[command(flatten)]
    tpm: TpmArguments,
}

/// What there is to do, read and checked.
struct Task {
    host: String,
    port: u16,
    tls: ClientConfig,
    request: Request<()>,
}

/// What came of it.
struct Answered {
    connection: Connection,
    asked: Option<Asked>,
    response: Response<Bytes>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let roots =
        tls::roots_from_pem(&read(&arguments.ca)?).map_err(|error| named(&arguments.ca, error))?;
    let no_host = || ClientError::Uri(arguments.url.to_string());
    let task = Task {
        host: arguments.url.host().ok_or_else(no_host)?.to_owned(),
        port: arguments.url.port_u16().unwrap_or(443),
        tls: tls::client_config(roots)?,
        request: Connection::get(&arguments.url)?,
    };
    let second = match &arguments.second_ca {
        Some(path) => Some(Trust::from_pem(&read(path)?).map_err(|error| named(path, error))?),
        None => None,
    };
    let answered = match &arguments.certificate {
        Some(certificate) => {
            authenticator::run(&arguments, certificate, task, second.as_ref()).await?
        }
        None => password::run(&arguments, task).await?,
    };

    let status = answered.response.status();
    eprintln!("{status}");
    std::io::stdout().write_all(answered.response.body())?;
    let second_is_there = second
        .as_ref()
        .is_none_or(|_| tell_second(&arguments, answered));
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        eprintln!("{}", advice(&arguments, status));
        return Ok(ExitCode::from(3));
    }
    Ok(if status.is_success() && second_is_there {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Task {
    async fn open(&self) -> Result<Connection, ClientError> {
        Connection::open(&self.host, self.port, self.tls.clone()).await
    }
}

/// Says whether the gateway proved a second identity, and which.
fn tell_second(arguments: &Arguments, answered: Answered) -> bool {
    let Some(asked) = answered.asked else {
        return false;
    };
    let proved = (answered.connection).proved(asked, &answered.response);
    match proved {
        Ok(identity) => eprintln!("the server also proved to be {}", visible(&identity.name())),
        Err(CertifiedError::Validate(ValidateError::Empty)) => {
            let name = arguments.second_name.as_deref();
            eprintln!(
                "the server proved no second identity: it has none of the authority in --second-ca{}",
                name.map_or(String::new(), |name| format!(" for {name}"))
            );
            return false;
        }
        Err(error) => {
            eprintln!("the server proved no second identity: {error}");
            return false;
        }
    }
    true
}

/// What to look at when the gateway does not admit this device.
fn advice(arguments: &Arguments, status: StatusCode) -> String {
    match (&arguments.certificate, status) {
        (Some(certificate), status) => explain(certificate, status),
        (None, StatusCode::FORBIDDEN) => {
            "the gateway knows this device and does not let it do this: ask who runs it".to_owned()
        }
        (None, _) => {
            "the gateway did not admit this device: is it in the registry by this --client-id, with this key, and do both ends have the same --profile?".to_owned()
        }
    }
}
