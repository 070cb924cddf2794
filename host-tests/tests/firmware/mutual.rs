//! Firmware that proves a password, and demands the gateway's proof, by HTTP Mutual authentication.

use axum::{Router, routing::get};
use chanbind::{
    gateway::{Identity, Policy, ProofLayer},
    proof::mutual::{Details, MutualVerifier, RealmSettings, UserTable},
};
use chanbind_core::mutual::{Algorithm, Origin, Realm, StoredCredential, Validation};
use chanbind_host_tests::{
    board::{Board, Device, Kind},
    gateway::TestGateway,
    pki::Pki,
};
use std::sync::Arc;
use tower::Layer;

const PIN: &str = "493817";

struct Site {
    gateway: TestGateway,
    users: Arc<UserTable>,
    layer: ProofLayer,
}

/// Starts a gateway with one user. The port 0 stands for a free port.
async fn site(pki: Pki, port: u16) -> Site {
    let realm = Realm::new(Algorithm::P256_SHA256, "localhost", "devices").unwrap();
    let credential = StoredCredential::register(&realm, "pump7", PIN).unwrap();
    let users = UserTable::new([("pump7".to_owned(), credential)]).unwrap();
    let origin = Origin::parse("https://localhost").unwrap();
    let settings = RealmSettings::new(realm, origin);
    let verifier = MutualVerifier::new(settings, Arc::clone(&users)).unwrap();
    let layer = ProofLayer::new(Policy::new().require("/", verifier));
    let handler = |identity: Identity| async move {
        let details = identity.details::<Details>().unwrap();
        assert_eq!(details.validation(), Validation::TlsExporter);
        format!("ok {}", identity.subject())
    };
    let app = layer.layer(Router::new().route("/get", get(handler)));
    let gateway = TestGateway::serve_as(app, pki, port).await.unwrap();
    Site {
        gateway,
        users,
        layer,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_proved_and_the_gateways_proof_demanded() {
    let pki = Pki::new().unwrap();
    let site = site(pki, 0).await;
    let device = Device::with_password("pump7", PIN).await.unwrap();
    let image = device.image(Kind::QemuMps2, &site.gateway).unwrap();
    let board = Board::start(&image, &device.chip).unwrap();
    let board = tokio::task::spawn_blocking(move || {
        board.wait_for("event=admitted status=200");
        // The next request is one exchange of the same session.
        board.wait_for("event=admitted status=200");
        board
    })
    .await
    .unwrap();
    // The session outlives its connection.
    assert_eq!(site.layer.close_where(|_| true), 1);
    let board = tokio::task::spawn_blocking(move || {
        board.wait_for("event=waiting");
        board.wait_for("event=admitted status=200");
        board
    })
    .await
    .unwrap();
    // The password changes: the session ends, and the device is refused.
    let realm = Realm::new(Algorithm::P256_SHA256, "localhost", "devices").unwrap();
    let other = StoredCredential::register(&realm, "pump7", "000000").unwrap();
    site.users.set("pump7", Some(other));
    tokio::task::spawn_blocking(move || {
        board.wait_for("check user and password");
    })
    .await
    .unwrap();
}

/// An impostor has the server's certificate and key, and not what the gateway knows of the user.
#[tokio::test(flavor = "multi_thread")]
async fn an_impostor_is_not_believed() {
    let handler = |headers: axum::http::HeaderMap| async move {
        match headers.contains_key("authorization") {
            // It says yes to anything.
            true => Ok("ok"),
            false => Err((
                axum::http::StatusCode::UNAUTHORIZED,
                [(
                    "www-authenticate",
                    "Mutual version=1, algorithm=iso-kam3-ec-p256-sha256, validation=-tls-exporter.chanbind.github.io, auth-scope=\"localhost\", realm=\"devices\", reason=initial",
                )],
            )),
        }
    };
    let app = Router::new().route("/get", get(handler));
    let gateway = TestGateway::serve(app).await.unwrap();
    let device = Device::with_password("pump7", PIN).await.unwrap();
    let image = device.image(Kind::QemuMps2, &gateway).unwrap();
    let board = Board::start(&image, &device.chip).unwrap();
    tokio::task::spawn_blocking(move || {
        board.wait_for("not proved to come from a server that knows this user");
        assert!(!board.said().contains("event=admitted"), "{}", board.said());
    })
    .await
    .unwrap();
}
