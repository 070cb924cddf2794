//! Devices that prove Vanadium's blessings to a gateway which has proved its own first.

use super::*;
use axum::{
    Router,
    extract::Request,
    http::header::AUTHORIZATION,
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use chanbind::{
    gateway::{Policy, ProofLayer},
    proof::blessing::{BlessingNames, BlessingVerifier, PeerPatterns, Principal},
};
use chanbind_host_tests::{
    pki::Pki,
    principals::{blessed, named, until},
};
use std::sync::atomic::{AtomicUsize, Ordering};
use tower::Layer as _;

/// A gateway with the names of `principal`, and the number of requests with credentials that have reached it.
async fn gateway(principal: Principal, pki: Pki, port: u16) -> (TestGateway, Arc<AtomicUsize>) {
    let principal = Arc::new(principal);
    let verifier = BlessingVerifier::new(&principal, PeerPatterns::admit(["factory:line3"]));
    let layer = ProofLayer::new(Policy::new().require("/", verifier));
    let handler = |names: BlessingNames| async move { format!("ok {}", names.names().join(" ")) };
    let shown = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&shown);
    let counted = from_fn(move |request: Request, next: Next| {
        let has_credentials = request.headers().contains_key(AUTHORIZATION);
        count.fetch_add(usize::from(has_credentials), Ordering::SeqCst);
        async move { Ok::<Response, std::convert::Infallible>(next.run(request).await) }
    });
    let app = layer.layer(Router::new().route("/get", get(handler)));
    let app = Router::new().fallback_service(app).layer(counted);
    let gateway = TestGateway::serve_as(app, pki, port).await.unwrap();
    (gateway, shown)
}

async fn admitted(kind: Kind) {
    if !can_run(kind) {
        return;
    }
    let factory = named("factory");
    let device = Device::blessed(&factory, "line3:pump7", "factory:gateway:$", &[])
        .await
        .unwrap();
    let own = blessed(&factory, "gateway", &[]);
    let (gateway, shown) = gateway(own, Pki::new().unwrap(), 0).await;
    let board = run_until_admitted(kind, &device, &gateway, "blessing");
    assert_eq!(shown.load(Ordering::SeqCst), 1);
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

/// A gateway that has a valid TLS certificate, and not the blessings that the device trusts, learns nothing of the device's.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_not_trusted_is_shown_nothing() {
    let kind = Kind::QemuMps2;
    let factory = named("factory");
    let device = Device::blessed(&factory, "line3:pump7", "factory:gateway:$", &[])
        .await
        .unwrap();
    let other_name = blessed(&factory, "gateway:test", &[]);
    let (mut running, mut shown) = gateway(other_name, Pki::new().unwrap(), 0).await;
    let board = Board::start(&device.image(kind, &running).unwrap(), &device.chip).unwrap();
    let other_root = blessed(&named("factory"), "gateway", &[]);
    let expired = blessed(&factory, "gateway", &[until(1_000_000_000)]);
    for (next, reason) in [
        (Some(other_root), "none of its names matches a pattern"),
        (Some(expired), "root"),
        (None, "expired"),
    ] {
        let line = board.wait_for("event=failed reason=proof");
        assert!(line.contains("the server is not trusted"), "{line}");
        assert!(line.contains(reason), "{line}");
        assert_eq!(shown.load(Ordering::SeqCst), 0);
        let (pki, port) = (running.pki.clone(), running.port);
        running.stop().await;
        let next = next.unwrap_or_else(|| blessed(&factory, "gateway", &[]));
        (running, shown) = gateway(next, pki, port).await;
    }
    board.wait_for(ADMITTED);
    assert!(
        !board
            .said()
            .contains("event=proof kind=blessing: the TPM used its key for this connection\nERROR")
    );
    drop(board);
    running.stop().await;
}

/// A gateway that asks for nothing has not proved its blessings: the device does not take its responses for those of its gateway.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_asks_for_nothing() {
    let factory = named("factory");
    let device = Device::blessed(&factory, "line3:pump7", "factory:gateway", &[])
        .await
        .unwrap();
    let app = Router::new().route("/get", get(|| async { "set 20" }));
    let gateway = TestGateway::serve(app).await.unwrap();
    let image = device.image(Kind::QemuMps2, &gateway).unwrap();
    let board = Board::start(&image, &device.chip).unwrap();
    wait_for_failure(&board, "proof", "the gateway did not prove itself");
    assert!(!board.said().contains("event=admitted"), "{}", board.said());
    drop(board);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_blessings_have_expired() {
    let factory = named("factory");
    let conditions = [until(1_000_000_000)];
    let device = Device::blessed(&factory, "line3:pump7", "factory:gateway", &conditions)
        .await
        .unwrap();
    let own = blessed(&factory, "gateway", &[]);
    let (gateway, shown) = gateway(own, Pki::new().unwrap(), 0).await;
    let image = device.image(Kind::QemuMps2, &gateway).unwrap();
    let board = Board::start(&image, &device.chip).unwrap();
    board.wait_for("event=refused status=401");
    assert!(shown.load(Ordering::SeqCst) > 0);
    drop(board);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blessings_of_another_key_are_told_at_the_start() {
    let kind = Kind::QemuMps2;
    let factory = named("factory");
    let ca = Pki::new().unwrap().ca;
    let device = Device::blessed(&factory, "line3:pump7", "factory:gateway", &[])
        .await
        .unwrap();
    let another = Device::blessed(&factory, "line3:pump8", "factory:gateway", &[])
        .await
        .unwrap();
    let blessings_of = |device: &Device| {
        let toml = device.toml(kind, 1);
        let line = toml.lines().find(|line| line.starts_with("blessings = "));
        line.unwrap().to_owned()
    };
    let toml = device.toml(kind, 1);
    let toml = toml.replace(&blessings_of(&device), &blessings_of(&another));
    let image = Image::with_feature(kind, "blessing").unwrap();
    let image = image.configured(&toml, &ca).unwrap();
    let board = Board::start(&image, &device.chip).unwrap();
    board.wait_for("the configuration's blessings are not for its key");
}
