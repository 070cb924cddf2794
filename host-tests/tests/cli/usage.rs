//! Help, wrong usage, and the spellings of earlier versions.

use super::*;

#[test]
fn help_has_an_example_for_every_command() {
    let workspace = Workspace::without_tpm();
    let (out, _) = workspace.succeed(&["--help"]);
    assert_contains_all(
        &out,
        &["Start with `chanbind provision --help`", "Exit codes"],
    );
    for command in [
        &["provision", "otp"][..],
        &["provision", "authenticator"],
        &["connect", "otp"],
        &["connect", "authenticator"],
        &["gateway"],
        &["gateway", "otp"],
        &["gateway", "authenticator"],
        &["inspect"],
        &["inspect", "otp"],
        &["inspect", "authenticator"],
        &["inspect", "request"],
        &["inspect", "key"],
        &["inspect", "binding"],
    ] {
        let (out, _) = workspace.succeed(&[command, &["--help"]].concat());
        assert!(out.contains("Example"), "{command:?}: {out}");
    }
    let (out, _) = workspace.succeed(&["connect", "--help"]);
    assert_contains_all(&out, &["otp", "authenticator", "8 file", "HTTPS_PROXY"]);
}

#[test]
fn wrong_usage_exits_with_2_and_names_what_is_missing_or_wrong() {
    let workspace = Workspace::without_tpm();
    for (arguments, says) in [
        (&[][..], "Usage: chanbind"),
        (&["nonsense"], "unrecognized subcommand 'nonsense'"),
        (&["provision"], "otp"),
        (&["provision", "otp"], "--client-id <ID>"),
        (&["provision", "authenticator"], "--client-id <ID>"),
        (&["connect"], "authenticator"),
        (&["connect", "otp", "--key", "k"], "<URL>"),
        (
            &[
                "connect",
                "otp",
                "https://x/",
                "--key",
                "k",
                "--timeout",
                "0",
            ],
            "0 is not in 1..=86400",
        ),
        (
            &[
                "connect",
                "otp",
                "https://x/",
                "--key",
                "k",
                "-H",
                "no colon",
            ],
            "write a name, a colon and a value",
        ),
        (
            &[
                "connect",
                "otp",
                "https://x/",
                "--key",
                "k",
                "--resolve",
                "x",
            ],
            "write an IP address, with a port or without one",
        ),
        (&["gateway"], "--config <FILE>"),
        (&["gateway", "--check"], "--config <FILE>"),
        (&["gateway", "otp"], "--registry <FILE>"),
        (
            &["gateway", "--config", "g", "otp", "--registry", "r"],
            "cannot be used with",
        ),
        (&["inspect"], "binding"),
        (&["inspect", "key"], "<FILE>"),
    ] {
        let (code, error) = workspace.fail(arguments);
        assert_eq!(code, 2, "{arguments:?}: {error}");
        assert!(error.contains(says), "{arguments:?}: {error}");
    }
    for listen in ["8443", "localhost:8443", ":99999"] {
        let files = ["--registry", "r", "--cert", "c", "--key", "k"];
        let gateway = [&["gateway", "otp"], &files[..], &["--listen", listen]].concat();
        let (code, error) = workspace.fail(&gateway);
        assert_eq!(code, 2, "{error}");
        assert!(error.contains("invalid value"), "{error}");
    }
}

#[test]
fn command_lines_of_earlier_versions_exit_with_2_and_name_the_new_one() {
    let workspace = Workspace::without_tpm();
    for (line, says) in [
        (
            "provision --client-id client1 --out key.pem",
            "chanbind provision otp ...",
        ),
        (
            "provision --authenticator --client-id client1 --out key.pem --csr c",
            "chanbind provision authenticator ..., without the option --authenticator",
        ),
        (
            "connect https://localhost/ --ca ca.pem --key key.pem --client-id client1",
            "chanbind connect otp ...",
        ),
        (
            "connect https://localhost/ --key key.pem --client-id client1 --proof jws",
            "chanbind connect otp ...; --proof is now --form",
        ),
        (
            "connect https://localhost/ --authenticator --certificate c --key key.pem",
            "chanbind connect authenticator ..., without the option --authenticator",
        ),
        (
            "gateway --registry registry.toml --cert chain.pem --key server.pem",
            "chanbind gateway otp ...",
        ),
        (
            "gateway --authenticator-ca ca.pem --cert chain.pem --key server.pem",
            "chanbind gateway authenticator ..., where --authenticator-ca is now --client-ca",
        ),
        (
            "gateway --cert chain.pem --key server.pem --authenticator-ca=ca.pem",
            "--client-ca",
        ),
        ("inspect token token.txt", "`chanbind inspect otp`"),
    ] {
        let arguments: Vec<_> = line.split(' ').collect();
        let (code, error) = workspace.fail(&arguments);
        assert_eq!(code, 2, "{line}: {error}");
        assert!(
            error.starts_with("chanbind: ") && error.contains(says),
            "{line}: {error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    // Options of all commands may stand before the kind of proof.
    let (out, _) = workspace.succeed(&["connect", "--log-format", "json", "otp", "--help"]);
    assert!(out.contains("--form"), "{out}");
}
