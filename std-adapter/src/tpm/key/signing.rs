use super::{KeySpec, Loaded};
use crate::tpm::{KeyFile, TpmError, esys::padded, worker::Tpm};
use chanbind_core::crypto::ecdsa::{PUBLIC_KEY_LEN, Signature};
use std::{fmt, sync::Arc};
use tss_esapi::{
    interface_types::{algorithm::HashingAlgorithm, ecc::EccCurve},
    structures::{
        EccPoint, EccScheme, HashScheme, KeyDerivationFunctionScheme, Public, PublicEccParameters,
        SymmetricDefinitionObject,
    },
};

/// An ECDSA key on P-256 in a TPM, for SHA-256. The last clone to be dropped flushes it.
///
/// It may be evicted from the TPM's few slots and loaded again when it is used; that does not show.
#[derive(Clone)]
pub struct TpmSigningKey {
    loaded: Arc<Loaded>,
    public_key: [u8; PUBLIC_KEY_LEN],
}

impl TpmSigningKey {
    /// Loads a key.
    pub(in crate::tpm) async fn load(spec: KeySpec, tpm: Tpm) -> Result<Self, TpmError> {
        let public_key = public_key(&spec.public)?;
        Ok(Self {
            loaded: Loaded::new(spec, tpm).await?,
            public_key,
        })
    }

    /// ECDSA over a SHA-256 digest (FIPS 186-5 section 6.4), by TPM2_Sign. The signature is checked by nobody here.
    ///
    /// # Errors
    /// [`TpmError`]
    pub async fn sign(&self, digest: &[u8; 32]) -> Result<Signature, TpmError> {
        let digest = *digest;
        self.loaded
            .run(move |device, spec| device.sign(spec, &digest))
            .await
    }

    /// As [`TpmSigningKey::sign`], for callers without an executor: waits on the calling thread.
    ///
    /// # Errors
    /// [`TpmError`]
    pub fn sign_blocking(&self, digest: &[u8; 32]) -> Result<Signature, TpmError> {
        let digest = *digest;
        self.loaded
            .run_blocking(move |device, spec| device.sign(spec, &digest))
    }

    /// The public key: `04`, x, y (SEC 1 section 2.3.3, uncompressed).
    #[must_use]
    pub fn public_key(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.public_key
    }

    /// The file that the key came from.
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

/// The parameters of a key on P-256 that signs with `scheme` and does nothing else.
pub(in crate::tpm) fn parameters(scheme: EccScheme) -> PublicEccParameters {
    PublicEccParameters::new(
        SymmetricDefinitionObject::Null,
        scheme,
        EccCurve::NistP256,
        KeyDerivationFunctionScheme::Null,
    )
}

/// The public key, if it is one of an unrestricted key for ECDSA with SHA-256, or without a scheme, which leaves the choice to
/// the command.
fn public_key(public: &Public) -> Result<[u8; PUBLIC_KEY_LEN], TpmError> {
    let ecdsa = EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256));
    match public {
        Public::Ecc {
            object_attributes,
            parameters: actual,
            unique,
            ..
        } if object_attributes.sign_encrypt()
            && !object_attributes.restricted()
            && [ecdsa, EccScheme::Null].map(parameters).contains(actual) =>
        {
            sec1(unique)
        }
        _ => None,
    }
    .ok_or(TpmError::NotSigningKey)
}

fn sec1(point: &EccPoint) -> Option<[u8; PUBLIC_KEY_LEN]> {
    let mut encoded = [0; PUBLIC_KEY_LEN];
    let (tag, coordinates) = encoded.split_first_mut()?;
    *tag = 4;
    let (x, y) = coordinates.split_at_mut_checked(32)?;
    x.copy_from_slice(&padded(point.x())?);
    y.copy_from_slice(&padded(point.y())?);
    Some(encoded)
}
