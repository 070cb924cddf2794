//! Tests of the TPM keys of the crate `chanbind`, with swtpm: provisioning, loading, use, and failures.
#![cfg(test)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "a panic fails the test"
)]

mod bad_input;
mod derive;
mod line;
mod provision;
mod reachable;
mod signing;

use chanbind::tpm::{Auth, KeyFile, KeyOptions, OpenOptions, Tpm};
use chanbind_host_tests::swtpm::Swtpm;
use hmac::{Hmac, Mac};
use std::path::PathBuf;

const SECRET: &[u8] = b"my_api_key";

/// Returns the path of a recorded test vector.
fn vector(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("vectors")
        .join(name)
}

/// Computes HMAC-SHA256 in software.
fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

async fn open(swtpm: &Swtpm) -> Tpm {
    Tpm::open(&swtpm.tcti(), OpenOptions::default())
        .await
        .unwrap()
}

async fn import(tpm: &Tpm) -> KeyFile {
    tpm.import_hmac_key(SECRET, KeyOptions::default())
        .await
        .unwrap()
}

fn auth(password: &str) -> Option<Auth> {
    Some(Auth::new(password.as_bytes()).unwrap())
}
