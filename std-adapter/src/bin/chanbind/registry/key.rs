//! The key that encrypts the keys of a registry.

use crate::{
    failure::Failure,
    files::{named, owner_only, read, say},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind::gateway::KeySealer;
#[cfg(feature = "cli")]
use chanbind::tpm::{KeyOptions, OpenOptions, Tpm};
use std::{io::Write, path::Path};
use zeroize::Zeroizing;

/// The TPM that is used unless another one is named.
const DEFAULT_TCTI: &str = "device:/dev/tpmrm0";

/// Returns the address of the TPM: this one, that of the environment, or the usual one.
fn address(tcti: Option<&str>) -> String {
    let environment = || std::env::var("CHANBIND_TCTI").ok();
    let tcti = tcti.map(str::to_owned).or_else(environment);
    tcti.unwrap_or_else(|| DEFAULT_TCTI.to_owned())
}

/// Reads the key: the file has it, or names one in a TPM.
pub(crate) async fn sealer(path: &Path, tcti: Option<&str>) -> Result<KeySealer, Failure> {
    if !read(path)?.starts_with(b"-----BEGIN TSS2 PRIVATE KEY-----") {
        return Ok(KeySealer::from_file(path)?);
    }
    of_tpm(path, &address(tcti)).await
}

#[cfg(feature = "cli")]
async fn of_tpm(path: &Path, tcti: &str) -> Result<KeySealer, Failure> {
    let file = crate::tpm::key_file(path)?;
    let tpm = Tpm::open(tcti, OpenOptions::default()).await?;
    let derived = async {
        let key = tpm.load(file, None).await?;
        Ok::<_, Failure>(KeySealer::from_holder(&key).await?)
    }
    .await;
    tpm.close().await;
    derived.map_err(|error| named(path, error))
}

#[cfg(not(feature = "cli"))]
async fn of_tpm(path: &Path, _: &str) -> Result<KeySealer, Failure> {
    Err(named(
        path,
        "the key is in a TPM, and this program was built without the TPM software stack: build it with its default features, or have systemd decrypt a key of its own (systemd-creds encrypt, LoadCredentialEncrypted)",
    ))
}

/// Creates a key, in a new file that only its owner can read, or in the TPM.
pub(super) async fn create(path: &Path, in_tpm: bool) -> Result<(), Failure> {
    let text = if in_tpm {
        in_new_tpm_key().await?
    } else {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice())?;
        Zeroizing::new(BASE64_STANDARD.encode(key.as_slice()) + "\n")
    };
    let written = owner_only()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| named(path, error))?;
    let warning = if in_tpm {
        "it works with this TPM alone: without the TPM the keys in the database are lost"
    } else {
        "without it the keys in the database are lost"
    };
    say(&format!("wrote {}: {warning}\n", path.display()))
}

#[cfg(feature = "cli")]
async fn in_new_tpm_key() -> Result<Zeroizing<String>, Failure> {
    let tpm = Tpm::open(&address(None), OpenOptions::default()).await?;
    let mut options = KeyOptions::default();
    options.description = Some("registry".to_owned());
    let created = tpm.create_hmac_key(options).await;
    tpm.close().await;
    Ok(Zeroizing::new(created?.to_pem()?))
}

#[cfg(not(feature = "cli"))]
async fn in_new_tpm_key() -> Result<Zeroizing<String>, Failure> {
    Err(
        "this program was built without the TPM software stack: build it with its default features"
            .into(),
    )
}
