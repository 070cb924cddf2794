//! The keys and certificates of clients.

use super::*;

#[test]
fn keys_that_do_not_match_or_cannot_be_read_are_errors_with_the_file() {
    let workspace = workspace();
    workspace.provision("hmac", &[]);
    workspace.issue("client2", "devices", &[]);
    workspace.authority("other", "/CN=other", P256);
    let gateway = workspace.authenticator_gateway("devices.pem", &[]);
    let url = gateway.url();
    for (certificate, key, expected, says) in [
        (
            "client2.crt",
            "client1.pem",
            8,
            "client2.crt, client1.pem: the key is not that of",
        ),
        (
            "client1.crt",
            "other.key",
            8,
            "client1.crt, other.key: the key is not that of",
        ),
        (
            "client1.crt",
            "hmac.pem",
            7,
            "does not hold an ECDSA P-256 key",
        ),
        (
            "client1.pem",
            "client1.pem",
            8,
            "client1.pem: no certificate can be read",
        ),
        (
            "other.key",
            "other.key",
            8,
            "other.key: no certificate can be read",
        ),
        (
            "client1.crt",
            "client1.crt",
            8,
            "client1.crt: no private key can be read",
        ),
        (
            "client1.crt",
            "registry.toml",
            8,
            "registry.toml: not a PEM file",
        ),
        ("missing.crt", "client1.pem", 8, "missing.crt: No such file"),
        ("client1.crt", "missing.pem", 8, "missing.pem: No such file"),
    ] {
        let (code, error) = workspace.fail(&connect_authenticator(&url, certificate, key));
        assert_eq!(code, expected, "{certificate} {key}: {error}");
        assert!(error.contains(says), "{certificate} {key}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let otp = ["connect", "otp", &url, "--ca", "ca.pem"];
    let (code, error) = workspace.fail(&[&otp[..], &["--key", "client1.pem"]].concat());
    assert_eq!(code, 7, "{error}");
    assert!(
        error.contains("goes with `chanbind connect authenticator`"),
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
    // The form of SEC 1, alone and after the parameters of the curve, as `openssl ecparam -genkey` writes them.
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
    workspace.stop_tpm();
    let gateway = workspace.authenticator_gateway("devices.pem", &[]);
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
        let (out, _) = workspace.succeed(&connect_authenticator(&url, &pem, &key));
        assert_eq!(out, format!("ok {certificate}\n"), "{key}");
    }
    let (code, error) = workspace.fail(&connect_authenticator(&url, "p256.pem", "locked.key"));
    assert_eq!(code, 8);
    assert_contains_all(
        &error,
        &[
            "locked.key: no private key can be read",
            "without a password",
        ],
    );
    workspace.write("password", "secret\n");
    let connect = connect_authenticator(&url, "p256.pem", "p256.key");
    let (code, error) = workspace.fail(&[&connect[..], &["--password-file", "password"]].concat());
    assert_eq!(code, 2);
    assert!(
        error.contains("--password-file: it is for keys in a TPM"),
        "{error}"
    );
    let (code, error) = workspace.fail(&connect_authenticator(&url, "client1.crt", "client1.pem"));
    assert_eq!(code, 7);
    assert!(error.contains("no TPM at swtpm:"), "{error}");
}

#[test]
fn options_of_one_kind_of_proof_are_unknown_to_the_other() {
    let workspace = Workspace::without_tpm();
    let url = "https://localhost/";
    for (kind, arguments, says) in [
        ("otp", &[][..], "--key <FILE>"),
        ("authenticator", &["--key", "k"], "--certificate <FILE>"),
        ("authenticator", &["--certificate", "c"], "--key <FILE>"),
        (
            "otp",
            &["--key", "k", "--certificate", "c"],
            "unexpected argument '--certificate'",
        ),
        (
            "authenticator",
            &["--key", "k", "--certificate", "c", "--client-id", "a"],
            "unexpected argument '--client-id'",
        ),
        (
            "authenticator",
            &["--key", "k", "--certificate", "c", "--form", "jws"],
            "unexpected argument '--form'",
        ),
        (
            "authenticator",
            &["--key", "k", "--certificate", "c", "--label", "x"],
            "unexpected argument '--label'",
        ),
        (
            "authenticator",
            &["--key", "k", "--certificate", "c", "--second-name", "x"],
            "--second-ca",
        ),
    ] {
        let (code, error) = workspace.fail(&[&["connect", kind, url], arguments].concat());
        assert_eq!(code, 2);
        assert!(error.contains(says), "{kind} {arguments:?}: {error}");
    }
}
