//! By a one-time password, of an HMAC key.

use super::{Answered, Arguments, Task};
use crate::{
    files::{Password, key_file},
    shared::Failure,
};
use chanbind::{client::Prover, core::otp::ClientId, tpm::TpmError};

pub(super) async fn run(arguments: &Arguments, mut task: Task) -> Result<Answered, Failure> {
    let client = arguments.client_id.as_deref().unwrap_or_default();
    let prover = Prover::new(arguments.settings.settings(), ClientId::new(client)?);
    let file = key_file(&arguments.key)?;
    let password = Password::read(arguments.password_file.as_deref())?;

    let tpm = arguments.tpm.open().await?;
    let proved = async {
        let mut key = match tpm.load(file, password.auth()?).await {
            Err(error @ TpmError::NotHmacKey) => {
                return Err(format!(
                    "{error}; a key of `chanbind provision --authenticator` goes with --authenticator and --certificate"
                )
                .into());
            }
            loaded => loaded?,
        };
        let connection = task.open().await?;
        prover
            .prove(
                arguments.proof.into(),
                connection.channel(),
                &mut key,
                &mut task.request,
            )
            .await
            .map_err(|error| error.to_string())?;
        Ok::<_, Failure>(connection)
    }
    .await;
    // The worker thread does not outlive the program: what is in the TPM goes before, in any case.
    tpm.close().await;
    let mut connection = proved?;
    let response = connection.send(task.request).await?;
    Ok(Answered {
        connection,
        asked: None,
        response,
    })
}
