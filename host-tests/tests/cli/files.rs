//! Files that are missing, wrong, or large.

use super::*;
use workspace::connect_otp;

#[test]
fn wrong_key_files_are_errors_with_the_file() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    let gateway = workspace.otp_gateway(&[]);
    let url = gateway.url();
    for (key, says) in [
        ("missing.pem", "missing.pem: No such file"),
        ("server.pem", "server.pem: a PEM file, but not of a TPM key"),
        ("registry.toml", "registry.toml: not a PEM file"),
    ] {
        let (code, error) = workspace.fail(&connect_otp(&url, key));
        assert_eq!(code, 8);
        assert!(error.contains(says), "{key}: {error}");
    }
}

#[test]
fn gateways_do_not_start_with_wrong_files_or_a_port_in_use() {
    let workspace = Workspace::without_tpm();
    workspace.register("client1", b"a key with more than 16 bytes");
    let gateway = workspace.otp_gateway(&[]);
    let start = |registry, cert, key, listen| {
        let files = ["--registry", registry, "--cert", cert, "--key", key];
        let arguments = [&["gateway", "otp"], &files[..], &["--listen", listen]].concat();
        workspace.fail(&arguments)
    };
    for (registry, cert, key, says) in [
        (
            "missing",
            "chain.pem",
            "server.pem",
            "missing: No such file",
        ),
        ("ca.pem", "chain.pem", "server.pem", "[clients.NAME]"),
        (
            "registry.toml",
            "server.pem",
            "server.pem",
            "server.pem: no certificate can be read",
        ),
        (
            "registry.toml",
            "chain.pem",
            "chain.pem",
            "chain.pem: no private key can be read",
        ),
        (
            "registry.toml",
            "missing",
            "server.pem",
            "missing: No such file",
        ),
    ] {
        let (code, error) = start(registry, cert, key, "127.0.0.1:0");
        assert_eq!(code, 1);
        assert!(error.contains(says), "{registry} {cert} {key}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let listen = format!("127.0.0.1:{}", gateway.port);
    let (code, error) = start("registry.toml", "chain.pem", "server.pem", &listen);
    assert_eq!(code, 1);
    assert!(
        error.contains(&format!("cannot listen on {listen} "))
            && error.contains("is another gateway running?"),
        "{error}"
    );
}

#[test]
fn a_registry_has_no_limit() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    let entry = workspace.read("registry.toml");
    let mut registry = String::with_capacity(24 * 1024 * 1024);
    for number in 0..200_000 {
        use std::fmt::Write;
        let key = "bXlfYXBpX2tleSBvZiBhIGRldmljZSBhbmQgbW9yZQ==";
        writeln!(
            registry,
            "[clients.device-{number:08}-of-a-large-fleet]\nhmac_sha256 = \"{key}\""
        )
        .unwrap();
    }
    // The last client of the file is known too.
    registry.push_str(&entry);
    assert!(registry.len() > 16 * 1024 * 1024);
    workspace.write("registry.toml", &registry);
    let gateway = workspace.otp_gateway(&[]);
    assert!(
        gateway.line.contains("200001 client(s)"),
        "{}",
        gateway.line
    );
    let (out, _) = workspace.succeed(&connect_otp(&gateway.url(), "client1.pem"));
    assert_eq!(out, "ok client1\n");
}

#[test]
fn other_files_are_read_whole_or_not_at_all() {
    let workspace = Workspace::without_tpm();
    workspace.register("client1", b"a key with more than 16 bytes");
    let certificate = workspace.read("chain.pem");
    let files = ["--registry", "registry.toml", "--cert", "chain.pem"];
    let rest = ["--key", "server.pem", "--listen", "127.0.0.1:0"];
    let arguments = [&["gateway", "otp"], &files[..], &rest].concat();
    workspace.write("chain.pem", "\n".repeat(16 * 1024 * 1024) + &certificate);
    let (code, error) = workspace.fail(&arguments);
    assert_eq!(code, 1);
    assert!(error.contains("chain.pem: 16 MiB or more"), "{error}");
    let len = 16 * 1024 * 1024 - 1 - certificate.len();
    workspace.write("chain.pem", "\n".repeat(len) + &certificate);
    workspace.otp_gateway(&[]);
}
