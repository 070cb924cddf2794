use super::LoadedKey;
use crate::tpm::{
    KeyFile, TpmError,
    esys::{padded, signing_parameters},
    key_spec::KeySpec,
    worker::Worker,
};
use chanbind_core::crypto::ecdsa::{PUBLIC_KEY_LEN, Signature};
use std::{fmt, sync::Arc};
use tss_esapi::{
    interface_types::algorithm::HashingAlgorithm,
    structures::{EccPoint, EccScheme, HashScheme, Public},
};

/// An ECDSA P-256 key in a TPM, which signs SHA-256 digests. Dropping the last clone flushes the key from the TPM.
///
/// The key may be evicted from the TPM to make room for another one. It is loaded again when it is used.
#[derive(Clone)]
pub struct TpmSigningKey {
    loaded: Arc<LoadedKey>,
    public_key: [u8; PUBLIC_KEY_LEN],
}

impl TpmSigningKey {
    /// Loads a key, after checking its type.
    pub(in crate::tpm) async fn load(spec: KeySpec, worker: Arc<Worker>) -> Result<Self, TpmError> {
        let public_key = public_key(&spec.public)?;
        Ok(Self {
            loaded: LoadedKey::new(spec, worker).await?,
            public_key,
        })
    }

    /// Signs a SHA-256 digest by ECDSA (FIPS 186-5 section 6.4), with TPM2_Sign. The signature is not verified afterwards.
    ///
    /// # Errors
    /// Returns [`TpmError::WrongAuth`] or [`TpmError::LockedOut`] if the TPM rejects the key's password,
    /// [`TpmError::PolicyFailed`] if the key's policy is not satisfied, and other errors if a command fails.
    pub async fn sign(&self, digest: &[u8; 32]) -> Result<Signature, TpmError> {
        let digest = *digest;
        self.loaded
            .run(move |device, spec| device.sign(spec, &digest))
            .await
    }

    /// Does the same as [`TpmSigningKey::sign`] for callers without an executor: blocks the calling thread.
    ///
    /// # Errors
    /// Returns the errors of [`TpmSigningKey::sign`].
    pub fn sign_blocking(&self, digest: &[u8; 32]) -> Result<Signature, TpmError> {
        let digest = *digest;
        self.loaded
            .run_blocking(move |device, spec| device.sign(spec, &digest))
    }

    /// Returns the public key as an uncompressed point, `04`, x, y (SEC 1 section 2.3.3).
    #[must_use]
    pub fn public_key(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.public_key
    }

    /// Returns the key file from which the key was loaded.
    #[must_use]
    pub fn file(&self) -> &KeyFile {
        &self.loaded.spec.file
    }
}

impl fmt::Debug for TpmSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TpmSigningKey({})", self.loaded.spec.file.parent)
    }
}

/// Returns the public key of an unrestricted P-256 signing key for ECDSA with SHA-256, or without a scheme, which leaves the
/// choice to the command. Returns an error for other keys.
fn public_key(public: &Public) -> Result<[u8; PUBLIC_KEY_LEN], TpmError> {
    let ecdsa = EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256));
    match public {
        Public::Ecc {
            object_attributes,
            parameters,
            unique,
            ..
        } if object_attributes.sign_encrypt()
            && !object_attributes.restricted()
            && [ecdsa, EccScheme::Null]
                .map(signing_parameters)
                .contains(parameters) =>
        {
            sec1(unique)
        }
        _ => None,
    }
    .ok_or(TpmError::NotSigningKey)
}

/// Encodes a point as `04`, x, y.
fn sec1(point: &EccPoint) -> Option<[u8; PUBLIC_KEY_LEN]> {
    let mut encoded = [0; PUBLIC_KEY_LEN];
    let (tag, coordinates) = encoded.split_first_mut()?;
    *tag = 4;
    let (x, y) = coordinates.split_at_mut_checked(32)?;
    x.copy_from_slice(&padded(point.x())?);
    y.copy_from_slice(&padded(point.y())?);
    Some(encoded)
}
