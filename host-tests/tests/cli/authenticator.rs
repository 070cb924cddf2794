//! Gateways and clients with certificates.

use super::*;
use chanbind_host_tests::pki::{Authority, Issued, for_device};
use rcgen::{CertificateParams, date_time_ymd};

fn connect<'a>(url: &'a str, certificate: &'a str, key: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["connect", url, "--ca", "ca.pem", "--authenticator"];
    arguments.extend(["--certificate", certificate, "--key", key]);
    arguments
}

/// A workspace with an authority of devices, `devices.pem`, and a device of it: `client1.pem` and `client1.crt`.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.authority("devices", "/CN=devices", P256);
    workspace.issue("client1", "devices", &[]);
    workspace
}

/// Writes `NAME.pem` and `NAME.key`.
fn write(workspace: &Workspace, name: &str, issued: &Issued) {
    workspace.write(&format!("{name}.pem"), issued.pem());
    workspace.write(&format!("{name}.key"), issued.key_pem());
}

#[test]
fn devices_with_certificates_are_admitted() {
    let workspace = workspace();
    workspace.issue("client2", "devices", &["--uri", "urn:example:device:2"]);
    let gateway = workspace.certified_gateway("devices.pem", &[]);
    let listening = format!(
        "listening on 127.0.0.1:{} for certificates of devices.pem\n",
        gateway.port
    );
    assert_eq!(gateway.line, listening);
    let url = gateway.url();
    for (name, body) in [
        ("client1", "ok client1\n"),
        ("client2", "ok urn:example:device:2\n"),
    ] {
        let (certificate, key) = (format!("{name}.crt"), format!("{name}.pem"));
        let (out, err) = workspace.succeed(&connect(&url, &certificate, &key));
        assert_eq!((out.as_str(), err.as_str()), (body, "200 OK\n"));
    }
    assert_eq!(workspace.swtpm.orphans(), [""; 0]);
}

#[test]
fn second_identities() {
    let workspace = workspace();
    let seconds = Authority::new("seconds").unwrap();
    workspace.write("seconds.pem", seconds.pem());
    let second = seconds.issue(|params| {
        *params = CertificateParams::new(vec!["second.example".to_owned()]).unwrap();
    });
    write(&workspace, "second", &second.unwrap());
    let second = ["--second-cert", "second.pem", "--second-key", "second.key"];
    let gateway = workspace.certified_gateway("devices.pem", &second);
    let plain = workspace.certified_gateway("devices.pem", &[]);
    let (url, plain) = (gateway.url(), plain.url());

    for named in [&[][..], &["--second-name", "second.example"]] {
        let asked = [&["--second-ca", "seconds.pem"], named].concat();
        let device = connect(&url, "client1.crt", "client1.pem");
        let (out, err) = workspace.succeed(&[&device[..], &asked].concat());
        assert_eq!(out, "ok client1\n");
        assert_eq!(err, "200 OK\nthe server also proved to be second.example\n");
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
        let device = connect(url, "client1.crt", "client1.pem");
        let (code, error) = workspace.fail(&[&device[..], asked].concat());
        assert_eq!(code, 1);
        assert!(
            error.starts_with("200 OK\n") && error.contains(says),
            "{error}"
        );
    }
}

