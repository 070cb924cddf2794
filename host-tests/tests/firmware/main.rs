//! The flash images of boards, end to end: a TPM, a gateway, and all that can come between.
//!
//! `cargo x test` builds the images before; `cargo x firmware` does it alone.

mod admitted;
mod certified;
mod gateways;
mod networks;
mod tpms;

use chanbind::{
    gateway::{ClientKey, Registry},
    proof::Settings,
};
use chanbind_host_tests::{
    board::{Board, Device, Image, Kind},
    gateway::TestGateway,
};

fn configured(kind: Kind, toml: &str, ca: &str) -> Image {
    Image::built(kind).unwrap().configured(toml, ca).unwrap()
}

fn registry(secret: &[u8]) -> Registry {
    Registry::new([(Device::CLIENT.to_owned(), ClientKey::secret(secret))]).unwrap()
}

async fn gateway(secret: &[u8]) -> TestGateway {
    TestGateway::start(registry(secret), Settings::default())
        .await
        .unwrap()
}

/// Ends a gateway and starts it again, with another registry.
async fn restarted(gateway: TestGateway, secret: &[u8]) -> TestGateway {
    let (pki, port) = (gateway.pki.clone(), gateway.port);
    gateway.stop().await;
    TestGateway::start_as(registry(secret), Settings::default(), pki, port)
        .await
        .unwrap()
}

const SECRET: &[u8] = b"a key of this test, 32 bytes long";
const ADMITTED: &str = "admitted by what the TPM made: 200";

/// The driver has done nothing that the chip complains of.
fn assert_no_violations(device: &Device) {
    let violations = device.chip.take_violations();
    assert!(violations.is_empty(), "{violations:?}");
}
