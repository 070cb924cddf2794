//! Provisioning that fails and leaves no files behind.

use super::*;

#[test]
fn existing_files_are_not_overwritten() {
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
    for name in ["a.pem", "a.csr", "a.crt", "a.toml"] {
        workspace.write(name, "precious");
        let (code, error) = workspace.fail(&[&provision("a", "a.pem")[..], &all].concat());
        assert_eq!(code, 1);
        assert!(
            error.contains(&format!("{name} exists: it was left as it is")),
            "{error}"
        );
        assert_eq!(workspace.read(name), "precious");
        std::fs::remove_file(workspace.path(name)).unwrap();
        assert_eq!(workspace.files(), before);
    }
    let twice = [&provision("a", "a.pem")[..], &["--csr", "a.pem"]].concat();
    let (_, error) = workspace.fail(&twice);
    assert!(error.contains("a.pem: named twice"), "{error}");
    assert_eq!(workspace.files(), before);
}

#[test]
fn no_file_remains_after_an_error() {
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
        // rcgen supports each attribute of a name once only.
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
}

#[test]
fn options_are_checked() {
    let workspace = Workspace::new();
    for (arguments, says) in [
        (&[][..], "<--csr <FILE>|--certificate <FILE>>"),
        (
            &["--csr", "x", "--inside"],
            "unexpected argument '--inside'",
        ),
        (
            &["--csr", "x", "--secret-file", "y"],
            "unexpected argument '--secret-file'",
        ),
        (&["--certificate", "x"], "--ca-key"),
        (
            &["--csr", "x", "--ca", "y", "--ca-key", "z"],
            "--certificate",
        ),
        (&["--csr", "x", "--days", "3"], "--certificate"),
        (
            &["--csr", "x", "--uri", "no uri"],
            "like urn:example:device:1",
        ),
        (
            &["--csr", "x", "--dns", "*.example"],
            "like device1.example",
        ),
    ] {
        let (code, error) = workspace.fail(&[&provision("a", "b")[..], arguments].concat());
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
