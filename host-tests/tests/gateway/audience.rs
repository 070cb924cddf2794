//! Rules for some of the devices that can prove who they are.

use super::*;
use chanbind::gateway::{Audience, Policy, ProofLayer, Requirement};
use tower::Layer;

const REGISTRY: &str = "[clients.pump1]\nhmac_sha256 = \"bXlfYXBpX2tleQ==\"\ngroups = [\"line3\"]\n\
    [clients.pump2]\nhmac_sha256 = \"bXlfYXBpX2tleQ==\"\ngroups = [\"line4\", \"north\"]\n\
    [clients.valve1]\nhmac_sha256 = \"bXlfYXBpX2tleQ==\"\n";

fn audience(subjects: &[&str], groups: &[&str]) -> Audience {
    let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
    Audience {
        subjects: owned(subjects),
        groups: owned(groups),
    }
}

/// The statuses of requests by each device and by an unknown one.
async fn statuses(requirement: Requirement) -> Vec<u16> {
    let app = axum::Router::new().route("/get", axum::routing::get(|| async {}));
    let layer = ProofLayer::new(Policy::new().require("/", requirement));
    let gateway = TestGateway::serve(layer.layer(app)).await.unwrap();
    let mut statuses = Vec::new();
    for client in ["pump1", "pump2", "valve1", "stranger"] {
        let mut connection = gateway.connect().await.unwrap();
        let mut request = Connection::get(&gateway.uri("/get").parse().unwrap()).unwrap();
        let (settings, key) = (Settings::default(), HmacSha256::new(SECRET));
        one_time_password(
            &settings,
            client,
            Form::Jws,
            &connection,
            &key,
            &mut request,
        )
        .await
        .unwrap();
        let response = connection.send(request).await.unwrap();
        statuses.push(response.status().as_u16());
    }
    gateway.stop().await;
    statuses
}

#[tokio::test]
async fn subjects_and_groups_are_admitted_and_others_forbidden() {
    let table = ClientTable::from_toml(REGISTRY).unwrap();
    let verifier = OtpVerifier::new(MemoryRegistry::new(table), Settings::default());
    let among = |subjects: &[&str], groups: &[&str]| {
        Requirement::from(&verifier).among(audience(subjects, groups))
    };
    for (requirement, expected) in [
        (among(&["pump1"], &[]), [200, 403, 403, 401]),
        (among(&["pump*"], &[]), [200, 200, 403, 401]),
        (among(&["*"], &[]), [200, 200, 200, 401]),
        (among(&[], &["line3"]), [200, 403, 403, 401]),
        (
            among(&["valve1"], &["north", "line3"]),
            [200, 200, 200, 401],
        ),
        (among(&["pump"], &["line"]), [403, 403, 403, 401]),
        // Nothing admits no one.
        (among(&[], &[]), [403, 403, 403, 401]),
        (
            among(&["pump1"], &[]).or(among(&[], &["north"])),
            [200, 200, 403, 401],
        ),
        (
            among(&["pump*"], &[]).and(among(&[], &["line3"])),
            [200, 403, 403, 401],
        ),
        (
            among(&["pump*"], &[]).among(audience(&[], &["line4"])),
            [403, 200, 403, 401],
        ),
    ] {
        assert_eq!(statuses(requirement).await, expected);
    }
}
