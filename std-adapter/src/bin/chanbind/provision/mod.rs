//! The command `provision`, which creates a device's key and the data by which the gateway recognises the device.

mod certificate;
mod hmac;
mod names;
mod signing;

use crate::{
    failure::Failure,
    files::{NewFiles, Password},
    shared::{TpmArguments, parent},
};
pub(crate) use certificate::PublicPoint;
use chanbind::{
    core::otp::ClientId,
    tpm::{KeyFile, KeyOptions, Parent, PcrSelection, TpmName},
};
use clap::{ArgGroup, Args};
use signing::SigningArguments;
use std::{path::PathBuf, process::ExitCode};

/// Provision a key in the TPM, and write the data by which the gateway recognises the device.
///
/// By default the key is an HMAC key: a new random key is created, imported into the TPM encrypted to its parent key, and written
/// to a key file that only this TPM can use. The registry entry for the gateway is printed on standard output. It holds the key
/// itself, so it must be kept secret between this command and the gateway.
///
/// With --authenticator the key is an ECDSA P-256 key that is created inside the TPM and never leaves it, and a certificate
/// request or a certificate is written for it. The gateway needs no registry entry, but the certificate of the authority.
#[derive(Args)]
#[command(
    group(ArgGroup::new("source").args(["secret_file", "inside", "authenticator"])),
    after_help = "Examples:\n  chanbind provision --client-id client1 --out client1.pem >> registry.toml\n  chanbind provision --authenticator --client-id client1 --out client1.pem \\\n    --ca ca.pem --ca-key ca.key --certificate client1.crt\n  chanbind provision --authenticator --client-id client1 --out client1.pem --csr client1.csr"
)]
pub(crate) struct Arguments {
    /// The name of this device on the gateway; with --authenticator, the common name of its certificate.
    #[arg(long, value_name = "ID")]
    client_id: String,

    /// The key file to write (TSS2 PEM). An existing file is not overwritten.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Also write the key to this file, as the table `[key]` of a firmware's `chanbind.toml`. This command must run with the
    /// firmware's TPM: that of a microcontroller which this host can reach, or the swtpm of an emulated board.
    #[arg(long, value_name = "FILE")]
    device_config: Option<PathBuf>,

    /// A file whose bytes are the HMAC key to import, instead of a new random key; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// Create the HMAC key inside the TPM. It never leaves the TPM, so there is no registry entry: a gateway must use the same
    /// TPM, by `ClientKey::Tpm` of the library.
    #[arg(long)]
    inside: bool,

    /// The parent key: owner, endorsement, platform, null, or a persistent handle like 0x81000001.
    #[arg(long, value_parser = parent, default_value = "owner")]
    parent: Parent,

    /// A file with a password for the key.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// Have the TPM count wrong passwords and enter lockout after too many. Use it for passwords that a person chooses. Power cuts
    /// after the key was used count too, so a device without orderly shutdowns locks itself out.
    #[arg(long, requires = "password_file")]
    dictionary_attack_protection: bool,

    /// Platform configuration registers (PCRs) that must keep their current values for the key to be used, like sha256:0,2,7.
    #[arg(long, value_name = "BANK:NUMBERS")]
    pcrs: Option<PcrSelection>,

    #[command(flatten)]
    tpm: TpmArguments,

    #[command(flatten)]
    signing: SigningArguments,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let client = ClientId::new(&arguments.client_id)?;
    let files = [Some(&arguments.out), arguments.device_config.as_ref()];
    let files = files.into_iter().chain(arguments.signing.files());
    let files = NewFiles::at(files.flatten())?;
    if arguments.device_config.is_some()
        && (arguments.pcrs.is_some() || arguments.parent != Parent::default())
    {
        return Err("--device-config: firmware supports only keys under the owner hierarchy's primary key and without policies: leave out --parent and --pcrs".into());
    }
    let password = Password::read(arguments.password_file.as_deref())?;
    if arguments.signing.authenticator {
        signing::run(&arguments, client, &password, files).await
    } else {
        hmac::run(&arguments, client, &password, files).await
    }
}

impl Arguments {
    fn key_options(
        &self,
        client: ClientId<'_>,
        password: &Password,
    ) -> Result<KeyOptions, Failure> {
        let mut options = KeyOptions::default();
        options.parent = self.parent;
        options.auth = password.auth()?;
        options.dictionary_attack_protection = self.dictionary_attack_protection;
        options.pcrs = self.pcrs.clone();
        options.description = Some(client.to_string());
        Ok(options)
    }
}

/// Returns the table `[key]` of a firmware's configuration.
fn key_table(parent_name: &TpmName, file: &KeyFile, password: &Password) -> String {
    let password = if password.is_given() {
        "password = \"...\"  # the key has a password: put it here\n"
    } else {
        ""
    };
    format!(
        "[key]\nparent_name = \"{parent_name}\"\nprivate = \"{}\"\npublic = \"{}\"\n{password}",
        hex::encode(&file.private),
        hex::encode(&file.public)
    )
}
