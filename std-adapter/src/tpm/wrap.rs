//! The outer wrapper of TPM2_Import (TPM 2.0 Part 1 section 23.3): a key encrypted to the parent's public key, so that it
//! crosses the bus as cipher text. Parameter encryption would not do: it covers the first parameter only, which here is
//! another one.

use super::TpmError;
use aes::{
    Aes128,
    cipher::{AsyncStreamCipher, KeyIvInit},
};
use hmac::{Hmac, Mac};
use p256::{
    EncodedPoint, PublicKey, SecretKey,
    ecdh::diffie_hellman,
    elliptic_curve::sec1::{FromEncodedPoint, ToEncodedPoint},
};
use sha2::{Digest, Sha256};
use tss_esapi::structures::{EncryptedSecret, Private, Public};
use zeroize::Zeroizing;

/// Encrypts `sensitive`, a TPM2B_SENSITIVE, to an ECC P-256 parent with AES-128-CFB and SHA-256. `name` is that of the key
/// that is wrapped.
pub(super) fn wrap(
    parent: &Public,
    name: &[u8],
    sensitive: &[u8],
) -> Result<(Private, EncryptedSecret), TpmError> {
    let Public::Ecc { unique, .. } = parent else {
        return Err(stack("the parent is no ECC key"));
    };
    let (x, y) = (padded(unique.x().value())?, padded(unique.y().value())?);
    let point = EncodedPoint::from_affine_coordinates(&x.into(), &y.into(), false);
    let parent = Option::<PublicKey>::from(PublicKey::from_encoded_point(&point))
        .ok_or_else(|| stack("the parent's public key is not on P-256"))?;
    let ephemeral = ephemeral_key()?;
    let ephemeral_point = ephemeral.public_key().to_encoded_point(false);
    let (Some(ex), Some(ey)) = (ephemeral_point.x(), ephemeral_point.y()) else {
        return Err(stack("no ephemeral key"));
    };

    let shared = diffie_hellman(ephemeral.to_nonzero_scalar(), parent.as_affine());
    let seed = kdfe(shared.raw_secret_bytes(), b"DUPLICATE", ex, &x);
    let mut encrypted = sensitive.to_vec();
    let symmetric_key = kdfa(&*seed, b"STORAGE", name, 16)?;
    cfb_mode::Encryptor::<Aes128>::new_from_slices(&symmetric_key, &[0; 16])
        .map_err(|_| stack("AES-128-CFB"))?
        .encrypt(&mut encrypted);
    let hmac_key = kdfa(&*seed, b"INTEGRITY", &[], 32)?;
    let mut integrity = hmac(&hmac_key)?;
    integrity.update(&encrypted);
    integrity.update(name);

    let duplicate = [&[0, 32][..], &integrity.finalize().into_bytes(), &encrypted].concat();
    let secret = [&[0, 32][..], ex, &[0, 32], ey].concat();
    Ok((
        Private::try_from(duplicate).map_err(|error| stack(&error.to_string()))?,
        EncryptedSecret::try_from(secret).map_err(|error| stack(&error.to_string()))?,
    ))
}

/// KDFe of Part 1 section 11.4.10.3, for 256 bits of SHA-256.
fn kdfe(shared: &[u8], label: &[u8], party_u: &[u8], party_v: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha256::new();
    for part in [
        &1u32.to_be_bytes()[..],
        shared,
        label,
        &[0],
        party_u,
        party_v,
    ] {
        hash.update(part);
    }
    Zeroizing::new(hash.finalize().into())
}

/// KDFa of Part 1 section 11.4.10.2, for at most 256 bits of SHA-256 and without a second context.
fn kdfa(
    key: &[u8],
    label: &[u8],
    context: &[u8],
    len: usize,
) -> Result<Zeroizing<Vec<u8>>, TpmError> {
    let bits = u32::try_from(len * 8).map_err(|_| stack("KDFa"))?;
    let mut mac = hmac(key)?;
    for part in [
        &1u32.to_be_bytes()[..],
        label,
        &[0],
        context,
        &bits.to_be_bytes(),
    ] {
        mac.update(part);
    }
    let mut derived = mac.finalize().into_bytes().to_vec();
    derived.truncate(len);
    Ok(Zeroizing::new(derived))
}

fn hmac(key: &[u8]) -> Result<Hmac<Sha256>, TpmError> {
    Hmac::new_from_slice(key).map_err(|_| stack("HMAC"))
}

fn ephemeral_key() -> Result<SecretKey, TpmError> {
    let mut bytes = Zeroizing::new([0; 32]);
    loop {
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| stack(&error.to_string()))?;
        // One of 2^32 strings is no scalar.
        if let Ok(key) = SecretKey::from_slice(bytes.as_slice()) {
            return Ok(key);
        }
    }
}

/// A coordinate without leading zeroes, at full length.
fn padded(coordinate: &[u8]) -> Result<[u8; 32], TpmError> {
    let mut full = [0; 32];
    let start = full
        .len()
        .checked_sub(coordinate.len())
        .ok_or_else(|| stack("a coordinate is too long"))?;
    full[start..].copy_from_slice(coordinate);
    Ok(full)
}

fn stack(reason: &str) -> TpmError {
    TpmError::Stack {
        command: "the outer wrapper of TPM2_Import",
        reason: reason.to_owned(),
    }
}
