//! `chanbind gateway --config FILE --check`, and the same warnings when a gateway starts.

use super::*;
use chanbind_host_tests::pki::Authority;
use rcgen::date_time_ymd;
use std::os::unix::fs::PermissionsExt;

const RULES: &str = "[proof.otp]\nregistry = \"registry.toml\"\n\
    [proof.authenticator]\nclient_ca = \"devices.pem\"\n\
    [[rule]]\npath = \"/\"\nany = [\"otp\", \"authenticator\"]\n";

/// Creates a workspace with the files of [`RULES`], which deserve no warning.
fn valid() -> Workspace {
    let workspace = workspace();
    workspace.software_device("device", "devices");
    workspace.write("gateway.toml", configuration(RULES));
    workspace
}

fn check(workspace: &Workspace) -> (Option<i32>, String, String) {
    let output = workspace.run(&["gateway", "--config", "gateway.toml", "--check"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output.status.code(), out, err)
}

/// Checks that `--check` and the log of a gateway have this warning, and no other.
fn assert_warns(workspace: &Workspace, warning: &str) {
    let (code, out, err) = check(workspace);
    assert_eq!(code, Some(1), "{err}");
    assert_eq!(out, "");
    assert!(
        err.starts_with(&format!("warning: {warning}")),
        "{warning}: {err}"
    );
    assert_eq!(err.lines().count(), 1, "{err}");
    let line = err.trim_end().strip_prefix("warning: ").unwrap();
    let mut command = workspace.command(&["gateway", "--config", "gateway.toml"]);
    let gateway = Gateway::start(&mut command, None);
    let log = gateway.stop();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].ends_with(line), "{log}");
}

#[test]
fn a_valid_configuration_is_summarized_without_warnings() {
    let workspace = valid();
    assert_eq!(
        check(&workspace),
        (
            Some(0),
            "ok: 1 client(s), certificates of devices.pem\n".to_owned(),
            String::new()
        )
    );
    let mut command = workspace.command(&["gateway", "--config", "gateway.toml"]);
    let log = Gateway::start(&mut command, None).stop();
    assert!(!log.contains("WARN"), "{log}");
}

#[test]
fn the_port_is_not_used() {
    let workspace = valid();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let text = configuration(RULES).replace("127.0.0.1:0", &address);
    workspace.write("gateway.toml", text);
    assert_eq!(check(&workspace).0, Some(0));
}

#[test]
fn certificates_that_are_not_valid_now_are_warned_of() {
    let workspace = valid();
    let authority = Authority::new("servers").unwrap();
    let soon = std::time::SystemTime::now() + Duration::from_secs(5 * 86_400);
    for (from, until, says) in [
        (
            date_time_ymd(2020, 1, 1),
            date_time_ymd(2021, 2, 3),
            "chain.pem: the certificate of CN=chanbind test server expired on Feb  3 00:00:00 2021 +00:00: renew it",
        ),
        (
            date_time_ymd(2100, 1, 1),
            date_time_ymd(2101, 1, 1),
            "chain.pem: the certificate of CN=chanbind test server is not valid before Jan  1 00:00:00 2100 +00:00",
        ),
        (
            date_time_ymd(2020, 1, 1),
            soon.into(),
            "chain.pem: the certificate of CN=chanbind test server expires on ",
        ),
    ] {
        let server = authority.issue(|params| {
            params.not_before = from;
            params.not_after = until;
        });
        let server = server.unwrap();
        workspace.write("chain.pem", server.pem());
        workspace.write("server.pem", server.key_pem());
        assert_warns(&workspace, says);
    }
}

#[test]
fn expired_authorities_are_warned_of() {
    let workspace = valid();
    workspace.openssl(&[
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "rsa:2048",
        "-days",
        "3",
        "-subj",
        "/CN=short",
        "-keyout",
        "short.key",
        "-out",
        "devices.pem",
    ]);
    assert_warns(
        &workspace,
        "devices.pem: the certificate of CN=short expires on ",
    );
}

#[test]
fn secrets_that_others_can_read_are_warned_of() {
    let workspace = valid();
    for name in ["server.pem", "registry.toml"] {
        for mode in [0o644, 0o620] {
            let set = |mode| {
                let permissions = std::fs::Permissions::from_mode(mode);
                std::fs::set_permissions(workspace.path(name), permissions).unwrap();
            };
            set(mode);
            assert_warns(
                &workspace,
                &format!(
                    "{name}: the file is a secret, and other users can read or write it (mode {mode:03o}): chmod 600"
                ),
            );
            set(0o600);
        }
    }
}

#[test]
fn short_keys_are_warned_of() {
    let workspace = valid();
    workspace.register("client2", b"15 bytes, short");
    assert_warns(
        &workspace,
        "registry.toml: the key of client \"client2\" has 15 bytes: use at least 16",
    );
}

#[test]
fn paths_without_a_rule_are_warned_of() {
    let workspace = valid();
    for rule in [
        "path = \"/admin\"",
        "host = \"admin.example\"\npath = \"/\"",
    ] {
        let rules = RULES.replace("path = \"/\"", rule);
        workspace.write("gateway.toml", configuration(&rules));
        assert_warns(
            &workspace,
            "no rule has the path /: paths without a rule need no proof",
        );
    }
}

#[test]
fn all_warnings_are_printed() {
    let workspace = valid();
    workspace.register("client2", b"short");
    let permissions = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(workspace.path("server.pem"), permissions).unwrap();
    let (code, out, err) = check(&workspace);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(err.lines().count(), 2, "{err}");
    assert!(
        err.lines().all(|line| line.starts_with("warning: ")),
        "{err}"
    );
}
