//! Interoperability tests with the programs in `interop`: servers in Go with Rust clients, clients in Go and Python with Rust gateways,
//! and byte-for-byte comparisons.
#![cfg(test)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "a panic fails the test"
)]

mod authenticators;
mod blessings;
mod mutual;
mod otp_clients;
mod passwords;

use chanbind_host_tests::go;
use std::path::Path;

/// The Go program's own tests must pass for the other tests to be meaningful.
#[test]
fn go_program_passes_its_own_tests() {
    if go::program().is_none() {
        return;
    }
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/rfc9261-cocos.json");
    let printed = go::test(&[("VECTORS", &vectors)]);
    assert!(printed.contains("--- PASS: TestRecorded"), "{printed}");
    assert!(!printed.contains("SKIP"), "{printed}");
}
