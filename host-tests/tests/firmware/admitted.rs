//! The main job.

use super::*;

async fn admitted(kind: Kind) {
    if !kind.can_run() {
        eprintln!(
            "SKIPPED: Node.js is not installed, which runs {}",
            kind.name()
        );
        return;
    }
    let device = Device::provisioned(SECRET).await.unwrap();
    let gateway = gateway(SECRET).await;
    let board = Board::start(&device.image(kind, &gateway).unwrap(), &device.chip).unwrap();
    for step in [
        "network up",
        "TPM found",
        "TPM ready",
        "TCP connection open",
        "the gateway is verified",
        "the TPM has made the one-time key",
        "admitted by what the TPM made: 200, 18 bytes",
        // And again on the same connection.
        "admitted by what the TPM made: 200, 18 bytes",
    ] {
        board.wait_for(step);
    }
    assert!(!board.said().contains("ERROR"), "{}", board.said());
    board.wait_for(ADMITTED);
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
