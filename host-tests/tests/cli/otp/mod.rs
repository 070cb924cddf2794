//! One-time passwords: provisioning, a gateway, a client, and the explanation of tokens.

mod batch;
mod inspect;
mod provision;

use super::*;
use workspace::connect_otp;

#[test]
fn every_form_is_admitted_with_every_profile() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    for profile in ["chanbind", "go-demo-api-key", "go-demo-jwt"] {
        let gateway = workspace.otp_gateway(&["--profile", profile]);
        assert_eq!(
            gateway.line,
            format!("listening on 127.0.0.1:{} for 1 client(s)", gateway.port)
        );
        let url = gateway.url();
        for form in ["api-key", "jws", "nested"] {
            let more = ["--form", form, "--profile", profile];
            let arguments = [&connect_otp(&url, "client1.pem")[..], &more].concat();
            let (out, err) = workspace.succeed(&arguments);
            assert_eq!(
                (out.as_str(), err.as_str()),
                ("ok client1\n", "200 OK\nadmitted by the proof (otp)\n")
            );
        }
    }
    assert_eq!(workspace.tpm().orphans(), [""; 0]);
}

#[test]
fn each_setting_must_be_the_same_on_both_ends() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    let settings = [
        (["--label", "EXPERIMENTAL-own"], 3),
        (["--context", "client-id"], 3),
        (["--layout", "vault"], 3),
        // The gateway finds a password without a client: 400.
        (["--client-header", "x-client"], 1),
        (["--key-header", "x-key"], 3),
    ];
    let all = settings.map(|(setting, _)| setting);
    let gateway = workspace.otp_gateway(all.as_flattened());
    let url = gateway.url();
    let connect = connect_otp(&url, "client1.pem");
    workspace.succeed(&[&connect[..], all.as_flattened()].concat());
    for (skipped, ([option, _], expected)) in settings.into_iter().enumerate() {
        let mut other = all.to_vec();
        other.remove(skipped);
        let (code, error) = workspace.fail(&[&connect[..], other.as_flattened()].concat());
        assert_eq!(code, expected, "without {option}: {error}");
    }
}

#[test]
fn the_client_id_comes_from_the_key_file_or_the_option() {
    let workspace = Workspace::new();
    workspace.write("hmac.key", "a key that two clients have");
    workspace.provision("client1", &["--secret-file", "hmac.key"]);
    workspace.register("client2", b"a key that two clients have");
    let gateway = workspace.otp_gateway(&[]);
    let url = gateway.url();
    let connect = connect_otp(&url, "client1.pem");
    assert_eq!(workspace.succeed(&connect).0, "ok client1\n");
    let other = [&connect[..], &["--client-id", "client2"]].concat();
    assert_eq!(workspace.succeed(&other).0, "ok client2\n");
    let invalid = [&connect[..], &["--client-id", "a b"]].concat();
    let (code, error) = workspace.fail(&invalid);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("--client-id: "), "{error}");

    // Without the description, which is the last field of the file.
    let file = chanbind::tpm::KeyFile::from_pem(&workspace.read("client1.pem")).unwrap();
    let mut nameless = file.clone();
    nameless.description = None;
    workspace.write("nameless.pem", nameless.to_pem().unwrap().as_bytes());
    let connect = connect_otp(&url, "nameless.pem");
    let (code, error) = workspace.fail(&connect);
    assert_eq!(code, 8, "{error}");
    assert!(
        error.contains("nameless.pem: the key file does not name a client: give --client-id"),
        "{error}"
    );
    let named = [&connect[..], &["--client-id", "client1"]].concat();
    assert_eq!(workspace.succeed(&named).0, "ok client1\n");

    nameless.description = Some("not a client id".to_owned());
    workspace.write("other.pem", nameless.to_pem().unwrap().as_bytes());
    let (code, error) = workspace.fail(&connect_otp(&url, "other.pem"));
    assert_eq!(code, 8, "{error}");
    assert!(
        error.contains("other.pem: its description is not a client id"),
        "{error}"
    );
}

