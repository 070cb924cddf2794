//! Signatures to be made: for blessings, discharges, and channel bindings.

use super::{
    Algorithms, BlessingError, Certificate, Discharge, Hash, PublicKey, Signature, SignatureValue,
    certificate::ChainDigests,
    hash::MAX_DIGEST_LEN,
    key::hashed_parts,
    signature::{BLESS, DISCHARGE, SIGN},
};
use crate::{crypto::SignatureScheme, der, proof::KeyRequest};

/// The longest scalar of an ECDSA signature, in bytes.
const MAX_SCALAR_LEN: usize = if cfg!(feature = "blessing-p384") {
    48
} else {
    32
};

/// The longest value of a signature, in bytes.
const MAX_VALUE_LEN: usize = 2 * MAX_SCALAR_LEN;

/// A signature that the holder of a key has to make.
pub struct SigningRequest {
    scheme: SignatureScheme,
    hash: Hash,
    purpose: &'static [u8],
    message: heapless::Vec<u8, { 3 * MAX_DIGEST_LEN }>,
}

impl SigningRequest {
    /// Creates a request for a signature over the concatenated parts. `None` if signatures of the key's algorithm cannot be requested.
    fn new(key: &PublicKey<'_>, purpose: &'static [u8], parts: &[&[u8]]) -> Option<Self> {
        let hash = key.hash();
        let hashed = hash.of(parts);
        let all = hashed_parts(key.as_der(), hash, &hashed, purpose);
        let mut message = heapless::Vec::new();
        for part in &all {
            message.extend_from_slice(part.as_bytes()).ok()?;
        }
        if key.signs_digest() {
            let digest = hash.of(&[&message]);
            message.clear();
            message.extend_from_slice(digest.as_bytes()).ok()?;
        }
        Some(Self {
            scheme: key.scheme()?,
            hash,
            purpose,
            message,
        })
    }

    /// Creates a request for a signature over a channel's binding.
    pub(crate) fn of_binding(key: &PublicKey<'_>, parts: &[&[u8]]) -> Result<Self, BlessingError> {
        Self::new(key, SIGN, parts).ok_or(BlessingError::Key)
    }

    /// Creates a request for the signature of the last certificate of a chain: by the key of the one before, or by its own key if it is the only one.
    /// The signature that it may have is ignored.
    ///
    /// # Errors
    /// - [`BlessingError::EmptyChain`];
    /// - [`BlessingError::Extension`], if the extension is invalid;
    /// - [`BlessingError::Key`], if a public key is malformed or its algorithm is not supported.
    pub fn of_certificate(
        chain: &[Certificate<'_>],
        algorithms: &Algorithms,
    ) -> Result<Self, BlessingError> {
        let (last, before) = chain.split_last().ok_or(BlessingError::EmptyChain)?;
        super::check_extension(last.extension)?;
        let parse = |certificate: &Certificate<'_>| {
            // The key is parsed for its hash alone.
            PublicKey::parse(certificate.public_key, algorithms).map(|key| key.hash())
        };
        let mut digest = None;
        let mut signer = None;
        for certificate in before {
            let hash = signer.map_or_else(|| parse(certificate), parse);
            let hash = hash.ok_or(BlessingError::Key)?;
            digest = Some(ChainDigests::of(certificate, hash, digest.as_ref())?.chained);
            signer = Some(certificate);
        }
        let signer = signer.unwrap_or(last);
        let key = PublicKey::parse(signer.public_key, algorithms).ok_or(BlessingError::Key)?;
        let signed = ChainDigests::of(last, key.hash(), digest.as_ref())?.signed;
        Self::new(&key, BLESS, &[signed.as_bytes()]).ok_or(BlessingError::Key)
    }

    /// Creates a request for the signature of a discharge by the third party's key. The signature that it may have is ignored.
    ///
    /// # Errors
    /// [`BlessingError::Key`], if the algorithm of the key is not supported.
    pub fn of_discharge(
        discharge: &Discharge<'_>,
        key: &PublicKey<'_>,
    ) -> Result<Self, BlessingError> {
        let signed = discharge.signed(key.hash())?;
        Self::new(key, DISCHARGE, &[signed.as_bytes()]).ok_or(BlessingError::Key)
    }

    /// Returns the request to the holder of the key.
    #[must_use]
    pub fn key_request(&self) -> KeyRequest<'_> {
        KeyRequest::Sign {
            scheme: self.scheme,
            message: &self.message,
        }
    }

    /// Takes the holder's answer: for ECDSA a signature in DER, for Ed25519 one of 64 bytes.
    ///
    /// # Errors
    /// [`BlessingError::Signature`] if the answer has another form.
    pub fn finish(&self, answer: &[u8]) -> Result<OwnedSignature, BlessingError> {
        let mut value = [0; MAX_VALUE_LEN];
        match self.scheme {
            SignatureScheme::ECDSA_SECP256R1_SHA256 => ecdsa::<32>(answer, &mut value),
            #[cfg(feature = "blessing-p384")]
            SignatureScheme::ECDSA_SECP384R1_SHA384 => ecdsa::<48>(answer, &mut value),
            _ => copy(answer, value.get_mut(..64)),
        }
        .ok_or(BlessingError::Signature)?;
        Ok(OwnedSignature {
            scheme: self.scheme,
            hash: self.hash,
            purpose: self.purpose,
            value,
        })
    }
}

/// Writes the scalars of a signature in DER to `value`.
fn ecdsa<const LEN: usize>(answer: &[u8], value: &mut [u8]) -> Option<()> {
    let mut outer = der::Reader::new(answer);
    let mut fields = outer.sequence().ok()?;
    let scalars: [[u8; LEN]; 2] = [fields.unsigned().ok()?, fields.unsigned().ok()?];
    if !fields.is_empty() || !outer.is_empty() {
        return None;
    }
    copy(scalars.as_flattened(), value.get_mut(..LEN.checked_mul(2)?))
}

fn copy(from: &[u8], to: Option<&mut [u8]>) -> Option<()> {
    let to = to.filter(|to| to.len() == from.len())?;
    to.copy_from_slice(from);
    Some(())
}

/// A signature that has been made.
pub struct OwnedSignature {
    scheme: SignatureScheme,
    hash: Hash,
    purpose: &'static [u8],
    /// Two scalars of equal length, or a signature of Ed25519.
    value: [u8; MAX_VALUE_LEN],
}

impl OwnedSignature {
    /// Returns the signature, as certificates, discharges and messages have it.
    #[must_use]
    pub fn signature(&self) -> Signature<'_> {
        let scalar_len = match self.scheme {
            SignatureScheme::ECDSA_SECP256R1_SHA256 => 32,
            #[cfg(feature = "blessing-p384")]
            SignatureScheme::ECDSA_SECP384R1_SHA384 => 48,
            _ => 0,
        };
        let value = if scalar_len == 0 {
            SignatureValue::Ed25519(self.value.get(..64).unwrap_or_default())
        } else {
            let (r, rest) = self.value.split_at_checked(scalar_len).unwrap_or_default();
            let s = rest.get(..scalar_len).unwrap_or_default();
            SignatureValue::Ecdsa {
                r: minimal(r),
                s: minimal(s),
            }
        };
        Signature {
            purpose: self.purpose,
            hash: self.hash.name().as_bytes(),
            value,
        }
    }
}

/// Returns the integer without leading zeroes.
fn minimal(integer: &[u8]) -> &[u8] {
    let zeroes = integer.iter().take_while(|octet| **octet == 0).count();
    integer.get(zeroes..).unwrap_or_default()
}
