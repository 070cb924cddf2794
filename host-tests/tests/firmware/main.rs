//! The flash images of boards, end to end, with a TPM and a gateway.
//!
//! `cargo x test` builds the images before; `cargo x firmware` does it alone.
#![cfg(test)]
#![allow(clippy::arithmetic_side_effects, reason = "a panic fails the test")]

mod admitted;
mod application;
mod authenticator;
mod blessing;
mod gateways;
mod mqtt;
mod mutual;
mod networks;
mod technician;
mod tpms;
mod vanadium;

use chanbind::{
    gateway::{ClientKey, ClientTable, MemoryRegistry},
    proof::otp::Settings,
};
use chanbind_host_tests::{
    board::{Board, Device, Image, Kind},
    gateway::TestGateway,
};
use std::sync::Arc;

fn configured(kind: Kind, toml: &str, ca: &str) -> Image {
    Image::built(kind).unwrap().configured(toml, ca).unwrap()
}

fn registry(secret: &[u8]) -> Arc<MemoryRegistry> {
    let clients = [(Device::CLIENT.to_owned(), ClientKey::secret(secret))];
    MemoryRegistry::new(ClientTable::new(clients).unwrap())
}

async fn gateway(secret: &[u8]) -> TestGateway {
    TestGateway::start(registry(secret), Settings::default())
        .await
        .unwrap()
}

/// Stops a gateway and starts it again, with another registry.
async fn restarted(gateway: TestGateway, secret: &[u8]) -> TestGateway {
    let (pki, port) = (gateway.pki.clone(), gateway.port);
    gateway.stop().await;
    TestGateway::start_as(registry(secret), Settings::default(), pki, port)
        .await
        .unwrap()
}

/// Returns false if the board cannot be run on this machine, and says so.
fn can_run(kind: Kind) -> bool {
    if !kind.can_run() {
        eprintln!(
            "SKIPPED: Node.js is not installed, which runs {}",
            kind.name()
        );
    }
    kind.can_run()
}

/// Runs the board until the gateway has admitted the device three times on one connection, for which the device proves itself once.
fn run_until_admitted(kind: Kind, device: &Device, gateway: &TestGateway, proof: &str) -> Board {
    let board = Board::start(&device.image(kind, gateway).unwrap(), &device.chip).unwrap();
    let proof = format!("event=proof kind={proof}");
    for step in ["event=tpm-ready", "event=tls-open", &proof, ADMITTED] {
        board.wait_for_within(step, 120);
    }
    board.wait_for(ADMITTED);
    board.wait_for(ADMITTED);
    let proofs = board.said().matches("event=proof").count();
    assert_eq!(proofs, 1, "{}", board.said());
    assert!(!board.said().contains("ERROR"), "{}", board.said());
    assert_no_violations(device);
    board
}

const SECRET: &[u8] = b"a key of this test, 32 bytes long";
const ADMITTED: &str = "event=admitted status=200";

/// Waits until the board logs a failure with this reason, and asserts that its text contains `text`.
fn wait_for_failure(board: &Board, reason: &str, text: &str) {
    let line = board.wait_for(&format!("event=failed reason={reason}:"));
    assert!(line.contains(text), "{line}");
}

/// Asserts that the driver violated no rule of the chip.
fn assert_no_violations(device: &Device) {
    let violations = device.chip.take_violations();
    assert!(violations.is_empty(), "{violations:?}");
}
