//! Figures that a board logs after the gateway has admitted it.

use crate::{Figure, Outcome, SECRET};
use chanbind::{
    gateway::{ClientKey, ClientTable, MemoryRegistry},
    proof::otp::Settings,
};
use chanbind_host_tests::{
    board::{Board, Device, Kind},
    gateway::TestGateway,
    pki::{Authority, Pki},
};

pub(crate) async fn figures() -> Outcome<Vec<Figure>> {
    let device = Device::provisioned(SECRET).await?;
    let clients = [(Device::CLIENT.to_owned(), ClientKey::secret(SECRET))];
    let registry = MemoryRegistry::new(ClientTable::new(clients)?);
    let gateway = TestGateway::start(registry, Settings::default()).await?;
    let (microseconds, stack) = logged_figures(&device, &gateway).await?;

    let authority = Authority::new("devices")?;
    let device = Device::certified(&authority).await?;
    let (gateway, _) = TestGateway::certified(&authority, Pki::new()?, 0).await?;
    let (_, stack_with_certificate) = logged_figures(&device, &gateway).await?;
    Ok(vec![
        (
            "firmware, qemu-mps2: stack used (stack painting)".to_owned(),
            stack,
            "bytes",
        ),
        (
            "firmware, qemu-mps2: stack used, with authenticators (stack painting)".to_owned(),
            stack_with_certificate,
            "bytes",
        ),
        (
            "firmware, qemu-mps2: boot to 200 OK (not exact)".to_owned(),
            microseconds,
            "us",
        ),
    ])
}

/// Runs the board until it is admitted. Returns the microseconds since its start and the bytes of stack that it has used.
async fn logged_figures(device: &Device, gateway: &TestGateway) -> Outcome<(f64, f64)> {
    let image = device.image(Kind::QemuMps2, gateway)?;
    let board = Board::start(&image, &device.chip)?;
    // The gateway runs on this thread, which must not be blocked.
    let line = tokio::task::spawn_blocking(move || board.wait_for("bytes of stack used")).await?;
    let numbers: Vec<f64> = line
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    match numbers[..] {
        [microseconds, stack, ..] => Ok((microseconds, stack)),
        _ => Err(format!("the board logged {line:?} instead of its figures").into()),
    }
}
