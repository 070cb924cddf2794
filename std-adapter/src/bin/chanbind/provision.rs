use crate::shared::{Failure, TpmArguments, parent, password, read, say, write_new};
use chanbind::{
    core::token::ClientId,
    gateway::Registry,
    tpm::{KeyOptions, Parent, PcrSelection, TpmError},
};
use clap::{ArgGroup, Args};
use std::{path::PathBuf, process::ExitCode};
use zeroize::Zeroizing;

/// Put an HMAC key into the TPM and print the gateway's registry entry.
///
/// By default a new random key is made, imported into the TPM encrypted to its parent key, and written wrapped to a key file
/// that only this TPM can use. The registry entry holds the key itself: it is a secret between this command and the gateway.
#[derive(Args)]
#[command(group(ArgGroup::new("source").args(["secret_file", "inside"])), after_help = "Example:\n  chanbind provision --client-id client1 --out client1.pem >> registry.toml")]
pub(crate) struct Arguments {
    /// The name by which the gateway will know this device.
    #[arg(long, value_name = "ID")]
    client_id: String,

    /// The key file to write (TSS2 PEM). An existing file is not overwritten.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Also write the key as the table `[key]` of a firmware's `chanbind.toml`, to this file. It is for the TPM at hand: a
    /// microcontroller's, on a host that can reach it, or the swtpm of an emulated board.
    #[arg(long, value_name = "FILE")]
    device_config: Option<PathBuf>,

    /// A file with the HMAC key to import, byte for byte, instead of a new random one; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// Make the key inside the TPM. It never leaves it, so no registry entry can be printed: a
    /// gateway has to use the same TPM, from code, by `ClientKey::Tpm`.
    #[arg(long)]
    inside: bool,

    /// The parent key: owner, endorsement, platform, null, or a persistent handle like 0x81000001.
    #[arg(long, value_parser = parent, default_value = "owner")]
    parent: Parent,

    /// A file with a password for the key.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// Platform registers that must keep their present values for the key to be used, like sha256:0,2,7.
    #[arg(long, value_name = "BANK:NUMBERS")]
    pcrs: Option<PcrSelection>,

    #[command(flatten)]
    tpm: TpmArguments,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let client = ClientId::new(&arguments.client_id)?;
    for file in [Some(&arguments.out), arguments.device_config.as_ref()]
        .into_iter()
        .flatten()
    {
        if file.exists() {
            return Err(format!(
                "{} exists: it was left as it is; move it away or name another file",
                file.display()
            )
            .into());
        }
    }
    if arguments.device_config.is_some()
        && (arguments.pcrs.is_some() || arguments.parent != Parent::default())
    {
        return Err("--device-config: firmware uses keys under the owner's primary key, and without policies: leave out --parent and --pcrs".into());
    }
    let mut options = KeyOptions::default();
    options.parent = arguments.parent;
    options.auth = password(arguments.password_file.as_deref())?;
    options.pcrs = arguments.pcrs;
    options.description = Some(client.to_string());
    let secret = match &arguments.secret_file {
        Some(file) => Zeroizing::new(read(file)?),
        None => {
            let mut secret = Zeroizing::new(vec![0; 32]);
            getrandom::fill(&mut secret)?;
            secret
        }
    };

    let tpm = arguments.tpm.open().await?;
    let made = async {
        let parent_name = tpm.parent_name(arguments.parent).await?;
        let file = if arguments.inside {
            tpm.create_hmac_key(options).await?
        } else {
            tpm.import_hmac_key(&secret, options).await?
        };
        Ok::<_, TpmError>((parent_name, file))
    }
    .await;
    // The worker thread does not outlive the program: what is in the TPM goes before, in any case.
    tpm.close().await;
    let (parent_name, file) = made?;
    write_new(&arguments.out, file.to_pem()?.as_bytes())?;
    if let Some(path) = &arguments.device_config {
        let password = (arguments.password_file.as_ref()).map_or(
            "",
            |_| "password = \"...\"  # the key has one: put it here\n",
        );
        let table = format!(
            "[key]\nparent_name = \"{parent_name}\"\nprivate = \"{}\"\npublic = \"{}\"\n{password}",
            hex::encode(&file.private),
            hex::encode(&file.public)
        );
        if let Err(error) = write_new(path, table.as_bytes()) {
            std::fs::remove_file(&arguments.out)?;
            return Err(error);
        }
    }
    if !arguments.inside
        && let Err(error) = say(&Registry::entry(client, &secret))
    {
        // Without its registry entry the key is of no use, and the file would be in the way of the next try.
        std::fs::remove_file(&arguments.out)?;
        return Err(error);
    }
    eprintln!(
        "wrote {}, a key that only this TPM can use",
        arguments.out.display()
    );
    eprintln!("pin the TPM when you use it: --parent-name {parent_name}");
    if arguments.inside {
        eprintln!("the key never leaves this TPM: there is no registry entry");
    } else {
        eprintln!(
            "the registry entry on standard output is a secret: keep it on the gateway, readable by the gateway only"
        );
    }
    Ok(ExitCode::SUCCESS)
}
