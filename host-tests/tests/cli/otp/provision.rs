//! Provisioning of HMAC keys.

use super::*;
use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind::tpm::KeyFile;

const PROVISION: [&str; 6] = [
    "provision",
    "otp",
    "--client-id",
    "client1",
    "--out",
    "client1.pem",
];

#[test]
fn the_registry_entry_is_the_whole_standard_output() {
    let workspace = Workspace::new();
    let (out, err) = workspace.succeed(&PROVISION);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], "[clients.\"client1\"]");
    let key = lines[1].strip_prefix("hmac_sha256 = \"").unwrap();
    let key = BASE64_STANDARD.decode(key.strip_suffix('"').unwrap());
    assert_eq!(key.unwrap().len(), 32);
    assert_eq!(lines.len(), 2);
    assert_contains_all(
        &err,
        &[
            "wrote client1.pem, a key that only this TPM can use\n",
            "--parent-name 000b",
            "the registry entry on standard output is a secret",
        ],
    );
    let second = ["provision", "otp", "--client-id", "client2", "--out", "k"];
    let (other, _) = workspace.succeed(&second);
    assert_ne!(other.lines().nth(1), Some(lines[1]), "keys are random");
}

#[test]
fn an_hmac_key_can_come_from_a_file_or_standard_input() {
    let workspace = Workspace::new();
    workspace.write("hmac.key", "my_api_key_in_a_file");
    let from_file = [&PROVISION[..], &["--secret-file", "hmac.key"]].concat();
    let (out, _) = workspace.succeed(&from_file);
    let encoded = BASE64_STANDARD.encode("my_api_key_in_a_file");
    assert!(
        out.contains(&format!("hmac_sha256 = \"{encoded}\"\n")),
        "{out}"
    );

    // Each byte counts, also a line ending.
    let from_input = [
        "provision",
        "otp",
        "--client-id",
        "client2",
        "--out",
        "client2.pem",
        "--secret-file",
        "-",
    ];
    let output = workspace.run_on(&from_input, b"\x00another key\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let encoded = BASE64_STANDARD.encode("\x00another key\n");
    let entry = text(&output.stdout);
    assert!(
        entry.contains(&format!("hmac_sha256 = \"{encoded}\"\n")),
        "{entry}"
    );

    workspace.write("registry.toml", out + &entry);
    let gateway = workspace.otp_gateway(&[]);
    for client in ["client1", "client2"] {
        let (out, _) = workspace.succeed(&connect_otp(&gateway.url(), &format!("{client}.pem")));
        assert_eq!(out, format!("ok {client}\n"));
    }
}

#[test]
fn hmac_key_files_that_are_missing_empty_or_too_long_are_errors() {
    let workspace = Workspace::new();
    workspace.write("empty", "");
    workspace.write("long", [b'x'; 4096]);
    for (file, says) in [
        ("missing", "missing: No such file"),
        ("empty", "the HMAC key has 0 bytes: give 1 to "),
        ("long", "the HMAC key has 4096 bytes: give 1 to "),
    ] {
        let (code, error) = workspace.fail(&[&PROVISION[..], &["--secret-file", file]].concat());
        assert_eq!(code, 1);
        assert!(error.contains(says), "{file}: {error}");
        assert!(!workspace.path("client1.pem").exists());
    }
}

#[test]
fn the_key_is_written_for_firmware() {
    let workspace = Workspace::new();
    workspace.write("password", "secret\n");
    let options = ["--device-config", "key.toml", "--password-file", "password"];
    for (client, more) in [("client1", &options[..2]), ("client2", &options)] {
        workspace.provision(client, more);
        let file = KeyFile::from_pem(&workspace.read(&format!("{client}.pem"))).unwrap();
        let (private, public) = (hex::encode(&file.private), hex::encode(&file.public));
        let toml = workspace.read("key.toml");
        let mut lines = toml.lines();
        assert_eq!(lines.next(), Some("[proof.otp.key]"));
        let pin = lines.next().unwrap().strip_prefix("parent_name = \"000b");
        assert_eq!(pin.unwrap().len(), 65, "{toml}");
        assert_eq!(lines.next(), Some(&*format!("private = \"{private}\"")));
        assert_eq!(lines.next(), Some(&*format!("public = \"{public}\"")));
        let password = lines.next();
        if client == "client1" {
            assert_eq!(password, None);
        } else {
            // The password itself is not written.
            assert!(
                password.unwrap().starts_with("password = \"...\""),
                "{toml}"
            );
        }
        std::fs::remove_file(workspace.path("key.toml")).unwrap();
    }
}

#[test]
fn keys_that_firmware_cannot_use_are_not_written_for_it() {
    let workspace = Workspace::new();
    workspace.write("key.toml", "precious");
    for (arguments, says) in [
        (&["--device-config", "key.toml"][..], "key.toml exists"),
        (
            &["--device-config", "other.toml", "--pcrs", "sha256:7"],
            "leave out --parent and --pcrs",
        ),
        (
            &["--device-config", "other.toml", "--parent", "null"],
            "leave out --parent and --pcrs",
        ),
        (&["--device-config", "no/such/folder.toml"], "folder.toml"),
    ] {
        let (code, error) = workspace.fail(&[&PROVISION[..], arguments].concat());
        assert_eq!(code, 1);
        assert!(error.contains(says), "{arguments:?}: {error}");
        assert!(!workspace.path("client1.pem").exists());
        assert!(!workspace.path("other.toml").exists());
    }
    assert_eq!(workspace.read("key.toml"), "precious");
}

#[test]
fn existing_files_are_not_overwritten() {
    let workspace = Workspace::new();
    workspace.write("client1.pem", "precious");
    let (code, error) = workspace.fail(&PROVISION);
    assert_eq!(code, 1);
    assert!(
        error.contains("client1.pem exists: it was left as it is"),
        "{error}"
    );
    assert_eq!(workspace.read("client1.pem"), "precious");
}

/// The entry is the only copy of the key, so a key without it is useless.
#[test]
fn no_key_file_remains_if_the_registry_entry_cannot_be_printed() {
    let workspace = Workspace::new();
    let before = workspace.files();
    let arguments = [&PROVISION[..], &["--device-config", "key.toml"]].concat();
    let output = workspace.run_with(&arguments, |command| {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        command.stdout(full.unwrap());
    });
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("standard output"));
    assert_eq!(workspace.files(), before);
    workspace.succeed(&arguments);
}

