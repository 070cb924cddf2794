//! Tests of the Rust client with the Go server.

use super::{Ca, GoServer, Identity, KINDS, SECOND, SUITES, TpmKey, expected, status_and_body};
use chanbind::{
    proof::authenticator::{MAX_REQUESTS, ServerIdentityError, Trust},
    protocol::{authenticator::ValidateError, x509::PathError},
};
use chanbind_host_tests::{client::TestClient, go};
use rcgen::PKCS_RSA_SHA256;

#[tokio::test]
async fn authenticates_with_keys_of_every_kind() {
    let Some(program) = go::program() else { return };
    let devices = Ca::new("devices");
    let tpm = TpmKey::new().await;
    let mut all = vec![(
        "tpm",
        tpm.credentials(&devices.client(&tpm, "tpm device")).await,
    )];
    for (kind, algorithm) in KINDS {
        let name = format!("{kind} device");
        let identity = Identity::new(algorithm, |key| devices.client(key, &name));
        all.push((kind, identity.credentials()));
    }
    let server = GoServer::start(program, &devices, None);
    for suite in SUITES {
        for (kind, credentials) in &all {
            let mut connection = server.connect(suite).await;
            let first = connection.send(server.get()).await.unwrap();
            assert_eq!(first.status(), 401);
            // The client stays authenticated, without sending an authenticator again.
            for credentials in [Some(credentials), None] {
                let proved = connection.send_with(server.get(), credentials);
                let proved = status_and_body(&proved.await.unwrap());
                assert_eq!(proved, expected(200, &format!("ok {kind} device")));
            }
        }
    }
    tpm.close().await;
}

#[tokio::test]
async fn authenticates_with_an_intermediate_certificate() {
    let Some(program) = go::program() else { return };
    let devices = Ca::new("devices");
    let line = devices.subordinate("line 1");
    let identity = Identity::new(KINDS[0].1, |key| line.client(key, "device") + &line.0.pem());
    let server = GoServer::start(program, &devices, None);
    let mut connection = server.connect(SUITES[0]).await;
    let credentials = identity.credentials();
    let proved = connection.send_with(server.get(), Some(&credentials));
    assert_eq!(
        status_and_body(&proved.await.unwrap()),
        expected(200, "ok device")
    );
}

#[tokio::test]
async fn server_rejects_wrong_usage_and_unknown_authority() {
    let Some(program) = go::program() else { return };
    let devices = Ca::new("devices");
    let server = GoServer::start(program, &devices, None);
    for suite in SUITES {
        for (_, algorithm) in KINDS {
            let wrong_usage = Identity::new(algorithm, |key| devices.server(key, "server"));
            let strangers = Ca::new("devices");
            let stranger = Identity::new(algorithm, |key| strangers.client(key, "stranger"));
            let right = Identity::new(algorithm, |key| devices.client(key, "device"));
            let mut connection = server.connect(suite).await;
            for (identity, status) in [(wrong_usage, 401), (stranger, 401), (right, 200)] {
                let credentials = identity.credentials();
                let response = connection.send_with(server.get(), Some(&credentials));
                assert_eq!(response.await.unwrap().status(), status);
            }
        }
    }
}

/// A certificate is unsuitable if it is signed with an algorithm that the server does not list.
#[tokio::test]
async fn client_without_suitable_certificate_declines() {
    let Some(program) = go::program() else { return };
    let devices = Ca::new("devices");
    let server = GoServer::start(program, &devices, None);
    let mut unsuitable = Ca::new("devices");
    let key = rcgen::KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    unsuitable.0 = rcgen::CertifiedIssuer::self_signed(super::ca_params("devices"), key).unwrap();
    let unsuitable = Identity::new(KINDS[0].1, |key| unsuitable.client(key, "device"));
    let right = Identity::new(KINDS[0].1, |key| devices.client(key, "device"));
    for suite in SUITES {
        let mut connection = server.connect(suite).await;
        for (credentials, status) in [
            (None, 403),
            (Some(unsuitable.credentials()), 403),
            (Some(right.credentials()), 200),
        ] {
            let response = connection.send_with(server.get(), credentials.as_ref());
            assert_eq!(response.await.unwrap().status(), status);
        }
    }
}

