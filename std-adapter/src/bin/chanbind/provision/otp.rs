//! Provisioning of HMAC keys, and their entries in the gateway's registry.

use super::key::{KeyArguments, Prepared, key_table};
use crate::{
    failure::Failure,
    files::{read, say},
};
use chanbind::{gateway::ClientTable, proof::otp::KIND, tpm::TpmError};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};
use zeroize::Zeroizing;

/// Provision an HMAC key, for one-time passwords.
///
/// A new random key is created, imported into the TPM encrypted to its parent key, and written to a key file that only this TPM can
/// use. The registry entry for the gateway is printed on standard output. It holds the key itself, so it must be kept secret between
/// this command and the gateway.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind provision otp --client-id client1 --out client1.pem >> registry.toml"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    key: KeyArguments,

    /// A file whose bytes are the HMAC key to import, instead of a new random key; `-` reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "inside")]
    secret_file: Option<PathBuf>,

    /// Create the HMAC key inside the TPM. It never leaves the TPM, so there is no registry entry: a gateway must use the same
    /// TPM, by `ClientKey::Tpm` of the library.
    #[arg(long)]
    inside: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let key = &arguments.key;
    let Prepared {
        client,
        password,
        mut files,
    } = key.prepare([])?;
    let options = key.options(client, &password)?;
    let secret = match &arguments.secret_file {
        Some(file) => read(file)?,
        None => {
            let mut secret = Zeroizing::new(vec![0; 32]);
            getrandom::fill(&mut secret)?;
            secret
        }
    };

    let tpm = key.tpm.open().await?;
    let result = async {
        let parent_name = tpm.parent_name(key.parent).await?;
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
    files.write(&key.out, file.to_pem()?.as_bytes())?;
    if let Some(path) = &key.device_config {
        files.write(
            path,
            key_table(KIND, &parent_name, &file, &password).as_bytes(),
        )?;
    }
    if !arguments.inside {
        // Without its registry entry the key is useless, so an error here removes the key file again.
        say(&ClientTable::entry(client, &secret))?;
    }
    files.keep();
    eprintln!(
        "wrote {}, a key that only this TPM can use",
        key.out.display()
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