#[test]
fn client_ids_and_options_are_checked() {
    let workspace = Workspace::new();
    for (id, says) in [
        ("", "empty"),
        (&"x".repeat(10_240), "at most 255"),
        ("a b", "visible ASCII"),
    ] {
        let (code, error) = workspace.fail(&["provision", "otp", "--client-id", id, "--out", "b"]);
        assert_eq!(code, 1);
        assert!(error.contains(says), "{error}");
    }
    for (arguments, says) in [
        (&["--parent", "0x80000000"][..], "persistent handle"),
        (&["--pcrs", "sha256:99"], "sha256:0,2,7"),
        (&["--inside", "--secret-file", "x"], "cannot be used with"),
        (&["--dictionary-attack-protection"], "--password-file"),
        (&["--csr", "x"], "unexpected argument '--csr'"),
        (&["--parent-name", "000b00"], "64 more hexadecimal digits"),
    ] {
        let (code, error) = workspace.fail(&[&PROVISION[..], arguments].concat());
        assert_eq!(code, 2, "{arguments:?}: {error}");
        assert!(error.contains(says), "{arguments:?}: {error}");
    }
    assert!(!workspace.path("client1.pem").exists());
}

#[test]
fn errors_without_a_tpm_name_the_remedy_in_one_line() {
    let workspace = Workspace::without_tpm();
    let (code, error) = workspace.fail(&PROVISION);
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
    let (code, error) = workspace.fail(&[&PROVISION[..], &["--tcti", "nonsense"]].concat());
    assert_eq!(code, 1);
    assert!(error.contains("is not a valid TPM interface"), "{error}");
    assert!(!workspace.path("client1.pem").exists());
}
