use crate::proof::{KeyError, KeyHolder};
use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind_core::{
    kdf::{Layout, Step},
    proof::KeyRequest,
};
use std::{fmt, fs, path::Path};
use zeroize::Zeroizing;

/// Encrypts the keys of a registry with AES-256-GCM, so that its database and its backups are no secrets.
///
/// Each key is encrypted by itself, for the id of its device: in another row it cannot be decrypted.
pub struct KeySealer(Aes256Gcm);

/// The error of encrypting or decrypting a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// The reason.
        error: String,
    },
    /// The file has no key.
    #[error(
        "{0}: write 32 random bytes in base64 on one line, as `openssl rand -base64 32` prints them"
    )]
    Key(String),
    /// The key of a device cannot be decrypted.
    #[error(
        "the key of device {0:?} cannot be decrypted: it was encrypted with another key, or changed"
    )]
    Open(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

/// The first byte of an encrypted key: AES-256-GCM with a random nonce of 96 bits, which follows.
const VERSION: u8 = 1;
const NONCE_LEN: usize = 12;

impl KeySealer {
    /// Creates a sealer with a key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Aes256Gcm::new(key.into()))
    }

    /// Reads the key from a file: base64 of 32 bytes.
    ///
    /// # Errors
    /// [`SealError::File`] and [`SealError::Key`].
    pub fn from_file(path: &Path) -> Result<Self, SealError> {
        let name = path.display().to_string();
        let text = fs::read(path).map(Zeroizing::new);
        let text = text.map_err(|error| SealError::File {
            path: name.clone(),
            error: error.to_string(),
        })?;
        let key = BASE64_STANDARD
            .decode(text.trim_ascii())
            .map(Zeroizing::new);
        let key = key
            .ok()
            .and_then(|key| Some(Self::new(key.as_slice().try_into().ok()?)));
        key.ok_or(SealError::Key(name))
    }

    /// Derives the key from an HMAC key that its holder keeps, for example one that was created inside of a TPM and never leaves it: by SP 800-108 in
    /// counter mode with the label `chanbind registry key`.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use chanbind::{gateway::KeySealer, tpm::{KeyFile, OpenOptions, Tpm}};
    ///
    /// let tpm = Tpm::open("device:/dev/tpmrm0", OpenOptions::default()).await?;
    /// let file = KeyFile::from_pem(&std::fs::read_to_string("registry.pem")?)?;
    /// let sealer = KeySealer::from_holder(&tpm.load(file, None).await?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The error of the holder, and [`KeyError::Unsupported`] if it does not answer with HMAC-SHA-256.
    pub async fn from_holder(holder: &dyn KeyHolder) -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; 32]);
        let layout = Layout::sp800_108(b"chanbind registry key");
        let mut step = layout.derivation(b"", 32, key.as_mut_slice());
        while let Step::Prf(pending) = step.map_err(|_| KeyError::Unsupported)? {
            let answer = holder.answer(KeyRequest::Hmac(pending.input())).await?;
            step = pending.answer(&answer);
        }
        Ok(Self::new(&key))
    }

    /// Encrypts the key of a device.
    pub(super) fn seal(&self, id: &str, key: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|error| SealError::Random(error.to_string()))?;
        let payload = Payload {
            msg: key,
            aad: &associated(id),
        };
        let sealed = self.0.encrypt(Nonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| SealError::Open(id.to_owned()))?;
        Ok([&[VERSION], &nonce[..], &sealed].concat())
    }

    /// Decrypts the key of a device.
    pub(super) fn open(&self, id: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let open = || {
            let (version, rest) = sealed.split_first()?;
            let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
            let payload = Payload {
                msg: sealed,
                aad: &associated(id),
            };
            let opened = self.0.decrypt(Nonce::from_slice(nonce), payload).ok();
            opened.filter(|_| *version == VERSION).map(Zeroizing::new)
        };
        open().ok_or_else(|| SealError::Open(id.to_owned()))
    }
}

fn associated(id: &str) -> Vec<u8> {
    [b"chanbind registry key for ", id.as_bytes()].concat()
}

impl fmt::Debug for KeySealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySealer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_opened_for_its_device_with_its_key_and_unchanged() {
        let sealer = KeySealer::new(&[7; 32]);
        let sealed = sealer.seal("pump7", b"a key").unwrap();
        assert_eq!(sealer.open("pump7", &sealed).unwrap().as_slice(), b"a key");
        assert_ne!(
            sealer.seal("pump7", b"a key").unwrap(),
            sealed,
            "the nonce is new"
        );
        assert!(sealer.open("pump8", &sealed).is_err());
        assert!(KeySealer::new(&[8; 32]).open("pump7", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open("pump7", &changed).is_err(), "{at}");
            assert!(sealer.open("pump7", &sealed[..at]).is_err(), "{at}");
        }
    }
}
