//! Mistakes that a newcomer makes, and what they are told.

use super::*;

#[test]
fn without_a_tpm() {
    let mut workspace = Workspace::new();
    workspace.swtpm.kill();
    let (code, error) =
        workspace.fail(&["provision", "--client-id", "client1", "--out", "key.pem"]);
    assert_eq!(code, 1);
    assert!(
        error.starts_with("chanbind: no TPM at swtpm:") && error.contains("swtpm socket"),
        "{error}"
    );
    assert_eq!(
        error.lines().count(),
        1,
        "the TPM software stack is quiet: {error}"
    );
    let (_, error) = workspace.fail(&[
        "provision",
        "--client-id",
        "c",
        "--out",
        "key.pem",
        "--tcti",
        "nonsense",
    ]);
    assert!(error.contains("is not a valid TPM interface"), "{error}");
    assert!(!workspace.path("key.pem").exists());
}

#[test]
fn nothing_is_overwritten() {
    let workspace = Workspace::new();
    std::fs::write(workspace.path("key.pem"), "precious").unwrap();
    let (_, error) = workspace.fail(&["provision", "--client-id", "client1", "--out", "key.pem"]);
    assert!(error.contains("left as it is"), "{error}");
    assert_eq!(
        std::fs::read_to_string(workspace.path("key.pem")).unwrap(),
        "precious"
    );
}

#[test]
fn wrong_usage() {
    let workspace = Workspace::new();
    for (arguments, part) in [
        (&["provision"][..], "--client-id"),
        (&["connect", "https://x/"], "--ca"),
        (&["gateway"], "--registry"),
        (
            &[
                "provision",
                "--client-id",
                "a",
                "--out",
                "b",
                "--parent",
                "0x80000000",
            ],
            "persistent handle",
        ),
        (
            &[
                "provision",
                "--client-id",
                "a",
                "--out",
                "b",
                "--pcrs",
                "sha256:99",
            ],
            "sha256:0,2,7",
        ),
        (
            &[
                "provision",
                "--client-id",
                "a",
                "--out",
                "b",
                "--inside",
                "--secret-file",
                "x",
            ],
            "cannot be used with",
        ),
        (&["nonsense"], "unrecognized subcommand"),
    ] {
        let (code, error) = workspace.fail(arguments);
        assert_eq!(code, 2);
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
    for (id, part) in [
        ("", "empty"),
        (&"x".repeat(10_240), "at most 255"),
        ("a b", "visible ASCII"),
    ] {
        let (code, error) = workspace.fail(&["provision", "--client-id", id, "--out", "b"]);
        assert_eq!(code, 1);
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn help_that_can_be_acted_on() {
    let workspace = Workspace::new();
    let (out, _) = workspace.succeed(&["--help"]);
    assert!(
        out.contains("Start with `chanbind provision --help`") && out.contains("Exit codes"),
        "{out}"
    );
    for command in ["provision", "gateway", "connect", "inspect"] {
        let (out, _) = workspace.succeed(&[command, "--help"]);
        assert!(out.contains("Example"), "{out}");
    }
}

#[test]
fn wrong_files() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    let gateway = workspace.gateway(&[]);
    let url = gateway.url();
    for (ca, key, part) in [
        ("missing.pem", "client1.pem", "missing.pem"),
        ("server.pem", "client1.pem", "BEGIN CERTIFICATE"),
        ("ca.pem", "missing.pem", "missing.pem"),
        ("ca.pem", "server.pem", "not of a TPM key"),
        ("ca.pem", "registry.toml", "not a PEM file"),
        ("chain.pem", "client1.pem", "no TLS 1.3 with"),
    ] {
        let (code, error) = workspace.fail(&[
            "connect",
            &url,
            "--ca",
            ca,
            "--key",
            key,
            "--client-id",
            "client1",
        ]);
        assert_eq!(code, 1);
        assert!(error.contains(part), "{ca} {key}: {error}");
    }
    for (url, part) in [
        ("http://localhost/", "no https address"),
        ("/get", "no https address"),
        ("https://127.0.0.1:1/", "is the gateway running"),
    ] {
        let (_, error) = workspace.fail(&[
            "connect",
            url,
            "--ca",
            "ca.pem",
            "--key",
            "client1.pem",
            "--client-id",
            "client1",
        ]);
        assert!(error.contains(part), "{error}");
    }
    let files = |registry, cert, key| {
        [
            "gateway",
            "--registry",
            registry,
            "--cert",
            cert,
            "--key",
            key,
            "--listen",
            "127.0.0.1:0",
        ]
    };
    for (arguments, part) in [
        (files("ca.pem", "chain.pem", "server.pem"), "[clients.NAME]"),
        (
            files("registry.toml", "server.pem", "server.pem"),
            "BEGIN CERTIFICATE",
        ),
        (
            files("registry.toml", "chain.pem", "chain.pem"),
            "BEGIN PRIVATE KEY",
        ),
    ] {
        let (_, error) = workspace.fail(&arguments);
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
    let listen = format!("127.0.0.1:{}", gateway.port);
    let mut taken = files("registry.toml", "chain.pem", "server.pem");
    taken[8] = &listen;
    let (_, error) = workspace.fail(&taken);
    assert!(error.contains("is another gateway running?"), "{error}");
}

/// A registry entry that cannot be printed is not lost: nothing was made, and the next try is not in its own way.
#[test]
fn an_output_that_is_full() {
    let workspace = Workspace::new();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let arguments = ["provision", "--client-id", "client1", "--out", "key.pem"];
    let output = workspace.command(&arguments).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("standard output"));
    assert!(!workspace.path("key.pem").exists());
    workspace.succeed(&arguments);
    let (_, error) = workspace.fail(&[
        "provision",
        "--client-id",
        "c",
        "--out",
        "k",
        "--parent-name",
        "000b00",
    ]);
    assert!(error.contains("64 more hexadecimal digits"), "{error}");
}
