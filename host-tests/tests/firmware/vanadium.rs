//! Devices on Vanadium's own channel.

use super::*;
use chanbind::proof::blessing::{
    ChannelOptions, Principal, Received, VanadiumConnection, VanadiumError, accept,
};
use chanbind_core::blessing::channel::ChannelError;
use chanbind_host_tests::principals::{blessed, named};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Creates a board whose device has the name `factory:line3:pump7` and dials `listener`.
async fn board(factory: &Principal, listener: &TcpListener) -> (Board, Device) {
    let device = Device::blessed(factory, "line3:pump7", "factory:gateway:$", &[])
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let ca = chanbind_host_tests::pki::Pki::new().unwrap().ca;
    let image = Image::of_application(Kind::QemuMps2, "vanadium-blessing-channel").unwrap();
    let image = image.configured(&device.toml(Kind::QemuMps2, port), &ca);
    let board = Board::start(&image.unwrap(), &device.chip).unwrap();
    (board, device)
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Accepts a connection as `principal`.
async fn accepted(
    listener: &TcpListener,
    principal: &Arc<Principal>,
) -> Result<VanadiumConnection<TcpStream>, VanadiumError> {
    let (stream, _) = listener.accept().await.unwrap();
    // An emulated board is far slower than its clock says.
    let options = ChannelOptions {
        handshake_timeout: Duration::from_secs(60),
        ..ChannelOptions::default()
    };
    accept(stream, principal, &options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_shows_its_names_with_its_first_flow() {
    let factory = named("factory");
    let listener = listener().await;
    let (board, device) = board(&factory, &listener).await;
    let gateway = Arc::new(blessed(&factory, "gateway", &[]));
    for answer in [&b"set 20"[..], b"set 21"] {
        let mut connection = accepted(&listener, &gateway).await.unwrap();
        let opened = connection.receive().await.unwrap();
        let Received::Opened {
            flow,
            names,
            payload,
            ..
        } = opened
        else {
            panic!("{opened:?}");
        };
        assert_eq!(names, ["factory:line3:pump7"]);
        assert_eq!(payload, b"23.5 C");
        connection.send(flow, answer, false).await.unwrap();
        let last = Received::Data {
            flow,
            payload: Vec::new(),
            closes: true,
        };
        assert_eq!(connection.receive().await.unwrap(), last);
        let ended = connection.receive().await;
        assert!(
            matches!(&ended, Err(VanadiumError::TearDown(text)) if text == "done"),
            "{ended:?}"
        );
    }
    board.wait_for("event=proof kind=blessing");
    board.wait_for("event=answer text=set 20");
    board.wait_for("event=answer text=set 21");
    assert!(!board.said().contains("ERROR"), "{}", board.said());
    assert_no_violations(&device);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_trusted_is_shown_nothing() {
    let factory = named("factory");
    let listener = listener().await;
    let (board, _device) = board(&factory, &listener).await;
    for stranger in [
        blessed(&factory, "gateway:test", &[]),
        blessed(&named("factory"), "gateway", &[]),
    ] {
        // The server ends with the box's keys, and with no blessings and no signature of the device.
        let refused = accepted(&listener, &Arc::new(stranger)).await;
        assert!(
            matches!(refused, Err(VanadiumError::Channel(ChannelError::TearDown))),
            "{refused:?}"
        );
        wait_for_failure(&board, "proof", "the server is not trusted");
    }
    assert!(!board.said().contains("event=proof"), "{}", board.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_left() {
    let factory = named("factory");
    let listener = listener().await;
    let (board, _device) = board(&factory, &listener).await;
    let _silent = listener.accept().await.unwrap();
    board.wait_for("event=failed reason=channel-timeout");
    // It dials again.
    let gateway = Arc::new(blessed(&factory, "gateway", &[]));
    let mut connection = accepted(&listener, &gateway).await.unwrap();
    connection.receive().await.unwrap();
}
