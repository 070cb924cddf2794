//! Devices that prove a certificate, whose key is in the TPM, by Exported Authenticators.

use super::*;
use chanbind_core::x509::spki_sha256;
use chanbind_host_tests::pki::{Authority, Pki};

async fn admitted(kind: Kind) {
    if !kind.can_run() {
        eprintln!(
            "SKIPPED: Node.js is not installed, which runs {}",
            kind.name()
        );
        return;
    }
    let authority = Authority::new("devices").unwrap();
    let device = Device::certified(&authority).await.unwrap();
    let (gateway, _) = TestGateway::certified(&authority, Pki::new().unwrap(), 0)
        .await
        .unwrap();
    let board = Board::start(&device.image(kind, &gateway).unwrap(), &device.chip).unwrap();
    for step in [
        "TPM ready",
        "the gateway is verified",
        "the TPM has signed for this connection",
        // `ok urn:device:client1`
        "admitted by what the TPM made: 200, 21 bytes",
    ] {
        board.wait_for_within(step, 120);
    }
    // The proof is good for the connection: it is asked for no more.
    board.wait_for(ADMITTED);
    let since = board.wait_for(ADMITTED);
    assert!(!since.contains("signed"));
    let signed = board.said().matches("the TPM has signed").count();
    assert_eq!(signed, 1, "{}", board.said());
    assert!(!board.said().contains("ERROR"), "{}", board.said());
    assert_no_violations(&device);
    drop(board);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn qemu_mps2() {
    admitted(Kind::QemuMps2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rp2040_w5500() {
    admitted(Kind::Rp2040W5500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_trusts_another_authority() {
    let kind = Kind::QemuMps2;
    let authority = Authority::new("devices").unwrap();
    let device = Device::certified(&authority).await.unwrap();
    let stranger = Authority::new("other devices").unwrap();
    let (gateway, _) = TestGateway::certified(&stranger, Pki::new().unwrap(), 0)
        .await
        .unwrap();
    let board = Board::start(&device.image(kind, &gateway).unwrap(), &device.chip).unwrap();
    board.wait_for("comes from none of the authorities that the peer trusts");

    // One of the same name has another key: then the device cannot know.
    let (pki, port) = (gateway.pki.clone(), gateway.port);
    gateway.stop().await;
    let namesake = Authority::new("devices").unwrap();
    let (gateway, _) = TestGateway::certified(&namesake, pki.clone(), port)
        .await
        .unwrap();
    board.wait_for("the gateway refused with status 401");
    gateway.stop().await;
    let (gateway, _) = TestGateway::certified(&authority, pki, port).await.unwrap();
    board.wait_for(ADMITTED);
    drop(board);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_revoked() {
    let kind = Kind::QemuMps2;
    let authority = Authority::new("devices").unwrap();
    let device = Device::certified(&authority).await.unwrap();
    let (gateway, layer) = TestGateway::certified(&authority, Pki::new().unwrap(), 0)
        .await
        .unwrap();
    let board = Board::start(&device.image(kind, &gateway).unwrap(), &device.chip).unwrap();
    board.wait_for(ADMITTED);
    let pin = spki_sha256(&device.certificate().unwrap()).unwrap();
    assert_eq!(layer.revoke(pin), 1);
    board.wait_for("the gateway refused with status 401");
    drop(board);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_together_is_told_at_the_start() {
    let kind = Kind::QemuMps2;
    let authority = Authority::new("devices").unwrap();
    let device = Device::certified(&authority).await.unwrap();
    let ca = Pki::new().unwrap().ca;
    let toml = device.toml(kind, 1);

    let others = authority.issue(|_| {}).unwrap().pem();
    let image = Image::with_authenticators(kind).unwrap();
    let image = image.configured_with(&toml, &ca, &others).unwrap();
    let board = Board::start(&image, &device.chip).unwrap();
    board.wait_for("ERROR the configuration's first certificate is not that of its key");
    drop(board);

    let image = Image::built(kind).unwrap();
    let image = image.configured_with(&toml, &ca, &others).unwrap();
    let board = Board::start(&image, &device.chip).unwrap();
    board.wait_for(
        "ERROR the configuration says proof = \"authenticator\", and the firmware has none",
    );
}

/// The image with authenticators is one for passwords too.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_by_the_same_image() {
    let kind = Kind::QemuMps2;
    let device = Device::provisioned(SECRET).await.unwrap();
    let gateway = gateway(SECRET).await;
    let image = Image::with_authenticators(kind).unwrap();
    let image = image
        .configured(&device.toml(kind, gateway.port), &gateway.pki.ca)
        .unwrap();
    let board = Board::start(&image, &device.chip).unwrap();
    board.wait_for("the TPM has made the one-time key");
    board.wait_for(ADMITTED);
    drop(board);
    gateway.stop().await;
}
