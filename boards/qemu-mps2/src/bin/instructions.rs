//! A benchmark: `cargo x bench` makes QEMU record the executed instructions, and counts those of the functions below.
#![no_std]
#![no_main]

use chanbind_board_qemu_mps2::exit;
use chanbind_core::{
    exporter::ExporterSecret,
    kdf::{Prf, PrfInput},
    otp::{ClientId, OneTimeKey, Profile, Purpose, api_key},
};
use core::{convert::Infallible, hint::black_box};
use cortex_m_rt::entry;
use sha2::digest::generic_array::GenericArray;

#[entry]
fn main() -> ! {
    let secret = black_box([7; 32]);
    let token = exporter_secret_to_token(&secret);
    compressions(COMPRESSIONS);
    exit::exit(i32::from(black_box(token).is_none()))
}

/// Computes the one-time password from the exporter secret of a connection, except for the work of the TPM.
#[inline(never)]
fn exporter_secret_to_token(secret: &[u8; 32]) -> Option<[u8; api_key::ENCODED_LEN]> {
    let channel = ExporterSecret::sha256(secret);
    let client = ClientId::new(black_box("client1")).ok()?;
    let profile = Profile::default();
    let key = OneTimeKey::derive(&profile, Purpose::ApiKey, client, &channel, &mut Tpm).ok()?;
    let mut token = [0; api_key::ENCODED_LEN];
    api_key::encode(&key, &mut token);
    Some(token)
}

/// The number of SHA-256 compressions that this requires by RFC 8446: HKDF-Expand-Label with the exporter's label (5), the hash
/// of the context (1), and HKDF-Expand-Label with `exporter` (4).
const COMPRESSIONS: usize = 10;

#[inline(never)]
fn compressions(count: usize) {
    let mut state = black_box([0; 8]);
    let block = black_box(GenericArray::from([0; 64]));
    for _ in 0..count {
        sha2::compress256(&mut state, &[block]);
    }
    black_box(state);
}

/// A TPM that responds at once, because its work is not part of the measurement.
struct Tpm;

impl Prf for Tpm {
    type Error = Infallible;

    fn output_len(&self) -> usize {
        32
    }

    fn compute(&mut self, _: &PrfInput<'_>, out: &mut [u8]) -> Result<(), Infallible> {
        out.fill(0x5a);
        Ok(())
    }
}
