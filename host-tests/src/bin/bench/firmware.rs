//! What a board says of itself when the gateway has admitted it.

use crate::{Figure, Outcome, SECRET};
use chanbind::{
    gateway::{ClientKey, Registry},
    proof::Settings,
};
use chanbind_host_tests::{
    board::{Board, Device, Kind},
    gateway::TestGateway,
};

pub(crate) async fn figures() -> Outcome<Vec<Figure>> {
    let device = Device::provisioned(SECRET).await?;
    let registry = Registry::new([(Device::CLIENT.to_owned(), ClientKey::secret(SECRET))])?;
    let gateway = TestGateway::start(registry, Settings::default()).await?;
    let image = device.image(Kind::QemuMps2, &gateway)?;
    let board = Board::start(&image, &device.chip)?;
    // The gateway runs on this thread.
    let line = tokio::task::spawn_blocking(move || board.wait_for("bytes of stack used")).await?;
    let numbers: Vec<f64> = line
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [microseconds, stack, ..] = numbers[..] else {
        return Err(format!("the board said {line:?}").into());
    };
    Ok(vec![
        (
            "firmware, qemu-mps2: stack used, by painting".to_owned(),
            stack,
            "bytes",
        ),
        (
            "firmware, qemu-mps2: boot to 200 OK (not exact)".to_owned(),
            microseconds,
            "us",
        ),
    ])
}
