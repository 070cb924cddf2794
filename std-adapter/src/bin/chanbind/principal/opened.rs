use crate::{failure::Failure, files::named, principal_folder::PrincipalFolder, tpm::TpmArguments};
use chanbind::{
    proof::blessing::{Principal, PrincipalKey},
    tpm::{KeyFile, Tpm},
};

/// A principal, whose key may be in a TPM.
pub(crate) struct Opened {
    pub(crate) principal: Principal,
    tpm: Option<Tpm>,
}

impl Opened {
    /// Reads a principal, and opens the TPM if its key is there.
    pub(crate) async fn open(
        folder: &PrincipalFolder,
        arguments: &TpmArguments,
    ) -> Result<Self, Failure> {
        if !folder.has_tpm_key()? {
            return Ok(Self {
                principal: folder.read()?,
                tpm: None,
            });
        }
        let pem = folder.read_key()?;
        let text = str::from_utf8(&pem).map_err(|error| named(&folder.key(), error))?;
        let file = KeyFile::from_pem(text).map_err(|error| named(&folder.key(), error))?;
        let tpm = arguments.open().await?;
        let principal = async {
            let key = tpm.load_signing_key(file, None).await?;
            folder.principal(PrincipalKey::tpm(key))
        }
        .await;
        match principal {
            Ok(principal) => Ok(Self {
                principal,
                tpm: Some(tpm),
            }),
            Err(error) => {
                tpm.close().await;
                Err(error)
            }
        }
    }

    /// Removes the key from the TPM.
    pub(crate) async fn close(self) {
        drop(self.principal);
        if let Some(tpm) = self.tpm {
            tpm.close().await;
        }
    }
}
