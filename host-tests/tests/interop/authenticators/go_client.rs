//! Tests of the Go client with the Rust gateway.

use super::{Ca, Files, Gateway, Identity, KINDS, SECOND, SUITES, TpmKey};
use chanbind_host_tests::go;
use std::path::Path;

/// Runs the Go client against a gateway. Returns the lines that it prints, or its error output if it fails.
async fn run_go_client(
    program: &'static Path,
    gateway: &Gateway,
    files: &Files,
    more: &[&str],
) -> Result<Vec<String>, String> {
    let mut arguments = vec![
        "ea-client".to_owned(),
        "-url".to_owned(),
        format!("https://localhost:{}/get", gateway.port),
        "-ca".to_owned(),
        files.put("gateway-ca", &gateway.pki.ca),
    ];
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    let ended = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        go::run(program, &arguments)
    });
    let output = ended.await.unwrap();
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    let printed = String::from_utf8(output.stdout).unwrap();
    Ok(printed.lines().map(str::to_owned).collect())
}

/// Returns the arguments for an identity.
fn arguments(files: &Files, identity: &Identity) -> [String; 4] {
    [
        "-cert".to_owned(),
        files.put("certificate", &identity.certificate),
        "-key".to_owned(),
        files.put("key", &identity.key),
    ]
}

async fn run_go_client_as(
    program: &'static Path,
    gateway: &Gateway,
    identity: &Identity,
    more: &[&str],
) -> Result<Vec<String>, String> {
    let files = Files::new();
    let own = arguments(&files, identity);
    let all: Vec<&str> = own
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    run_go_client(program, gateway, &files, &all).await
}

#[tokio::test]
async fn authenticates_with_keys_of_every_kind() {
    let Some(program) = go::program() else { return };
    let devices = Ca::new("devices");
    for suite in SUITES {
        let gateway = Gateway::start(suite, &devices, Vec::new()).await;
        for (kind, algorithm) in KINDS {
            let identity = Identity::new(algorithm, |key| devices.client(key, kind));
            let printed = run_go_client_as(program, &gateway, &identity, &[])
                .await
                .unwrap();
            assert_eq!(printed, [format!("200 ok {kind} {}", suite.0)]);
        }
    }
}

/// go-tpm loads a key file written by the Rust code, and signs with it.
#[tokio::test]
async fn authenticates_with_a_tpm_key() {
    let Some(program) = go::program() else { return };
    let devices = Ca::new("devices");
    let tpm = TpmKey::new().await;
    tpm.close().await;
    let files = Files::new();
    let certificate = files.put("certificate", &devices.client(&tpm, "tpm"));
    let key = files.put("key", &tpm.file.to_pem().unwrap());
    let address = format!("127.0.0.1:{}", tpm.swtpm.port());
    for suite in SUITES {
        let gateway = Gateway::start(suite, &devices, Vec::new()).await;
        let arguments = ["-cert", &certificate, "-key", &key, "-tpm", &address];
        let printed = run_go_client(program, &gateway, &files, &arguments)
            .await
            .unwrap();
        assert_eq!(printed, [format!("200 ok tpm {}", suite.0)]);
    }
    assert_eq!(tpm.swtpm.orphans(), [""; 0]);
}

#[tokio::test]
async fn authenticates_with_an_intermediate_certificate() {
    let Some(program) = go::program() else { return };
    let devices = Ca::new("devices");
    let line = devices.subordinate("line 1");
    let gateway = Gateway::start(SUITES[0], &devices, Vec::new()).await;
    let identity = Identity::new(KINDS[0].1, |key| line.client(key, "device") + &line.0.pem());
    let printed = run_go_client_as(program, &gateway, &identity, &[])
        .await
        .unwrap();
    assert_eq!(printed, ["200 ok device SHA-256"]);
}

#[tokio::test]
async fn gateway_rejects_wrong_usage_and_unknown_authority() {
    let Some(program) = go::program() else { return };
    let (devices, strangers) = (Ca::new("devices"), Ca::new("devices"));
    for suite in SUITES {
        let gateway = Gateway::start(suite, &devices, Vec::new()).await;
        for (_, algorithm) in KINDS {
            let wrong_usage = Identity::new(algorithm, |key| devices.server(key, "server"));
            let stranger = Identity::new(algorithm, |key| strangers.client(key, "stranger"));
            for identity in [wrong_usage, stranger] {
                let printed = run_go_client_as(program, &gateway, &identity, &[])
                    .await
                    .unwrap();
                assert_eq!(printed, ["401 prove who you are on this connection"]);
            }
        }
    }
}

#[tokio::test]
async fn gateway_rejects_a_client_that_declines() {
    let Some(program) = go::program() else { return };
    for suite in SUITES {
        let gateway = Gateway::start(suite, &Ca::new("devices"), Vec::new()).await;
        let printed = run_go_client(program, &gateway, &Files::new(), &["-decline"]).await;
        assert_eq!(printed.unwrap(), ["403 "]);
    }
}

#[tokio::test]
async fn gateway_proves_a_second_identity() {
    let Some(program) = go::program() else { return };
    let (devices, seconds, strangers) =
        (Ca::new("devices"), Ca::new("seconds"), Ca::new("seconds"));
    let device = Identity::new(KINDS[0].1, |key| devices.client(key, "device"));
    let tpm = TpmKey::new().await;
    let mut all = vec![tpm.credentials(&seconds.server(&tpm, "second")).await];
    for (_, algorithm) in KINDS {
        let second = Identity::new(algorithm, |key| seconds.server(key, "second"));
        all.push(second.credentials());
    }
    let files = Files::new();
    let ca = files.put("seconds", &seconds.0.pem());
    let other_ca = files.put("strangers", &strangers.0.pem());
    for suite in SUITES {
        for second in &all {
            let gateway = Gateway::start(suite, &devices, vec![second.clone()]).await;
            let admitted = format!("200 ok device {}", suite.0);
            for (name, proved) in [("", SECOND), (SECOND, SECOND), ("third.example", "none")] {
                let more = ["-second-ca", &ca, "-second-name", name];
                let printed = run_go_client_as(program, &gateway, &device, &more)
                    .await
                    .unwrap();
                assert_eq!(printed, [admitted.clone(), format!("second {proved}")]);
            }
            let more = ["-second-ca", other_ca.as_str()];
            let error = run_go_client_as(program, &gateway, &device, &more)
                .await
                .unwrap_err();
            assert!(error.contains("unknown authority"), "{error}");
        }
    }
    tpm.close().await;
}

/// The gateway proves its second identity regardless of the status of the response.
#[tokio::test]
async fn gateway_proves_a_second_identity_to_a_rejected_client() {
    let Some(program) = go::program() else { return };
    let seconds = Ca::new("seconds");
    let second = Identity::new(KINDS[0].1, |key| seconds.server(key, "second"));
    let files = Files::new();
    let ca = files.put("seconds", &seconds.0.pem());
    for (identities, proved) in [(vec![second.credentials()], SECOND), (Vec::new(), "none")] {
        let gateway = Gateway::start(SUITES[0], &Ca::new("devices"), identities).await;
        let more = ["-decline", "-second-ca", &ca];
        let printed = run_go_client(program, &gateway, &files, &more)
            .await
            .unwrap();
        assert_eq!(printed, ["403 ".to_owned(), format!("second {proved}")]);
    }
}
