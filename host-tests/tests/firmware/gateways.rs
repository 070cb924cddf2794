//! Gateways that disappear, refuse the device, or are impostors.

use super::*;
use chanbind_host_tests::{
    attacker::{Attacker, Server, content},
    pki::{Authority, Issued},
};
use rcgen::date_time_ymd;
use std::{io, sync::Arc, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn goes_and_comes_back() {
    let device = Device::provisioned(SECRET).await.unwrap();
    let mut gateway = gateway(SECRET).await;
    let board = Board::start(
        &device.image(Kind::QemuMps2, &gateway).unwrap(),
        &device.chip,
    )
    .unwrap();
    for _ in 0..3 {
        board.wait_for(ADMITTED);
        gateway = restarted(gateway, SECRET).await;
        board.wait_for("event=closed");
    }
    board.wait_for(ADMITTED);
    let (pki, port) = (gateway.pki.clone(), gateway.port);
    gateway.stop().await;
    board.wait_for("event=failed reason=tcp:");
    let _gateway = TestGateway::start_as(registry(SECRET), Settings::default(), pki, port)
        .await
        .unwrap();
    board.wait_for(ADMITTED);
    assert_no_violations(&device);
}

#[tokio::test(flavor = "multi_thread")]
async fn has_another_key() {
    let device = Device::provisioned(SECRET).await.unwrap();
    let gateway = gateway(b"another key").await;
    let board = Board::start(
        &device.image(Kind::QemuMps2, &gateway).unwrap(),
        &device.chip,
    )
    .unwrap();
    let mut pauses = Vec::new();
    for _ in 0..5 {
        board.wait_for("event=refused status=401");
        let line = board.wait_for("event=waiting ms=");
        let (_, millis) = line.split_once("ms=").unwrap();
        pauses.push(millis.trim().parse::<u32>().unwrap());
    }
    // Twice as long each time, up to the limit, and up to a quarter less.
    for (pause, most) in pauses.iter().zip([200, 400, 800, 1600, 1600]) {
        assert!((most * 3 / 4..=most).contains(pause), "{pauses:?}");
    }
    let _gateway = restarted(gateway, SECRET).await;
    board.wait_for(ADMITTED);
}

/// Asserts that a device rejects a server that runs `script` with the message `says`, and never sends it application data.
async fn refuses(
    authority: &Authority,
    toml: impl Fn(String) -> String,
    script: impl Fn(&mut Attacker) -> io::Result<()> + Send + Sync + 'static,
    says: &str,
) {
    let device = Device::provisioned(SECRET).await.unwrap();
    let server = Server::start(move |attacker| {
        script(attacker)?;
        attacker.client_finished()?;
        // embedded-tls finishes handshakes without certificates; what would follow is the proof.
        attacker.receive().map(|_| ())
    })
    .unwrap();
    let toml = toml(device.toml(Kind::QemuMps2, server.address().port()));
    let image = configured(Kind::QemuMps2, &toml, &authority.pem());
    let board = Board::start(&image, &device.chip).unwrap();
    for _ in 0..2 {
        wait_for_failure(&board, "tls", says);
        board.wait_for("event=waiting ms=");
    }
    while server.outcomes().len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let outcomes = server.outcomes();
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    assert!(!board.said().contains("event=proof"), "{}", board.said());
}

fn same(toml: String) -> String {
    toml
}

fn honest(leaf: Issued) -> impl Fn(&mut Attacker) -> io::Result<()> + Send + Sync {
    move |attacker| attacker.honest_flight(&[&leaf.certificate], &leaf.key)
}

#[tokio::test(flavor = "multi_thread")]
async fn is_of_another_authority() {
    let (authority, other) = (
        Authority::new("authority").unwrap(),
        Authority::new("other").unwrap(),
    );
    let leaf = other.issue(|_| ()).unwrap();
    refuses(
        &authority,
        same,
        honest(leaf),
        "no path leads to the trusted authority",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_somebody_in_the_middle() {
    let authority = Authority::new("authority").unwrap();
    refuses(
        &authority,
        same,
        |attacker| {
            attacker.hello()?;
            let flight = [attacker.encrypted_extensions(), attacker.finished()].concat();
            attacker.send(content::HANDSHAKE, &flight)
        },
        "the server sent no certificate",
    )
    .await;
    let leaf = Arc::new(authority.issue(|_| ()).unwrap());
    let genuine = Arc::clone(&leaf);
    refuses(
        &authority,
        same,
        move |attacker| {
            attacker.hello()?;
            let mut flight = attacker.encrypted_extensions();
            flight.extend(attacker.certificate(&[&genuine.certificate]));
            flight.extend(attacker.finished());
            attacker.send(content::HANDSHAKE, &flight)
        },
        "did not prove that it has its certificate's key",
    )
    .await;
    let thief = Issued::self_signed(|_| ()).unwrap();
    refuses(
        &authority,
        same,
        move |attacker| attacker.honest_flight(&[&leaf.certificate], &thief.key),
        "the server's signature is invalid",
    )
    .await;
}

/// After messages that would make embedded-tls panic, the device tries again.
#[tokio::test(flavor = "multi_thread")]
async fn sends_what_would_make_it_panic() {
    let authority = Authority::new("authority").unwrap();
    let says = "the server sent a malformed or unexpected record";
    refuses(
        &authority,
        same,
        |attacker| {
            attacker.hello()?;
            attacker.send_inner(&[])
        },
        says,
    )
    .await;
    refuses(
        &authority,
        same,
        |attacker| {
            attacker.hello()?;
            attacker.send_bytes(&[&[23, 3, 3, 0xff, 0xff][..], &[7; 4000]].concat())
        },
        "a record of the server does not fit the read buffer",
    )
    .await;
    let leaf = authority.issue(|_| ()).unwrap();
    refuses(
        &authority,
        same,
        move |attacker| {
            attacker.hello()?;
            let mut flight = attacker.encrypted_extensions();
            flight.extend(attacker.certificate_verify(&leaf.key));
            attacker.send(content::HANDSHAKE, &flight)
        },
        "messages came in the wrong order",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn is_of_another_time_or_name() {
    let authority = Authority::new("authority").unwrap();
    let by_the_clock = |toml: String| toml.replace("time = \"build\"", "time = \"board\"");
    let old = || {
        let leaf = authority.issue(|params| params.not_after = date_time_ymd(2020, 1, 1));
        honest(leaf.unwrap())
    };
    refuses(
        &authority,
        by_the_clock,
        old(),
        "a certificate expired at 1577836800",
    )
    .await;
    refuses(
        &authority,
        same,
        old(),
        "a certificate expired at 1577836800",
    )
    .await;
    let new = authority.issue(|params| params.not_before = date_time_ymd(2090, 1, 1));
    let new = honest(new.unwrap());
    refuses(
        &authority,
        by_the_clock,
        new,
        "a certificate is valid from 3786912000",
    )
    .await;
    let other =
        |toml: String| toml.replace("server_name = \"localhost\"", "server_name = \"other\"");
    let leaf = honest(authority.issue(|_| ()).unwrap());
    refuses(
        &authority,
        other,
        leaf,
        "the certificate is for other names",
    )
    .await;
}
