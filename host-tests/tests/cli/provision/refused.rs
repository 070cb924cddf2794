//! What is not made, and leaves nothing behind.

use super::*;

#[test]
fn nothing_is_overwritten() {
    let workspace = Workspace::new();
    workspace.authority("devices", "/CN=devices", P256);
    let before = workspace.files();
    let all = [
        "--csr",
        "a.csr",
        "--ca",
        "devices.pem",
        "--ca-key",
        "devices.key",
        "--certificate",
        "a.crt",
        "--device-config",
        "a.toml",
    ];
    for there in ["a.pem", "a.csr", "a.crt", "a.toml"] {
        workspace.write(there, "precious");
        let (code, error) = workspace.fail(&[&provision("a", "a.pem")[..], &all].concat());
        assert_eq!(code, 1);
        assert!(
            error.contains(&format!("{there} exists: it was left as it is")),
            "{error}"
        );
        assert_eq!(workspace.read(there), "precious");
        std::fs::remove_file(workspace.path(there)).unwrap();
        assert_eq!(workspace.files(), before);
    }
    let twice = [&provision("a", "a.pem")[..], &["--csr", "a.pem"]].concat();
    let (_, error) = workspace.fail(&twice);
    assert!(error.contains("a.pem: named twice"), "{error}");
    assert_eq!(workspace.files(), before);
}

/// Whatever fails, at the first file or the last: nothing stays.
#[test]
fn what_is_half_done_is_taken_back() {
    let workspace = Workspace::new();
    workspace.authority("devices", "/CN=devices", P256);
    workspace.authority("other", "/CN=devices", P256);
    workspace.authority("twice", "/OU=one/OU=two/CN=twice", P256);
    let before = workspace.files();
    for (arguments, says) in [
        (
            &["--csr", "no/such/folder.csr"][..],
            "folder.csr: No such file",
        ),
        (
            &["--csr", "a.csr", "--device-config", "no/such/folder.toml"],
            "folder.toml: No such file",
        ),
        (
            &[
                "--csr",
                "a.csr",
                "--ca",
                "devices.pem",
                "--ca-key",
                "devices.key",
                "--certificate",
                "no/such/folder.crt",
            ],
            "folder.crt: No such file",
        ),
        (
            &[
                "--csr",
                "a.csr",
                "--ca",
                "devices.pem",
                "--ca-key",
                "other.key",
                "--certificate",
                "a.crt",
            ],
            "a certificate that --ca-key signed does not verify against --ca",
        ),
        // rcgen has each attribute of a name once.
        (
            &[
                "--ca",
                "twice.pem",
                "--ca-key",
                "twice.key",
                "--certificate",
                "a.crt",
            ],
            "have --csr signed by another tool",
        ),
        (
            &[
                "--ca",
                "chain.pem",
                "--ca-key",
                "server.pem",
                "--certificate",
                "a.crt",
            ],
            "chain.pem: not an authority's certificate",
        ),
        (
            &[
                "--ca",
                "server.pem",
                "--ca-key",
                "server.pem",
                "--certificate",
                "a.crt",
            ],
            "server.pem: no certificate",
        ),
        (
            &[
                "--ca",
                "devices.pem",
                "--ca-key",
                "devices.pem",
                "--certificate",
                "a.crt",
            ],
            "devices.pem: no private key can be read",
        ),
        (
            &[
                "--csr",
                "a.csr",
                "--device-config",
                "a.toml",
                "--pcrs",
                "sha256:7",
            ],
            "leave out --parent and --pcrs",
        ),
    ] {
        let (code, error) = workspace.fail(&[&provision("a", "a.pem")[..], arguments].concat());
        assert_eq!(code, 1);
        assert!(error.contains(says), "{arguments:?}: {error}");
        assert_eq!(workspace.files(), before, "{arguments:?}");
    }
    // And of an HMAC key, when its registry entry cannot be printed.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let arguments = [
        "provision",
        "--client-id",
        "a",
        "--out",
        "a.pem",
        "--device-config",
        "a.toml",
    ];
    let output = workspace.command(&arguments).stdout(full.unwrap()).output();
    assert_eq!(output.unwrap().status.code(), Some(1));
    assert_eq!(workspace.files(), before);
}

#[test]
fn wrong_usage() {
    let workspace = Workspace::new();
    for (arguments, says) in [
        (
            &["--authenticator"][..],
            "<--csr <FILE>|--certificate <FILE>>",
        ),
        (&["--csr", "x"], "--authenticator"),
        (&["--uri", "urn:a:b"], "--authenticator"),
        (&["--inside", "--csr", "x"], "cannot be used with"),
        (&["--inside", "--uri", "urn:a:b"], "cannot be used with"),
        (
            &["--authenticator", "--csr", "x", "--inside"],
            "cannot be used with",
        ),
        (
            &["--authenticator", "--csr", "x", "--secret-file", "y"],
            "cannot be used with",
        ),
        (&["--authenticator", "--certificate", "x"], "--ca-key"),
        (
            &[
                "--authenticator",
                "--csr",
                "x",
                "--ca",
                "y",
                "--ca-key",
                "z",
            ],
            "--certificate",
        ),
        (
            &["--authenticator", "--csr", "x", "--days", "3"],
            "--certificate",
        ),
        (
            &["--authenticator", "--csr", "x", "--uri", "no uri"],
            "like urn:example:device:1",
        ),
        (
            &["--authenticator", "--csr", "x", "--dns", "*.example"],
            "like device1.example",
        ),
    ] {
        let provision = ["provision", "--client-id", "a", "--out", "b"];
        let (code, error) = workspace.fail(&[&provision[..], arguments].concat());
        assert_eq!(code, 2);
        assert!(error.contains(says), "{arguments:?}: {error}");
    }
    let long = "x".repeat(65);
    let (code, error) = workspace.fail(&[&provision(&long, "b")[..], &["--csr", "x"]].concat());
    assert_eq!(code, 1);
    assert!(
        error.contains("at most 64; use --uri for a longer name"),
        "{error}"
    );
}
