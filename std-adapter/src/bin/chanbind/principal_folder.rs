//! The folder of a principal: its key, its blessings, and the roots that it recognizes.

#[cfg(feature = "cli")]
use crate::provision::new_files::NewFiles;
use crate::{
    failure::Failure,
    files::{named, read, read_text},
};
use chanbind::proof::blessing::{Principal, PrincipalKey, Roots, from_text};
#[cfg(feature = "cli")]
use std::fs;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The files in the folder of a principal.
pub(crate) struct PrincipalFolder(PathBuf);

/// The first line of a key file in a TPM.
#[cfg(feature = "cli")]
const TSS2: &[u8] = b"-----BEGIN TSS2 PRIVATE KEY-----";

impl PrincipalFolder {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The private key: PKCS #8, or a TSS2 key file.
    pub(crate) fn key(&self) -> PathBuf {
        self.0.join("key.pem")
    }

    /// The public key: base64url of a SubjectPublicKeyInfo.
    #[cfg(feature = "cli")]
    pub(crate) fn public_key(&self) -> PathBuf {
        self.0.join("public_key")
    }

    /// The blessings that are shown to peers: base64url.
    pub(crate) fn blessings(&self) -> PathBuf {
        self.0.join("blessings")
    }

    /// The roots: lines of a public key and a pattern.
    pub(crate) fn roots(&self) -> PathBuf {
        self.0.join("roots")
    }

    /// Discharges, one on each line: base64url. The file may be missing.
    pub(crate) fn discharges(&self) -> PathBuf {
        self.0.join("discharges")
    }

    /// Reads the private key as PEM.
    pub(crate) fn read_key(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        read(&self.key())
    }

    pub(crate) fn read_roots(&self) -> Result<Roots, Failure> {
        let path = self.roots();
        Roots::parse(&read_text(&path)?).map_err(|error| named(&path, error))
    }

    /// Returns the principal with this key.
    pub(crate) fn principal(&self, key: PrincipalKey) -> Result<Principal, Failure> {
        let path = self.blessings();
        let blessings = read_blessings(&path)?;
        let principal = Principal::new(key, blessings, self.read_roots()?)
            .map_err(|error| named(&path, error))?;
        let path = self.discharges();
        if !path.exists() {
            return Ok(principal);
        }
        let text = read_text(&path)?;
        let discharges = text.lines().filter(|line| !line.trim().is_empty());
        let discharges = discharges
            .map(from_text)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| named(&path, error))?;
        principal
            .with_discharges(discharges)
            .map_err(|error| named(&path, error))
    }

    /// Reads a principal whose key is in software.
    pub(crate) fn read(&self) -> Result<Principal, Failure> {
        let path = self.key();
        let key = PrincipalKey::from_pem(&self.read_key()?).map_err(|error| named(&path, error))?;
        self.principal(key)
    }

    /// Returns whether the key is in a TPM.
    #[cfg(feature = "cli")]
    pub(crate) fn has_tpm_key(&self) -> Result<bool, Failure> {
        Ok(self.read_key()?.starts_with(TSS2))
    }
}

/// Replaces a file by a new one, which only its owner can read: first beside it, so that nothing is lost if the disk is full.
#[cfg(feature = "cli")]
pub(crate) fn replace(path: &Path, contents: &str) -> Result<(), Failure> {
    let beside = path.with_extension("new");
    let mut files = NewFiles::default();
    files.write(&beside, contents.as_bytes())?;
    fs::rename(&beside, path).map_err(|error| named(path, error))?;
    files.keep();
    Ok(())
}

/// Reads blessings from a file, in base64url.
pub(crate) fn read_blessings(path: &Path) -> Result<Vec<u8>, Failure> {
    from_text(&read_text(path)?).map_err(|error| named(path, error))
}
