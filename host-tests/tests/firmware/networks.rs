//! Networks that are late, lose frames, or go.

use super::*;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn is_late() {
    let device = Device::provisioned(SECRET).await.unwrap();
    let gateway = gateway(SECRET).await;
    let image = device.image(Kind::QemuMps2, &gateway).unwrap();
    let board = Board::start_unplugged(&image, &device.chip).unwrap();
    board.wait_for("chanbind: client1");
    assert_eq!(board.line(Duration::from_secs(3)), None, "{}", board.said());
    board.network_link().plug_in();
    board.wait_for("network up");
    board.wait_for(ADMITTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn loses_frames() {
    let device = Device::provisioned(SECRET).await.unwrap();
    let gateway = gateway(SECRET).await;
    let image = device.image(Kind::QemuMps2, &gateway).unwrap();
    let board = Board::start_unplugged(&image, &device.chip).unwrap();
    board.network_link().lose_one_in(6);
    board.network_link().plug_in();
    for _ in 0..4 {
        board.wait_for_within(ADMITTED, 120);
    }
    assert!(board.network_link().frames() > 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_and_comes_back() {
    let device = Device::provisioned(SECRET).await.unwrap();
    let gateway = gateway(SECRET).await;
    let board = Board::start(
        &device.image(Kind::QemuMps2, &gateway).unwrap(),
        &device.chip,
    )
    .unwrap();
    board.wait_for(ADMITTED);
    board.network_link().pull_out();
    board.wait_for("event=failed reason=http-timeout");
    board.wait_for("event=failed reason=tcp-timeout");
    board.wait_for("event=waiting ms=");
    board.network_link().plug_in();
    board.wait_for(ADMITTED);
}