#[tokio::test]
async fn connection_is_closed_after_the_maximum_number_of_requests() {
    let Some(program) = go::program() else { return };
    let server = GoServer::start(program, &Ca::new("devices"), None);
    let mut connection = server.connect(SUITES[0]).await;
    for _ in 0..MAX_REQUESTS {
        let declined = connection.send_with(server.get(), None).await.unwrap();
        assert_eq!(declined.status(), 403);
    }
    let last = connection.send_with(server.get(), None).await.unwrap();
    assert_eq!(last.status(), 421);
    assert_eq!(last.headers()["connection"], "close");
    assert!(!last.headers().contains_key("www-authenticate"));
    assert!(connection.send(server.get()).await.is_err());
}

/// Requests an authenticator from the server, and returns the names that it proves.
async fn ask(
    server: &GoServer,
    connection: &mut TestClient,
    name: Option<&str>,
    trust: &Trust,
) -> Result<Vec<String>, ServerIdentityError> {
    let mut request = server.get();
    let asked = connection.ask(&mut request, name, trust).unwrap();
    let response = connection.send(request).await.unwrap();
    assert_eq!(response.status(), 401);
    let proved = connection.proved(asked, &response);
    proved.map(|identity| identity.dns_names().to_vec())
}

fn is_empty(answer: &Result<Vec<String>, ServerIdentityError>) -> bool {
    matches!(
        answer,
        Err(ServerIdentityError::Validate(ValidateError::Empty))
    )
}

#[tokio::test]
async fn server_proves_a_second_identity() {
    let Some(program) = go::program() else { return };
    let (devices, seconds) = (Ca::new("devices"), Ca::new("seconds"));
    let (strangers, namesake) = (Ca::new("strangers"), Ca::new("seconds"));
    let device = Identity::new(KINDS[0].1, |key| devices.client(key, "device"));
    let trust = seconds.trust();
    for (_, algorithm) in KINDS {
        let second = Identity::new(algorithm, |key| seconds.server(key, "second"));
        let server = GoServer::start(program, &devices, Some(&second));
        for suite in SUITES {
            let mut connection = server.connect(suite).await;
            for name in [None, Some(SECOND)] {
                let proved = ask(&server, &mut connection, name, &trust).await.unwrap();
                assert_eq!(proved, [SECOND]);
            }
            let other_name = ask(&server, &mut connection, Some("third.example"), &trust).await;
            assert!(is_empty(&other_name), "{other_name:?}");
            // The second identity is not from the authority that the request names.
            let other_authority = ask(&server, &mut connection, None, &strangers.trust()).await;
            assert!(is_empty(&other_authority), "{other_authority:?}");
            // An authority with the same name and another key: the server sends its certificate, and the client rejects it.
            let forged = ask(&server, &mut connection, None, &namesake.trust()).await;
            assert!(
                matches!(
                    forged,
                    Err(ServerIdentityError::Validate(ValidateError::Path(
                        PathError::Signature
                    )))
                ),
                "{forged:?}"
            );
            // Both sides at once.
            let mut request = server.get();
            let asked = connection.ask(&mut request, Some(SECOND), &trust).unwrap();
            let credentials = device.credentials();
            let response = connection.send_with(request, Some(&credentials));
            let response = response.await.unwrap();
            assert_eq!(status_and_body(&response), expected(200, "ok device"));
            let proved = connection.proved(asked, &response).unwrap();
            assert_eq!(proved.dns_names(), [SECOND]);
        }
    }
}

#[tokio::test]
async fn server_without_second_identity_declines() {
    let Some(program) = go::program() else { return };
    let trust = Ca::new("seconds").trust();
    let server = GoServer::start(program, &Ca::new("devices"), None);
    for suite in SUITES {
        let mut connection = server.connect(suite).await;
        for name in [None, Some(SECOND)] {
            let declined = ask(&server, &mut connection, name, &trust).await;
            assert!(is_empty(&declined), "{declined:?}");
        }
    }
}
