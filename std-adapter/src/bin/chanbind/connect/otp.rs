//! Connecting with a one-time password, of an HMAC key.

use super::{exchange::exchange, exit::CommandError, request::RequestArguments};
use crate::{
    failure::Failure,
    files::named,
    shared::{FormArgument, SettingsArguments},
    tpm::{Password, TpmArguments, key_file},
};
use axum::http::StatusCode;
use chanbind::{proof::otp, protocol::otp::ClientId, tpm::TpmError};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Prove an HMAC key in the TPM, by a one-time password of the connection.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind connect otp https://localhost:8443/get --ca ca.pem --key client1.pem"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    request: RequestArguments,

    /// The device's key file, as `chanbind provision otp` wrote it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// A file with the password of the key, if it has one.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// The name by which the gateway knows this device, if it is not the one in the key file.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// The form of the password.
    #[arg(long, value_enum, default_value_t = FormArgument::ApiKey)]
    form: FormArgument,

    #[command(flatten)]
    settings: SettingsArguments,

    #[command(flatten)]
    tpm: TpmArguments,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let task = arguments.request.task()?;
    let file = key_file(&arguments.key)?;
    let described = file.description.clone();
    let client = match (&arguments.client_id, &described) {
        (Some(id), _) => ClientId::new(id)
            .map_err(|error| CommandError::usage(format!("--client-id: {error}")))?,
        (None, Some(id)) => ClientId::new(id).map_err(|error| {
            let text = format!("its description is not a client id ({error}): give --client-id");
            named(&arguments.key, text)
        })?,
        (None, None) => {
            return Err(named(
                &arguments.key,
                "the key file does not name a client: give --client-id",
            ));
        }
    };
    let prover = otp::prover(
        &arguments.settings.settings(),
        client,
        arguments.form.into(),
    );
    let password = Password::read(arguments.password_file.as_deref())?;

    let tpm = arguments.tpm.open().await?;
    let done = async {
        let key = match tpm.load(file, password.auth()?).await {
            Err(error @ TpmError::NotHmacKey) => {
                return Err(CommandError::key(format!(
                    "{error}; a key of `chanbind provision authenticator` goes with `chanbind connect authenticator`"
                ))
                .into());
            }
            loaded => loaded?,
        };
        exchange(&arguments.request, task, prover, key).await
    }
    .await;
    // The worker thread does not outlive the program: keys leave the TPM before it ends, in any case.
    tpm.close().await;
    let (done, _) = done?;
    Ok(done.report(|status| advice(status).to_owned()))
}

fn advice(status: StatusCode) -> &'static str {
    if status == StatusCode::FORBIDDEN {
        "the gateway knows this device and does not let it do this: ask its operator"
    } else {
        "the gateway did not admit this device: is it in the registry by this client id, with this key, and do both ends have the same --profile?"
    }
}
