//! Options and files of the commands that use a TPM.

use crate::{
    failure::Failure,
    files::{named, read},
};
use chanbind::tpm::{Auth, Hierarchy, KeyFile, OpenOptions, Parent, Tpm, TpmName};
use clap::Args;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The options that reach a TPM.
#[derive(Args)]
pub(crate) struct TpmArguments {
    /// The address of the TPM: device:/dev/tpmrm0, swtpm:host=127.0.0.1,port=2321, mssim:..., tabrmd.
    #[arg(
        long,
        env = "CHANBIND_TCTI",
        default_value = "device:/dev/tpmrm0",
        value_name = "TCTI"
    )]
    tcti: String,

    /// The name of the parent key, as `chanbind provision` printed it: another TPM, or an attacker between, is then an error.
    #[arg(long, value_name = "HEX")]
    parent_name: Option<TpmName>,

    /// A file with the password of the owner hierarchy, if it has one.
    #[arg(long, value_name = "FILE")]
    owner_password_file: Option<PathBuf>,
}

impl TpmArguments {
    pub(crate) async fn open(&self) -> Result<Tpm, Failure> {
        self.open_at(&self.tcti).await
    }

    /// Returns the address of the TPM.
    pub(crate) fn tcti(&self) -> &str {
        &self.tcti
    }

    /// Opens another TPM with the same options.
    pub(crate) async fn open_at(&self, tcti: &str) -> Result<Tpm, Failure> {
        let mut options = OpenOptions::default();
        options.parent_name = self.parent_name.clone();
        options.hierarchy_auth = Password::read(self.owner_password_file.as_deref())?.auth()?;
        Ok(Tpm::open(tcti, options).await?)
    }
}

/// `owner`, `null`, `endorsement`, `platform`, or a persistent handle like 0x81000001.
pub(crate) fn parent(text: &str) -> Result<Parent, String> {
    match text {
        "owner" => Ok(Parent::Primary(Hierarchy::Owner)),
        "null" => Ok(Parent::Primary(Hierarchy::Null)),
        "endorsement" => Ok(Parent::Primary(Hierarchy::Endorsement)),
        "platform" => Ok(Parent::Primary(Hierarchy::Platform)),
        handle => handle
            .strip_prefix("0x")
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .and_then(|handle| Parent::from_handle(handle).ok())
            .ok_or_else(|| {
                "write owner, endorsement, platform, null, or a persistent handle like 0x81000001"
                    .to_owned()
            }),
    }
}

/// A password from a file, without the line ending. The file is optional.
pub(crate) struct Password(Option<Zeroizing<Vec<u8>>>);

impl Password {
    pub(crate) fn read(file: Option<&Path>) -> Result<Self, Failure> {
        let bytes = file.map(read).transpose()?;
        Ok(Self(bytes.map(|mut bytes| {
            let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let len = text.strip_suffix(b"\r").unwrap_or(text).len();
            bytes.truncate(len);
            bytes
        })))
    }

    /// Returns whether a file was given.
    pub(crate) fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the password for a TPM, or `None` if no file was given. Each use consumes its own [`Auth`].
    pub(crate) fn auth(&self) -> Result<Option<Auth>, Failure> {
        let auth = self.0.as_deref().map(|password| Auth::new(password));
        Ok(auth.transpose()?)
    }
}

/// Reads a TSS2 PEM key file.
pub(crate) fn key_file(path: &Path) -> Result<KeyFile, Failure> {
    let bytes = read(path)?;
    let text =
        str::from_utf8(&bytes).map_err(|_| named(path, "not UTF-8 text; a key file is PEM"))?;
    KeyFile::from_pem(text).map_err(|error| named(path, error))
}