#[test]
fn who_is_not_admitted_is_told_what_to_look_at() {
    let workspace = workspace();
    let devices = Authority::new("others").unwrap();
    workspace.write("others.pem", devices.pem());
    let expired = devices.issue(|params| {
        for_device(params, "urn:device:1");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    write(&workspace, "expired", &expired.unwrap());
    let future = devices.issue(|params| {
        for_device(params, "urn:device:1");
        params.not_before = date_time_ymd(2100, 1, 1);
    });
    write(&workspace, "future", &future.unwrap());
    write(&workspace, "for-servers", &devices.issue(|_| {}).unwrap());
    let gateway = workspace.certified_gateway("others.pem", &[]);
    let url = gateway.url();
    for (name, status, says) in [
        ("expired", "401", "expired.pem has expired on"),
        ("future", "401", "future.pem is valid from"),
        ("for-servers", "401", "extendedKeyUsage clientAuth"),
    ] {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let (code, error) = workspace.fail(&connect(&url, &certificate, &key));
        assert_eq!(code, 3, "{error}");
        assert!(error.starts_with(status) && error.contains(says), "{error}");
    }
    // Of another authority: it declines.
    let (code, error) = workspace.fail(&connect(&url, "client1.crt", "client1.pem"));
    assert_eq!(code, 3, "{error}");
    assert!(
        error.contains("403 Forbidden") && error.contains("--authenticator-ca"),
        "{error}"
    );
    let log = gateway.stop();
    assert!(
        log.contains("a certificate expired") && log.contains("the client declines"),
        "{log}"
    );
}

#[test]
fn keys_that_are_not_the_certificates() {
    let workspace = workspace();
    workspace.provision("hmac", &[]);
    workspace.issue("client2", "devices", &[]);
    workspace.authority("other", "/CN=other", P256);
    let gateway = workspace.certified_gateway("devices.pem", &[]);
    let url = gateway.url();
    for (certificate, key, says) in [
        (
            "client2.crt",
            "client1.pem",
            "client2.crt, client1.pem: the key is not that of",
        ),
        (
            "client1.crt",
            "other.key",
            "client1.crt, other.key: the key is not that of",
        ),
        (
            "client1.crt",
            "hmac.pem",
            "does not hold an ECDSA P-256 key",
        ),
        (
            "client1.pem",
            "client1.pem",
            "client1.pem: no certificate can be read",
        ),
        (
            "other.key",
            "other.key",
            "other.key: no certificate can be read",
        ),
        (
            "client1.crt",
            "client1.crt",
            "client1.crt: no private key can be read",
        ),
        (
            "client1.crt",
            "registry.toml",
            "registry.toml: not a PEM file",
        ),
        ("missing.crt", "client1.pem", "missing.crt: No such file"),
        ("client1.crt", "missing.pem", "missing.pem: No such file"),
    ] {
        let (code, error) = workspace.fail(&connect(&url, certificate, key));
        assert_eq!(code, 1);
        assert!(error.contains(says), "{certificate} {key}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let (_, error) = workspace.fail(&[
        "connect",
        &url,
        "--ca",
        "ca.pem",
        "--key",
        "client1.pem",
        "--client-id",
        "client1",
    ]);
    assert!(
        error.contains("goes with --authenticator and --certificate"),
        "{error}"
    );
}

#[test]
fn keys_in_software_need_no_tpm() {
    let mut workspace = workspace();
    let extensions = [
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-addext",
        "extendedKeyUsage=clientAuth",
    ];
    for (name, algorithm) in [
        ("p256", P256),
        ("p384", "ec -pkeyopt ec_paramgen_curve:P-384"),
        ("rsa", "rsa:2048"),
        ("ed25519", "ed25519"),
    ] {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let subject = format!("/CN={name}");
        let mut arguments = vec!["req", "-x509", "-nodes", "-days", "3", "-subj", &subject];
        arguments.extend(["-CA", "devices.pem", "-CAkey", "devices.key"]);
        arguments.extend(["-keyout", &key, "-out", &certificate, "-newkey"]);
        arguments.extend(algorithm.split(' '));
        arguments.extend(extensions);
        workspace.openssl(&arguments);
    }
    // As SEC 1 has it, and the parameters before it, as `openssl ecparam -genkey` writes them.
    workspace.openssl(&["ec", "-in", "p256.key", "-out", "sec1.key"]);
    workspace.openssl(&["ecparam", "-name", "prime256v1", "-out", "parameters"]);
    let both = workspace.read("parameters") + &workspace.read("sec1.key");
    workspace.write("both.key", both);
    workspace.openssl(&[
        "pkcs8",
        "-topk8",
        "-in",
        "p256.key",
        "-out",
        "locked.key",
        "-passout",
        "pass:secret",
    ]);
    workspace.swtpm.kill();
    let gateway = workspace.certified_gateway("devices.pem", &[]);
    let url = gateway.url();
    for (certificate, key) in [
        ("p256", "p256"),
        ("p256", "sec1"),
        ("p256", "both"),
        ("p384", "p384"),
        ("rsa", "rsa"),
        ("ed25519", "ed25519"),
    ] {
        let (pem, key) = (format!("{certificate}.pem"), format!("{key}.key"));
        let (out, _) = workspace.succeed(&connect(&url, &pem, &key));
        assert_eq!(out, format!("ok {certificate}\n"), "{key}");
    }
    let (_, error) = workspace.fail(&connect(&url, "p256.pem", "locked.key"));
    assert!(
        error.contains("locked.key: no private key can be read")
            && error.contains("without a password"),
        "{error}"
    );
    workspace.write("password", "secret\n");
    let with_password = ["--password-file", "password"];
    let (_, error) =
        workspace.fail(&[&connect(&url, "p256.pem", "p256.key")[..], &with_password].concat());
    assert!(
        error.contains("--password-file: it is for keys in a TPM"),
        "{error}"
    );
    let (_, error) = workspace.fail(&connect(&url, "client1.crt", "client1.pem"));
    assert!(error.contains("no TPM at swtpm:"), "{error}");
}

#[test]
fn gateways_that_cannot_be() {
    let workspace = workspace();
    write(
        &workspace,
        "second",
        &Authority::new("x").unwrap().issue(|_| {}).unwrap(),
    );
    let start = |more: &[&str]| {
        let files = ["gateway", "--cert", "chain.pem", "--key", "server.pem"];
        workspace.fail(&[&files[..], &["--listen", "127.0.0.1:0"], more].concat())
    };
    for (arguments, says) in [
        (
            &["--authenticator-ca", "server.pem"][..],
            "server.pem: no certificate can be read",
        ),
        (
            &["--authenticator-ca", "missing.pem"],
            "missing.pem: No such",
        ),
        (
            &[
                "--authenticator-ca",
                "devices.pem",
                "--second-cert",
                "second.pem",
                "--second-key",
                "server.pem",
            ],
            "--second-cert second.pem, --second-key server.pem: the key is not that of",
        ),
    ] {
        let (code, error) = start(arguments);
        assert_eq!(code, 1);
        assert!(error.contains(says), "{arguments:?}: {error}");
    }
    for (arguments, says) in [
        (&[][..], "<--registry <FILE>|--authenticator-ca <FILE>>"),
        (
            &["--registry", "r", "--authenticator-ca", "devices.pem"],
            "cannot be used with",
        ),
        (
            &["--authenticator-ca", "devices.pem", "--second-cert", "x"],
            "--second-key",
        ),
        (
            &["--registry", "r", "--second-cert", "x", "--second-key", "y"],
            "cannot be used with",
        ),
        (
            &["--authenticator-ca", "devices.pem", "--profile", "chanbind"],
            "cannot be used with",
        ),
    ] {
        let (code, error) = start(arguments);
        assert_eq!(code, 2);
        assert!(error.contains(says), "{arguments:?}: {error}");
    }
}

#[test]
fn what_does_not_go_with_an_authenticator() {
    let workspace = Workspace::new();
    let url = "https://localhost/";
    for (arguments, says) in [
        (&[][..], "--client-id"),
        (&["--authenticator"], "--certificate"),
        (&["--certificate", "c"], "--authenticator"),
        (
            &["--client-id", "a", "--certificate", "c"],
            "cannot be used with",
        ),
        (
            &["--authenticator", "--certificate", "c", "--client-id", "a"],
            "cannot be used with",
        ),
        (
            &["--authenticator", "--certificate", "c", "--proof", "jws"],
            "cannot be used with",
        ),
        (
            &["--authenticator", "--certificate", "c", "--label", "x"],
            "cannot be used with",
        ),
        (
            &[
                "--authenticator",
                "--certificate",
                "c",
                "--second-name",
                "x",
            ],
            "--second-ca",
        ),
    ] {
        let connect = ["connect", url, "--ca", "ca.pem", "--key", "k"];
        let (code, error) = workspace.fail(&[&connect[..], arguments].concat());
        assert_eq!(code, 2);
        assert!(error.contains(says), "{arguments:?}: {error}");
    }
}

/// The log of the highest level has nothing of a key outside of a TPM.
#[test]
fn logs_hold_no_keys() {
    let workspace = Workspace::new();
    let devices = Authority::new("devices").unwrap();
    workspace.write("devices.pem", devices.pem());
    let device = devices.issue(|params| for_device(params, "urn:device:1"));
    let device = device.unwrap();
    write(&workspace, "device", &device);
    let gateway = workspace.certified_gateway("devices.pem", &[]);
    let url = gateway.url();
    let output = workspace
        .command(&connect(&url, "device.pem", "device.key"))
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
    assert!(output.status.success());
    let said = text(&output.stderr);
    let scalar = device.key.to_bytes();
    let pem = device.key_pem();
    for secret in [hex::encode(scalar), pem.lines().nth(1).unwrap().to_owned()] {
        assert!(!said.contains(&secret), "{secret} in {said}");
    }
}
