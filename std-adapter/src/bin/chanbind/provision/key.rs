//! Options of a key, for every kind of proof, and its files.

use crate::{
    failure::Failure,
    provision::new_files::NewFiles,
    tpm::{Password, TpmArguments, parent},
};
use chanbind::{
    protocol::otp::ClientId,
    tpm::{KeyFile, KeyOptions, Parent, PcrSelection, TpmName},
};
use clap::Args;
use std::path::PathBuf;

/// The options of a key.
#[derive(Args)]
pub(super) struct KeyArguments {
    /// The name of this device: of a one-time password the client id on the gateway, of an authenticator the common name of its
    /// certificate.
    #[arg(long, value_name = "ID")]
    pub(super) client_id: String,

    /// The key file to write (TSS2 PEM). An existing file is not overwritten.
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,

    /// Also write the proof to this file, as the section `[proof.KIND]` of a firmware's `chanbind.toml`. This command must run with the
    /// firmware's TPM: that of a microcontroller which this host can reach, or the swtpm of an emulated board.
    #[arg(long, value_name = "FILE")]
    pub(super) device_config: Option<PathBuf>,

    /// The parent key: owner, endorsement, platform, null, or a persistent handle like 0x81000001.
    #[arg(long, value_parser = parent, default_value = "owner")]
    pub(super) parent: Parent,

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
    pub(super) tpm: TpmArguments,
}

/// Options that have been read and checked.
pub(super) struct Prepared<'a> {
    pub(super) client: ClientId<'a>,
    pub(super) password: Password,
    pub(super) files: NewFiles,
}

impl KeyArguments {
    /// Checks the options, and that neither the files of the key nor `more` exist.
    pub(super) fn prepare<'a>(
        &'a self,
        more: impl IntoIterator<Item = Option<&'a PathBuf>>,
    ) -> Result<Prepared<'a>, Failure> {
        let client = ClientId::new(&self.client_id)?;
        let files = [Some(&self.out), self.device_config.as_ref()];
        let files = NewFiles::at(files.into_iter().chain(more).flatten())?;
        if self.device_config.is_some() && (self.pcrs.is_some() || self.parent != Parent::default())
        {
            return Err("--device-config: firmware supports only keys under the owner hierarchy's primary key and without policies: leave out --parent and --pcrs".into());
        }
        Ok(Prepared {
            client,
            password: Password::read(self.password_file.as_deref())?,
            files,
        })
    }

    pub(super) fn options(
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

/// Returns the table `[proof.KIND.key]` of a firmware's configuration.
pub(super) fn key_table(
    kind: &str,
    parent_name: &TpmName,
    file: &KeyFile,
    password: &Password,
) -> String {
    let password = if password.is_given() {
        "password = \"...\"  # the key has a password: put it here\n"
    } else {
        ""
    };
    format!(
        "[proof.{kind}.key]\nparent_name = \"{parent_name}\"\nprivate = \"{}\"\npublic = \"{}\"\n{password}",
        hex::encode(&file.private),
        hex::encode(&file.public)
    )
}
