//! TPMs that are not there, are reset, stop answering, or are another.

use super::*;
use chanbind_tis_emulator::Event;

#[tokio::test(flavor = "multi_thread")]
async fn is_not_there_yet() {
    let device = Device::provisioned(SECRET).await.unwrap();
    let gateway = gateway(SECRET).await;
    device.chip.event(Event::VanishHigh);
    let board = Board::start(
        &device.image(Kind::QemuMps2, &gateway).unwrap(),
        &device.chip,
    )
    .unwrap();
    for _ in 0..2 {
        board.wait_for("no TPM answers");
        board.wait_for("event=waiting ms=");
    }
    device.chip.event(Event::Return);
    board.wait_for(ADMITTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn is_reset() {
    let device = Device::provisioned(SECRET).await.unwrap();
    let mut gateway = gateway(SECRET).await;
    let board = Board::start(
        &device.image(Kind::QemuMps2, &gateway).unwrap(),
        &device.chip,
    )
    .unwrap();
    for _ in 0..3 {
        board.wait_for(ADMITTED);
        device.chip.event(Event::Reset);
        gateway = restarted(gateway, SECRET).await;
        board.wait_for("the TPM was reset");
    }
    board.wait_for(ADMITTED);
    assert!(!board.said().contains("ERROR"), "{}", board.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_answering() {
    let device = Device::provisioned(SECRET).await.unwrap();
    let gateway = gateway(SECRET).await;
    let board = Board::start(
        &device.image(Kind::QemuMps2, &gateway).unwrap(),
        &device.chip,
    )
    .unwrap();
    board.wait_for(ADMITTED);
    device.chip.event(Event::VanishHigh);
    let _gateway = restarted(gateway, SECRET).await;
    wait_for_failure(&board, "tpm", "the TPM no longer answers");
    board.wait_for("event=waiting ms=");
    device.chip.event(Event::Return);
    board.wait_for(ADMITTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn is_another() {
    let (device, other) = (
        Device::provisioned(SECRET).await.unwrap(),
        Device::provisioned(SECRET).await.unwrap(),
    );
    let gateway = gateway(SECRET).await;
    let board = Board::start(
        &device.image(Kind::QemuMps2, &gateway).unwrap(),
        &other.chip,
    )
    .unwrap();
    wait_for_failure(&board, "tpm", "the TPM's parent key is not the pinned one");
    board.wait_for("event=waiting ms=");
    assert!(!board.said().contains("event=tcp-open"), "{}", board.said());
}

/// A TPM in failure mode does nothing but answer why, until it is reset: the device does that by its pin.
#[tokio::test(flavor = "multi_thread")]
async fn is_in_failure_mode() {
    let device = Device::provisioned(SECRET).await.unwrap();
    let gateway = gateway(SECRET).await;
    let board = Board::start(
        &device.image(Kind::QemuMps2, &gateway).unwrap(),
        &device.chip,
    )
    .unwrap();
    board.wait_for(ADMITTED);
    device.chip.script(|script| {
        let mut failed = true;
        script.refusal = Box::new(move |command| {
            // A reset by pin comes behind TPM2_Shutdown.
            failed &= command[6..10] != [0, 0, 1, 0x45];
            failed.then(|| vec![0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x01])
        });
    });
    let _gateway = restarted(gateway, SECRET).await;
    wait_for_failure(
        &board,
        "tpm",
        "the TPM rejected TPM2_GetRandom: Error(ErrorCode(1))",
    );
    board.wait_for(ADMITTED);
}