#[test]
fn keys_with_password_pcrs_and_pinned_tpm_are_used_only_if_all_match() {
    let workspace = Workspace::new();
    workspace.write("password", "secret\n");
    let locks = ["--password-file", "password", "--pcrs", "sha256:0,16"];
    workspace.provision("client1", &locks);
    let inside = ["provision", "otp", "--client-id", "x", "--out", "x.pem"];
    let (out, err) = workspace.succeed(&[&inside[..], &["--inside"]].concat());
    assert_eq!(out, "");
    assert!(err.contains("there is no registry entry"), "{err}");
    let (_, pin) = err.split_once("--parent-name ").unwrap();
    let pin = pin.lines().next().unwrap();

    let gateway = workspace.otp_gateway(&[]);
    let url = gateway.url();
    let connect = connect_otp(&url, "client1.pem");
    let password = ["--password-file", "password"];
    let with_password = [&connect[..], &password, &["--parent-name", pin]].concat();
    workspace.succeed(&with_password);
    let (code, error) = workspace.fail(&connect);
    assert_eq!(code, 7);
    assert!(error.contains("password is wrong or missing"), "{error}");
    let other = format!("000b{}", "00".repeat(32));
    let (code, error) = workspace.fail(&[&connect[..], &["--parent-name", &other]].concat());
    assert_eq!(code, 7);
    assert!(error.contains("was pinned"), "{error}");

    let value = format!("16:sha256={}", "22".repeat(32));
    workspace.tpm().tool("tpm2_pcrextend", &[&value]);
    let (code, error) = workspace.fail(&with_password);
    assert_eq!(code, 7);
    assert!(
        error.contains("another value than when the key was provisioned"),
        "{error}"
    );
}

#[test]
fn unknown_clients_and_wrong_keys_are_refused_alike_with_advice() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    workspace.write(
        "registry.toml",
        "[clients.client1]\nhmac_sha256 = \"AAAA\"\n",
    );
    let gateway = workspace.otp_gateway(&[]);
    let url = gateway.url();
    let mut errors = Vec::new();
    for client in ["client1", "stranger"] {
        let more = ["--client-id", client];
        let arguments = [&connect_otp(&url, "client1.pem")[..], &more].concat();
        let (code, error) = workspace.fail(&arguments);
        assert_eq!(code, 3);
        assert!(
            error.starts_with("401 Unauthorized\n")
                && error.contains("is it in the registry by this client id"),
            "{error}"
        );
        errors.push(error);
    }
    assert_eq!(errors[0], errors[1]);
    let log = gateway.stop();
    assert!(
        log.contains("client \"stranger\" is not in the registry"),
        "{log}"
    );
}

#[test]
fn logs_of_the_highest_level_hold_no_secrets() {
    let workspace = Workspace::new();
    workspace.write("hmac.key", "a secret for this device only");
    workspace.provision("client1", &["--secret-file", "hmac.key"]);
    let registry = workspace.read("registry.toml");
    let encoded = registry.split('"').nth(3).unwrap().to_owned();
    let mut command = workspace.command(&[
        "gateway",
        "otp",
        "--registry",
        "registry.toml",
        "--cert",
        "chain.pem",
        "--key",
        "server.pem",
        "--listen",
        "127.0.0.1:0",
    ]);
    let gateway = Gateway::start(command.env("RUST_LOG", "trace"), None);
    let url = gateway.url();
    let mut logs = Vec::new();
    for form in ["api-key", "jws", "nested"] {
        let arguments = [&connect_otp(&url, "client1.pem")[..], &["--form", form]].concat();
        let output = workspace.run_with(&arguments, |command| {
            command.env("RUST_LOG", "trace");
        });
        assert!(output.status.success());
        logs.push(text(&output.stderr));
    }
    logs.push(gateway.stop());
    for log in logs {
        assert!(log.contains("TRACE"), "{log}");
        for secret in [
            "a secret for this",
            &encoded,
            &hex::encode("a secret for this"),
            "Bearer ey",
            "chanbind-key: ",
        ] {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
    }
}

#[test]
fn the_size_of_records_can_be_limited() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    // An encrypted record has 17 bytes more: the type and the tag.
    for (more, is_limited) in [(&["--max-fragment-size", "512"][..], true), (&[], false)] {
        let gateway = workspace.otp_gateway(more);
        let tap = peers::Tap::start(gateway.port);
        let url = format!("https://localhost:{}/", tap.port);
        let (out, _) = workspace.succeed(&connect_otp(&url, "client1.pem"));
        assert_eq!(out, "ok client1\n");
        let longest = tap.longest_record();
        assert_eq!(longest <= 512 + 17, is_limited, "{longest} bytes");
    }
}
