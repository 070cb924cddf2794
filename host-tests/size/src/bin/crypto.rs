//! A firmware without a TPM that uses P-256 key agreement, AES-128-CFB and SHA-256: the baseline for `tpm-session`.
#![no_std]
#![no_main]

use aes::{
    Aes128,
    cipher::{AsyncStreamCipher, KeyIvInit},
};
use chanbind_core::crypto::{HmacSha256State, kdfa, sha256};
use chanbind_size::{Pin, Rng, Spi, identity, program};
use chanbind_tpm_spi::blocking::run;
use embedded_hal::digital::OutputPin;
use embedded_hal_async::spi::SpiBus;
use p256::{
    EncodedPoint, PublicKey,
    ecdh::EphemeralSecret,
    elliptic_curve::sec1::{FromEncodedPoint, ToEncodedPoint},
};

async fn crypto(buffer: &mut [u8]) -> Option<u32> {
    let (private, public, name) = identity();
    let _ = Pin.set_low();
    let x: [u8; 32] = *private.first_chunk()?;
    let y: [u8; 32] = *public.first_chunk()?;
    let point = EncodedPoint::from_affine_coordinates(&x.into(), &y.into(), false);
    let point = Option::<PublicKey>::from(PublicKey::from_encoded_point(&point))?;
    let secret = EphemeralSecret::random(&mut Rng);
    let shared = secret.diffie_hellman(&point);
    let own = secret.public_key().to_encoded_point(false);
    Spi.write(own.as_bytes()).await.ok()?;
    let key = HmacSha256State::new(shared.raw_secret_bytes());
    let key = kdfa(&key, b"ATH", &sha256(&name), &public, 256);
    let (key, iv) = key.split_at_checked(16)?;
    cfb_mode::Encryptor::<Aes128>::new_from_slices(key, iv)
        .ok()?
        .encrypt(buffer);
    cfb_mode::Decryptor::<Aes128>::new_from_slices(iv, key)
        .ok()?
        .decrypt(buffer);
    Spi.write(buffer).await.ok()?;
    Some(0)
}

program!(run(crypto(&mut [0; 64])).unwrap_or(1));
