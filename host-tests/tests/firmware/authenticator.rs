//! Devices that prove the key of a certificate, in the TPM, by Exported Authenticators.

use super::*;
use axum::http::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use chanbind::proof::authenticator::header_fields;
use chanbind_core::x509::spki_sha256;
use chanbind_host_tests::pki::{Authority, Pki};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

async fn admitted(kind: Kind) {
    if !can_run(kind) {
        return;
    }
    let authority = Authority::new("devices").unwrap();
    let device = Device::certified(&authority).await.unwrap();
    let (gateway, _) = TestGateway::certified(&authority, Pki::new().unwrap(), 0)
        .await
        .unwrap();
    let board = run_until_admitted(kind, &device, &gateway, "authenticator");
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
    wait_for_failure(
        &board,
        "proof",
        "does not come from any of the authorities that the request names",
    );

    // One of the same name has another key: then the device cannot know.
    let (pki, port) = (gateway.pki.clone(), gateway.port);
    gateway.stop().await;
    let namesake = Authority::new("devices").unwrap();
    let (gateway, _) = TestGateway::certified(&namesake, pki.clone(), port)
        .await
        .unwrap();
    board.wait_for("event=refused status=401");
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
    let (gateway, revocations) = TestGateway::certified(&authority, Pki::new().unwrap(), 0)
        .await
        .unwrap();
    let board = Board::start(&device.image(kind, &gateway).unwrap(), &device.chip).unwrap();
    board.wait_for(ADMITTED);
    let pin = spki_sha256(&device.certificate().unwrap()).unwrap();
    assert_eq!(revocations.revoke(pin), 1);
    board.wait_for("event=refused status=401");
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
    let image = Image::with_feature(kind, "authenticator").unwrap();
    let image = image.configured_with(&toml, &ca, &others).unwrap();
    let board = Board::start(&image, &device.chip).unwrap();
    board.wait_for("ERROR the configuration's first certificate is not for its key");
    drop(board);

    let image = Image::built(kind).unwrap();
    let image = image.configured_with(&toml, &ca, &others).unwrap();
    let board = Board::start(&image, &device.chip).unwrap();
    board.wait_for(
        "ERROR the configuration has the section [proof.authenticator], and this firmware was built without",
    );
}

/// The image with authenticators is one for passwords too.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_by_the_same_image() {
    let kind = Kind::QemuMps2;
    let device = Device::provisioned(SECRET).await.unwrap();
    let gateway = gateway(SECRET).await;
    let image = Image::with_feature(kind, "authenticator").unwrap();
    let image = image
        .configured(&device.toml(kind, gateway.port), &gateway.pki.ca)
        .unwrap();
    let board = Board::start(&image, &device.chip).unwrap();
    board.wait_for("event=proof kind=otp");
    board.wait_for(ADMITTED);
    drop(board);
    gateway.stop().await;
}

/// A gateway that answers a device with `challenges` in turn, repeats the last one, and answers an authenticator with `then`.
async fn challenged(challenges: &[&str], then: StatusCode) -> (TestGateway, Board, Device) {
    let kind = Kind::QemuMps2;
    let authority = Authority::new("devices").unwrap();
    let device = Device::certified(&authority).await.unwrap();
    let challenges: Vec<_> = challenges.iter().map(|one| one.to_string()).collect();
    let count = Arc::new(AtomicUsize::new(0));
    let answer = move |headers: HeaderMap| {
        let at = count.fetch_add(1, Ordering::Relaxed);
        let challenge = challenges.get(at).or(challenges.last()).cloned();
        let status = match headers.contains_key(AUTHORIZATION) {
            true => then,
            false => StatusCode::UNAUTHORIZED,
        };
        async move { (status, [(WWW_AUTHENTICATE, challenge.unwrap_or_default())]) }
    };
    let app = axum::Router::new().route("/get", axum::routing::get(answer));
    let gateway = TestGateway::serve(app).await.unwrap();
    let board = Board::start(&device.image(kind, &gateway).unwrap(), &device.chip).unwrap();
    (gateway, board, device)
}

fn challenge(kind: u8, context: &[u8], padding: usize) -> String {
    let signature_algorithms = [0, 13, 0, 4, 0, 2, 4, 3];
    let padded = [&[0x12, 0x34][..], &u16_of(padding), &vec![0; padding]].concat();
    let extensions = [&signature_algorithms[..], &padded].concat();
    let context = [&[u8::try_from(context.len()).unwrap()], context].concat();
    let body = [&context[..], &u16_of(extensions.len()), &extensions].concat();
    let message = [&[kind, 0][..], &u16_of(body.len()), &body].concat();
    let text = header_fields::challenge(&message);
    text.to_str().unwrap().to_owned()
}

fn u16_of(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap().to_be_bytes()
}

/// The device gives up, says why, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn challenges_of_a_hostile_gateway() {
    for (challenges, then, said) in [
        // A client's request, sent to a client.
        (
            vec![challenge(17, &[1; 16], 0)],
            StatusCode::OK,
            "the request is of the kind that this side sends",
        ),
        // Longer than there is room for, and no base64.
        (
            vec![challenge(13, &[1; 16], 900)],
            StatusCode::OK,
            "longer than the buffer for requests",
        ),
        (
            vec!["Exported-Authenticator request=\"!\"".to_owned()],
            StatusCode::OK,
            "the server's challenge is not base64url",
        ),
        // No request in it.
        (
            vec!["Exported-Authenticator request=\"DQAAAA\"".to_owned()],
            StatusCode::OK,
            "the server's challenge holds no authenticator request",
        ),
        // One more after the answer.
        (
            vec![challenge(13, &[1; 16], 0), challenge(13, &[2; 16], 0)],
            StatusCode::UNAUTHORIZED,
            "event=refused status=401",
        ),
        // The same one after a proof was good.
        (
            vec![challenge(13, &[1; 16], 0)],
            StatusCode::OK,
            "a request with this context was already answered",
        ),
    ] {
        let challenges: Vec<_> = challenges.iter().map(String::as_str).collect();
        let (gateway, board, device) = challenged(&challenges, then).await;
        if said.starts_with("event=") {
            board.wait_for(said);
        } else {
            wait_for_failure(&board, "proof", said);
        }
        board.wait_for("event=tls-open");
        assert_no_violations(&device);
        drop(board);
        gateway.stop().await;
    }
}
