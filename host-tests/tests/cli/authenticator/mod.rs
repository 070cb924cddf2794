//! Exported Authenticators: provisioning, gateways, clients with keys in a TPM and in software, and explanations.

mod inspect;
mod keys;
mod provision;

use super::*;
use chanbind_host_tests::pki::{Authority, for_device};
use rcgen::{CertificateParams, date_time_ymd};
use workspace::connect_authenticator;

/// Creates a workspace with an authority of devices, `devices.pem`, and a device of it, `client1.pem` and `client1.crt`.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.authority("devices", "/CN=devices", P256);
    workspace.issue("client1", "devices", &[]);
    workspace
}

#[test]
fn devices_are_admitted_by_the_name_in_their_certificate() {
    let workspace = workspace();
    workspace.issue("client2", "devices", &["--uri", "urn:example:device:2"]);
    let gateway = workspace.authenticator_gateway("devices.pem", &[]);
    assert_eq!(
        gateway.line,
        format!(
            "listening on 127.0.0.1:{} for certificates of devices.pem",
            gateway.port
        )
    );
    let url = gateway.url();
    for (name, content) in [
        ("client1", "ok client1\n"),
        ("client2", "ok urn:example:device:2\n"),
    ] {
        let (certificate, key) = (format!("{name}.crt"), format!("{name}.pem"));
        let (out, err) = workspace.succeed(&connect_authenticator(&url, &certificate, &key));
        assert_eq!(
            (out.as_str(), err.as_str()),
            (content, "200 OK\nadmitted by the proof (authenticator)\n")
        );
    }
    assert_eq!(workspace.tpm().orphans(), [""; 0]);
}

#[test]
fn a_gateway_proves_a_second_identity_to_clients_that_ask() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    let seconds = Authority::new("seconds").unwrap();
    workspace.write("seconds.pem", seconds.pem());
    let second = seconds.issue(|params| {
        *params = CertificateParams::new(vec!["second.example".to_owned()]).unwrap();
    });
    workspace.write_issued("second", &second.unwrap());
    let second = ["--second-cert", "second.pem", "--second-key", "second.key"];
    let gateway = workspace.authenticator_gateway("devices.pem", &second);
    let plain = workspace.authenticator_gateway("devices.pem", &[]);
    let (url, plain) = (gateway.url(), plain.url());

    for name in [&[][..], &["--second-name", "second.example"]] {
        let asked = [&["--second-ca", "seconds.pem"], name].concat();
        let device = connect_authenticator(&url, "device.pem", "device.key");
        let (out, err) = workspace.succeed(&[&device[..], &asked].concat());
        assert_eq!(out, "ok urn:example:device\n");
        assert_eq!(
            err,
            "200 OK\nthe server also proved to be second.example\nadmitted by the proof (authenticator)\n"
        );
    }
    for (url, asked, says) in [
        (&url, &["--second-ca", "devices.pem"][..], "it has none"),
        (
            &url,
            &["--second-ca", "seconds.pem", "--second-name", "x.example"],
            "for x.example",
        ),
        (&plain, &["--second-ca", "seconds.pem"], "it has none"),
    ] {
        let device = connect_authenticator(url, "device.pem", "device.key");
        let (code, error) = workspace.fail(&[&device[..], asked].concat());
        assert_eq!(code, 1);
        assert!(
            error.starts_with("200 OK\n") && error.contains(says),
            "{error}"
        );
    }
}

#[test]
fn refused_devices_get_advice_about_their_certificate() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("stranger", "strangers");
    let devices = Authority::new("devices").unwrap();
    workspace.write("devices.pem", devices.pem());
    let expired = devices.issue(|params| {
        for_device(params, "urn:device:1");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    workspace.write_issued("expired", &expired.unwrap());
    let future = devices.issue(|params| {
        for_device(params, "urn:device:1");
        params.not_before = date_time_ymd(2100, 1, 1);
    });
    workspace.write_issued("future", &future.unwrap());
    workspace.write_issued("for-servers", &devices.issue(|_| {}).unwrap());
    let gateway = workspace.authenticator_gateway("devices.pem", &[]);
    let url = gateway.url();
    for (name, status, says) in [
        (
            "expired",
            "401 Unauthorized\n",
            "expired.pem has expired on",
        ),
        ("future", "401 Unauthorized\n", "future.pem is valid from"),
        (
            "for-servers",
            "401 Unauthorized\n",
            "extendedKeyUsage clientAuth",
        ),
        // The client declines a request for certificates of an authority that is not its own.
        (
            "stranger",
            "403 Forbidden\n",
            "chanbind gateway authenticator --client-ca",
        ),
    ] {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let (code, error) = workspace.fail(&connect_authenticator(&url, &certificate, &key));
        assert_eq!(code, 3, "{error}");
        assert!(error.starts_with(status) && error.contains(says), "{error}");
    }
    let log = gateway.stop();
    assert_contains_all(&log, &["a certificate expired", "the client declines"]);
}

#[test]
fn gateways_do_not_start_with_wrong_files_or_options() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    let second = Authority::new("x").unwrap().issue(|_| {}).unwrap();
    workspace.write_issued("second", &second);
    let start = |more: &[&str]| {
        let files = ["gateway", "authenticator", "--cert", "chain.pem"];
        let rest = ["--key", "server.pem", "--listen", "127.0.0.1:0"];
        workspace.fail(&[&files[..], &rest, more].concat())
    };
    for (arguments, says) in [
        (
            &["--client-ca", "server.pem"][..],
            "server.pem: no certificate can be read",
        ),
        (&["--client-ca", "missing.pem"], "missing.pem: No such"),
        (
            &[
                "--client-ca",
                "devices.pem",
                "--second-cert",
                "second.pem",
                "--second-key",
                "server.pem",
            ],
            "second.pem, server.pem: the key is not that of",
        ),
    ] {
        let (code, error) = start(arguments);
        assert_eq!(code, 1);
        assert!(error.contains(says), "{arguments:?}: {error}");
    }
    for (arguments, says) in [
        (&[][..], "--client-ca <FILE>"),
        (
            &["--client-ca", "devices.pem", "--registry", "r"],
            "unexpected argument '--registry'",
        ),
        (
            &["--client-ca", "devices.pem", "--second-cert", "x"],
            "--second-key",
        ),
        (
            &["--client-ca", "devices.pem", "--second-key", "x"],
            "--second-cert",
        ),
        (
            &["--client-ca", "devices.pem", "--profile", "chanbind"],
            "unexpected argument '--profile'",
        ),
    ] {
        let (code, error) = start(arguments);
        assert_eq!(code, 2);
        assert!(error.contains(says), "{arguments:?}: {error}");
    }
}

/// Only a key outside of a TPM could appear in a log.
#[test]
fn logs_of_the_highest_level_hold_no_keys() {
    let workspace = Workspace::without_tpm();
    let device = workspace.software_device("device", "devices");
    let gateway = workspace.authenticator_gateway("devices.pem", &[]);
    let url = gateway.url();
    let connect = connect_authenticator(&url, "device.pem", "device.key");
    let output = workspace.run_with(&connect, |command| {
        command.env("RUST_LOG", "trace");
    });
    assert!(output.status.success());
    let log = text(&output.stderr);
    assert!(log.contains("TRACE"), "{log}");
    let scalar = device.key.to_bytes();
    let pem = device.key_pem();
    for secret in [hex::encode(scalar), pem.lines().nth(1).unwrap().to_owned()] {
        assert!(!log.contains(&secret), "{secret} in {log}");
    }
}
