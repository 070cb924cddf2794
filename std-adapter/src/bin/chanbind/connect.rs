use crate::shared::{
    Failure, FormArgument, SettingsArguments, TpmArguments, key_file, password, read,
};
use axum::http::{StatusCode, Uri};
use chanbind::{
    client::{ClientError, Connection, Prover},
    core::token::ClientId,
    tls,
};
use clap::Args;
use std::{io::Write, path::PathBuf, process::ExitCode};

/// Connect to a gateway, prove who this device is, and get a URL.
///
/// The answer's body goes to standard output, everything else to standard error.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind connect https://localhost:8443/get --ca ca.pem --key client1.pem --client-id client1"
)]
pub(crate) struct Arguments {
    /// What to get, like https://gateway.example:8443/path.
    url: Uri,

    /// The certification authority of the gateway, PEM.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,

    /// The device's key file, as `chanbind provision` wrote it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// A file with the key's password, if it has one.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// The name by which the gateway knows this device.
    #[arg(long, value_name = "ID")]
    client_id: String,

    /// How to prove it.
    #[arg(long, value_enum, default_value_t = FormArgument::ApiKey)]
    proof: FormArgument,

    #[command(flatten)]
    settings: SettingsArguments,

    #[command(flatten)]
    tpm: TpmArguments,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let prover = Prover::new(
        arguments.settings.settings(),
        ClientId::new(&arguments.client_id)?,
    );
    let mut request = Connection::get(&arguments.url)?;
    let file = key_file(&arguments.key)?;
    let auth = password(arguments.password_file.as_deref())?;
    let roots = tls::roots_from_pem(&read(&arguments.ca)?)
        .map_err(|error| format!("{}: {error}", arguments.ca.display()))?;
    let host = arguments
        .url
        .host()
        .ok_or_else(|| ClientError::Uri(arguments.url.to_string()))?;
    let port = arguments.url.port_u16().unwrap_or(443);

    let tpm = arguments.tpm.open().await?;
    let proved = async {
        let mut key = tpm.load(file, auth).await?;
        let connection = Connection::open(host, port, tls::client_config(roots)?).await?;
        prover
            .prove(
                arguments.proof.into(),
                connection.channel(),
                &mut key,
                &mut request,
            )
            .await
            .map_err(|error| error.to_string())?;
        Ok::<_, Failure>(connection)
    }
    .await;
    // The worker thread does not outlive the program: what is in the TPM goes before, in any case.
    tpm.close().await;
    let mut connection = proved?;
    let response = connection.send(request).await?;

    let status = response.status();
    eprintln!("{status}");
    std::io::stdout().write_all(response.body())?;
    if status == StatusCode::UNAUTHORIZED {
        eprintln!(
            "the gateway did not admit this device: is it in the registry by this --client-id, with this key, and do both ends have the same --profile?"
        );
        return Ok(ExitCode::from(3));
    }
    Ok(if status.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
