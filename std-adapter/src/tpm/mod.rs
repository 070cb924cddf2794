//! Keys in a TPM 2.0, accessed by tss-esapi through a device file, a resource manager or swtpm.
//!
//! [`Tpm`] is a handle to one worker thread that owns the connection. It can be cloned and used from many tasks at once, and it
//! does not block the executor. One parent key and one session are created and then used for every derivation and signature.
//! Every session is salted with the parent's public key and encrypts parameters in both directions, so that an attacker who
//! listens on the bus learns neither keying material nor derived keys. If the parent's name is pinned, an attacker who controls
//! the bus cannot replace the parent by another key.
//!
//! When the last handle is dropped, the thread flushes all objects and sessions that it still has in the TPM. A program that is
//! about to exit must call [`Tpm::close`] first, because the thread does not outlive the process.
//!
//! ```no_run
//! use chanbind::tpm::{KeyFile, OpenOptions, Tpm};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let tpm = Tpm::open("device:/dev/tpmrm0", OpenOptions::default()).await?;
//! let file = KeyFile::from_pem(&std::fs::read_to_string("key.pem")?)?;
//! let key = tpm.load(file, None).await?;
//! let derived = key.hmac(b"keying material").await?;
//! # Ok(())
//! # }
//! ```

mod keyfile;

pub use keyfile::{Hierarchy, KeyFile, KeyFileError, MAX_KEY_FILE_LEN, Parent, PolicyCommand};

#[cfg(feature = "tpm")]
mod auth;
#[cfg(feature = "tpm")]
mod device;
#[cfg(feature = "tpm")]
mod error;
#[cfg(feature = "tpm")]
mod esys;
#[cfg(feature = "tpm")]
mod handle;
#[cfg(feature = "tpm")]
mod key;
#[cfg(feature = "tpm")]
mod key_spec;
#[cfg(feature = "tpm")]
mod lane;
#[cfg(feature = "tpm")]
mod orphans;
#[cfg(feature = "tpm")]
mod perform;
#[cfg(feature = "tpm")]
mod policy;
#[cfg(feature = "tpm")]
mod provision;
#[cfg(feature = "tpm")]
mod reachable;
#[cfg(feature = "tpm")]
mod response;
#[cfg(feature = "tpm")]
mod watch;
#[cfg(feature = "tpm")]
mod worker;
#[cfg(feature = "tpm")]
mod wrap;

#[cfg(feature = "tpm")]
pub use {
    auth::Auth,
    error::TpmError,
    handle::{OpenOptions, Tpm},
    key::{MAX_HMAC_INPUT, TpmKey, TpmSigningKey},
    policy::PcrSelection,
    provision::{KeyOptions, MAX_SECRET_LEN},
};

/// The name of a TPM object: its hash algorithm and the hash of its public area, 34 bytes for SHA-256.
///
/// Pin this name to recognise a key: no other key has the same name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TpmName(Vec<u8>);

impl TpmName {
    /// Returns the bytes of the name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Creates a name from its bytes, which are not checked.
    #[must_use]
    pub fn from_bytes(name: &[u8]) -> Self {
        Self(name.to_vec())
    }
}

impl std::fmt::Display for TpmName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl std::fmt::Debug for TpmName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TpmName({self})")
    }
}

impl std::str::FromStr for TpmName {
    type Err = TpmNameError;

    /// Parses 68 hexadecimal digits. Only SHA-256 names are accepted, because the parents that this crate creates have no others.
    fn from_str(name: &str) -> Result<Self, TpmNameError> {
        match hex::decode(name) {
            Ok(name) if name.len() == 34 && name.starts_with(&[0x00, 0x0b]) => Ok(Self(name)),
            _ => Err(TpmNameError),
        }
    }
}

/// The error for text that is not the SHA-256 name of a TPM object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a TPM name is 000b followed by 64 more hexadecimal digits: copy the parent name that `chanbind provision` printed"
)]
pub struct TpmNameError;
