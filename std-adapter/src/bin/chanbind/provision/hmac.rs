//! Provisioning of HMAC keys, and their entries in the gateway's registry.

use super::{Arguments, key_table};
use crate::{
    failure::Failure,
    files::{NewFiles, Password, read, say},
};
use chanbind::{core::otp::ClientId, gateway::Registry, tpm::TpmError};
use std::process::ExitCode;
use zeroize::Zeroizing;

pub(super) async fn run(
    arguments: &Arguments,
    client: ClientId<'_>,
    password: &Password,
    mut files: NewFiles,
) -> Result<ExitCode, Failure> {
    let options = arguments.key_options(client, password)?;
    let secret = match &arguments.secret_file {
        Some(file) => read(file)?,
        None => {
            let mut secret = Zeroizing::new(vec![0; 32]);
            getrandom::fill(&mut secret)?;
            secret
        }
    };

    let tpm = arguments.tpm.open().await?;
    let result = async {
        let parent_name = tpm.parent_name(arguments.parent).await?;
        let file = if arguments.inside {
            tpm.create_hmac_key(options).await?
        } else {
            tpm.import_hmac_key(&secret, options).await?
        };
        Ok::<_, TpmError>((parent_name, file))
    }
    .await;
    // Flush the TPM now, also after an error: the worker thread does not outlive the process.
    tpm.close().await;
    let (parent_name, file) = result?;
    files.write(&arguments.out, file.to_pem()?.as_bytes())?;
    if let Some(path) = &arguments.device_config {
        files.write(path, key_table(&parent_name, &file, password).as_bytes())?;
    }
    if !arguments.inside {
        // Without its registry entry the key is useless, so an error here removes the key file again.
        say(&Registry::entry(client, &secret))?;
    }
    files.keep();
    eprintln!(
        "wrote {}, a key that only this TPM can use",
        arguments.out.display()
    );
    eprintln!("pin this TPM in later commands: --parent-name {parent_name}");
    if arguments.inside {
        eprintln!("the key never leaves this TPM: there is no registry entry");
    } else {
        eprintln!(
            "the registry entry on standard output is a secret: keep it on the gateway, readable by the gateway only"
        );
    }
    Ok(ExitCode::SUCCESS)
}
