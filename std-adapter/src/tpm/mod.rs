//! Keys in a TPM 2.0, by tss-esapi: a device, a resource manager, or swtpm.
//!
//! [`Tpm`] is a handle to one worker thread that owns the connection; it can be cloned and used from many tasks at once, and
//! no executor is blocked. One parent key and one session are made and then used for every derivation and signature. Every
//! session is salted with the parent's public key and encrypts parameters in both directions, so that who watches the bus
//! learns neither keying material nor derived keys; with a pinned parent name, who sits on the bus cannot put a key of their
//! own in its place.
//!
//! The last handle to go has its thread flush what is left in the TPM; a program that ends at once calls [`Tpm::close`] before.
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
mod device;
#[cfg(feature = "tpm")]
mod error;
#[cfg(feature = "tpm")]
mod esys;
#[cfg(feature = "tpm")]
mod key;
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
mod worker;
#[cfg(feature = "tpm")]
mod wrap;

#[cfg(feature = "tpm")]
pub use {
    error::TpmError,
    key::{Auth, MAX_HMAC_INPUT, TpmKey, TpmSigningKey},
    policy::PcrSelection,
    provision::{KeyOptions, MAX_SECRET_LEN},
    worker::{OpenOptions, Tpm},
};

/// The name of a TPM object: its hash algorithm and the hash of its public area, 34 bytes for SHA-256.
///
/// It is what to pin: nobody can make another key with the same name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TpmName(Vec<u8>);

impl TpmName {
    /// The bytes of the name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A name from its bytes.
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

    /// From hexadecimal digits: of SHA-256, the only name algorithm of the parents that this crate makes.
    fn from_str(name: &str) -> Result<Self, TpmNameError> {
        match hex::decode(name) {
            Ok(name) if name.len() == 34 && name.starts_with(&[0x00, 0x0b]) => Ok(Self(name)),
            _ => Err(TpmNameError),
        }
    }
}

/// The text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name is 000b and 64 more hexadecimal digits: copy what `chanbind provision` printed behind --parent-name"
)]
pub struct TpmNameError;
