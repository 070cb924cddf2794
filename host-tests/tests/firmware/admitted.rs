//! The main job.

use super::*;

async fn admitted(kind: Kind) {
    if !can_run(kind) {
        return;
    }
    let device = Device::provisioned(SECRET).await.unwrap();
    let gateway = gateway(SECRET).await;
    let board = Board::start(&device.image(kind, &gateway).unwrap(), &device.chip).unwrap();
    for step in [
        "network up",
        "TPM found",
        "event=tpm-ready",
        "event=tcp-open",
        "event=tls-open",
        "event=proof kind=otp",
        "event=admitted status=200",
        // And again on the same connection.
        "event=admitted status=200",
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
