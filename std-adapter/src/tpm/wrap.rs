//! The outer wrapper of TPM2_Import (TPM 2.0 Part 1 section 23.3). It encrypts a key to the parent's public key, so that the key
//! is never sent in the clear. Parameter encryption is not sufficient, because it covers only the first parameter, and in
//! TPM2_Import that is not the key.

use super::{TpmError, esys::padded};
use aes::{
    Aes128,
    cipher::{AsyncStreamCipher, KeyIvInit},
};
use chanbind_core::crypto::{HmacSha256State, kdfa, kdfe};
use p256::{
    EncodedPoint, PublicKey, SecretKey,
    ecdh::diffie_hellman,
    elliptic_curve::sec1::{FromEncodedPoint, ToEncodedPoint},
};
use tss_esapi::structures::{EncryptedSecret, Private, Public};
use zeroize::Zeroizing;

/// Encrypts `sensitive`, a TPM2B_SENSITIVE, to an ECC P-256 parent with AES-128-CFB and SHA-256. `name` is the name of the
/// wrapped key.
pub(super) fn wrap(
    parent: &Public,
    name: &[u8],
    sensitive: &[u8],
) -> Result<(Private, EncryptedSecret), TpmError> {
    let Public::Ecc { unique, .. } = parent else {
        return Err(wrapper_error("the parent is not an ECC key"));
    };
    let (Some(x), Some(y)) = (padded(unique.x()), padded(unique.y())) else {
        return Err(wrapper_error(
            "a coordinate of the parent's public key is too long",
        ));
    };
    let point = EncodedPoint::from_affine_coordinates(&x.into(), &y.into(), false);
    let parent = Option::<PublicKey>::from(PublicKey::from_encoded_point(&point))
        .ok_or_else(|| wrapper_error("the parent's public key is not on P-256"))?;
    let ephemeral = ephemeral_key()?;
    let ephemeral_point = ephemeral.public_key().to_encoded_point(false);
    let (Some(ex), Some(ey)) = (ephemeral_point.x(), ephemeral_point.y()) else {
        return Err(wrapper_error("the ephemeral public key is invalid"));
    };

    let shared = diffie_hellman(ephemeral.to_nonzero_scalar(), parent.as_affine());
    let seed = HmacSha256State::new(&*kdfe(shared.raw_secret_bytes(), b"DUPLICATE", ex, &x));
    let mut encrypted = sensitive.to_vec();
    let symmetric_key = kdfa(&seed, b"STORAGE", name, &[], 128);
    let symmetric_key = symmetric_key.get(..16).unwrap_or_default();
    cfb_mode::Encryptor::<Aes128>::new_from_slices(symmetric_key, &[0; 16])
        .map_err(|_| wrapper_error("AES-128-CFB rejected the key length"))?
        .encrypt(&mut encrypted);
    let integrity_key = kdfa(&seed, b"INTEGRITY", &[], &[], 256);
    let integrity = HmacSha256State::new(&*integrity_key).mac([encrypted.as_slice(), name]);

    let duplicate = [&[0, 32][..], &integrity, &encrypted].concat();
    let secret = [&[0, 32][..], ex, &[0, 32], ey].concat();
    Ok((
        Private::try_from(duplicate).map_err(|error| wrapper_error(&error.to_string()))?,
        EncryptedSecret::try_from(secret).map_err(|error| wrapper_error(&error.to_string()))?,
    ))
}

fn ephemeral_key() -> Result<SecretKey, TpmError> {
    let mut bytes = Zeroizing::new([0; 32]);
    loop {
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| wrapper_error(&error.to_string()))?;
        // About one of 2^32 random strings is not a valid scalar.
        if let Ok(key) = SecretKey::from_slice(bytes.as_slice()) {
            return Ok(key);
        }
    }
}

fn wrapper_error(reason: &str) -> TpmError {
    TpmError::Stack {
        command: "the outer wrapper of TPM2_Import",
        reason: reason.to_owned(),
    }
}
