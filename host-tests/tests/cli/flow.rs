//! Provision, serve, connect.

use super::*;

fn connect<'a>(url: &'a str, client: &'a str, key: &'a str) -> Vec<&'a str> {
    vec![
        "connect",
        url,
        "--ca",
        "ca.pem",
        "--key",
        key,
        "--client-id",
        client,
    ]
}

#[test]
fn every_proof_with_every_profile() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    for profile in ["chanbind", "go-demo-api-key", "go-demo-jwt"] {
        let gateway = workspace.gateway(&["--profile", profile]);
        let url = gateway.url();
        for proof in ["api-key", "jws", "nested"] {
            let arguments = [
                &connect(&url, "client1", "client1.pem")[..],
                &["--proof", proof, "--profile", profile],
            ]
            .concat();
            let (out, err) = workspace.succeed(&arguments);
            assert_eq!((out.as_str(), err.as_str()), ("ok client1\n", "200 OK\n"));
        }
    }
}

#[test]
fn all_settings_by_hand() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    let settings = [
        "--label",
        "EXPERIMENTAL-mine",
        "--context",
        "client-id",
        "--layout",
        "vault",
        "--client-header",
        "x-client",
        "--key-header",
        "x-key",
    ];
    let gateway = workspace.gateway(&settings);
    let url = gateway.url();
    workspace.succeed(&[&connect(&url, "client1", "client1.pem")[..], &settings].concat());
    for skipped in 0..settings.len() / 2 {
        let mut other = settings.to_vec();
        other.drain(skipped * 2..skipped * 2 + 2);
        let output =
            workspace.run(&[&connect(&url, "client1", "client1.pem")[..], &other].concat());
        assert!(
            !output.status.success(),
            "without {}",
            settings[skipped * 2]
        );
    }
}

#[test]
fn passwords_registers_and_pins() {
    let workspace = Workspace::new();
    std::fs::write(workspace.path("password"), "secret\n").unwrap();
    std::fs::write(workspace.path("hmac.key"), "my_api_key").unwrap();
    let more = [
        "--secret-file",
        "hmac.key",
        "--password-file",
        "password",
        "--pcrs",
        "sha256:0,16",
    ];
    workspace.provision("client1", &more);
    assert!(
        std::fs::read_to_string(workspace.path("registry.toml"))
            .unwrap()
            .contains("bXlfYXBpX2tleQ==")
    );
    let (_, said) = workspace.succeed(&[
        "provision",
        "--client-id",
        "x",
        "--out",
        "inside.pem",
        "--inside",
    ]);
    assert!(said.contains("no registry entry"));
    let pin = said
        .split("--parent-name ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_owned();
    let gateway = workspace.gateway(&[]);
    let url = gateway.url();
    let with_password = [
        &connect(&url, "client1", "client1.pem")[..],
        &["--password-file", "password", "--parent-name", &pin],
    ]
    .concat();
    workspace.succeed(&with_password);
    let (_, error) = workspace.fail(&connect(&url, "client1", "client1.pem"));
    assert!(error.contains("password is wrong or missing"), "{error}");
    workspace.swtpm.tool(
        "tpm2_pcrextend",
        &[&format!("16:sha256={}", "22".repeat(32))],
    );
    let (_, error) = workspace.fail(&with_password);
    assert!(
        error.contains("another value than when the key was provisioned"),
        "{error}"
    );
    let other = format!("000b{}", "00".repeat(32));
    let (_, error) = workspace.fail(
        &[
            &connect(&url, "client1", "client1.pem")[..],
            &["--parent-name", &other],
        ]
        .concat(),
    );
    assert!(error.contains("was pinned"), "{error}");
}

#[test]
fn who_is_not_admitted_is_told_what_to_look_at() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    std::fs::write(
        workspace.path("registry.toml"),
        "[clients.client1]\nhmac_sha256 = \"AAAA\"\n",
    )
    .unwrap();
    let gateway = workspace.gateway(&[]);
    let url = gateway.url();
    for client in ["client1", "nobody"] {
        let (code, error) = workspace.fail(&connect(&url, client, "client1.pem"));
        assert_eq!(code, 3);
        assert!(
            error.contains("401") && error.contains("--client-id"),
            "{error}"
        );
    }
    let log = gateway.stop();
    assert!(
        log.contains("client \\\"nobody\\\" is not in the registry")
            || log.contains("client \"nobody\" is not in the registry"),
        "{log}"
    );
}

/// What is printed and logged holds no keys, also at the highest level.
#[test]
fn logs_hold_no_secrets() {
    let workspace = Workspace::new();
    std::fs::write(workspace.path("hmac.key"), "a secret that nobody may see").unwrap();
    workspace.provision("client1", &["--secret-file", "hmac.key"]);
    let registry = std::fs::read_to_string(workspace.path("registry.toml")).unwrap();
    let encoded = registry.split('"').nth(3).unwrap().to_owned();
    let gateway = workspace.gateway(&[]);
    let url = gateway.url();
    for proof in ["api-key", "jws"] {
        let arguments = [
            &connect(&url, "client1", "client1.pem")[..],
            &["--proof", proof],
        ]
        .concat();
        let output = workspace
            .command(&arguments)
            .env("RUST_LOG", "trace")
            .output()
            .unwrap();
        assert!(output.status.success());
        let said = text(&output.stderr);
        for secret in [
            "a secret that nobody",
            &encoded,
            "Bearer ",
            "chanbind-key: ",
        ] {
            assert!(!said.contains(secret), "{secret} in {said}");
        }
    }
}

#[test]
fn inspect_explains() {
    let workspace = Workspace::new();
    workspace.provision("client1", &["--pcrs", "sha256:7"]);
    let (out, _) = workspace.succeed(&["inspect", "key", "client1.pem"]);
    for part in [
        "H2 primary of the owner hierarchy",
        "\"client1\"",
        "keyed hash",
        "PCRs 00000001000b03800000",
        "name         000b",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let (out, _) = workspace.succeed(&["inspect", "binding", "chain.pem"]);
    assert!(
        out.contains("256 bits") && out.contains("RFC 9266"),
        "{out}"
    );
    let tokens = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/vectors/go-demo-tokens.json"
    ))
    .unwrap();
    for (token, part) in [
        (
            "eyJhbGciOiJIUzI1NiJ9.",
            "{\"iss\":\"issuer\",\"sub\":\"subject\"}",
        ),
        ("eyJhbGciOiJkaXIi", "\"kid\":\"client_1\""),
    ] {
        let start = tokens.find(&format!("\"token\": \"{token}")).unwrap() + 10;
        let token = tokens[start..].split('"').next().unwrap();
        std::fs::write(workspace.path("token"), token).unwrap();
        let (out, _) = workspace.succeed(&["inspect", "token", "token"]);
        assert!(
            out.contains(part) && out.contains("a gateway would verify it"),
            "{out}"
        );
        assert!(
            !out.contains(&token[token.len() - 20..]),
            "the token itself is not printed"
        );
    }
    std::fs::write(workspace.path("token"), "eyJhbGciOiJub25lIn0.e30.").unwrap();
    let (out, _) = workspace.succeed(&["inspect", "token", "token"]);
    assert!(out.contains("would reject it"), "{out}");
}

/// The table for firmware is what its configuration takes, and is not written where firmware could not use the key.
#[test]
fn provision_writes_the_key_for_firmware() {
    let workspace = Workspace::new();
    workspace.provision("client1", &["--device-config", "key.toml"]);
    let table = std::fs::read_to_string(workspace.path("key.toml")).unwrap();
    let toml = format!(
        "host = \"gateway.example\"\nport = 8443\nclient_id = \"client1\"\nauthorities = [\"ca.pem\"]\ntime = \"build\"\n{table}"
    );
    std::fs::write(workspace.path("chanbind.toml"), toml).unwrap();
    let config =
        chanbind_device_config::build::from_file(&workspace.path("chanbind.toml")).unwrap();
    let config = chanbind_device_config::Config::parse(&config).unwrap();
    let pem = std::fs::read_to_string(workspace.path("client1.pem")).unwrap();
    let file = chanbind::tpm::KeyFile::from_pem(&pem).unwrap();
    assert_eq!(config.key.private, file.private);
    assert_eq!(config.key.public, file.public);

    for (arguments, says) in [
        (&["--device-config", "key.toml"][..], "key.toml exists"),
        (
            &["--device-config", "other.toml", "--pcrs", "sha256:7"],
            "leave out --parent and --pcrs",
        ),
        (&["--device-config", "no/such/folder.toml"], "folder.toml"),
    ] {
        let provision = [
            "provision",
            "--client-id",
            "client2",
            "--out",
            "client2.pem",
        ];
        let output = workspace.run(&[&provision, arguments].concat());
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(says), "{said}");
        assert!(!workspace.path("client2.pem").exists());
    }
}

#[test]
fn gateways_can_send_small_records() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    let gateway = workspace.gateway(&["--max-fragment-size", "2048"]);
    let (out, _) = workspace.succeed(&connect(&gateway.url(), "client1", "client1.pem"));
    assert_eq!(out, "ok client1\n");
}

/// A client that asks for much and reads nothing keeps the gateway from stopping in order; a second signal ends it at once.
#[test]
fn a_second_signal_ends_the_gateway_at_once() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    let mut gateway = workspace.gateway(&[]);
    // It logs each refusal.
    let mut log = gateway.child.stderr.take().unwrap();
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    let mut greedy = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect"])
        .arg(format!("127.0.0.1:{}", gateway.port))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut requests = greedy.stdin.take().unwrap();
    let written = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&written);
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        let many = "GET /get HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_000);
        for _ in 0..1_000 {
            if requests.write_all(many.as_bytes()).is_err() {
                break;
            }
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    // Until nothing more is taken: the gateway cannot write its answers.
    let mut before = usize::MAX;
    for _ in 0..60 {
        std::thread::sleep(std::time::Duration::from_secs(1));
        let now = written.load(std::sync::atomic::Ordering::SeqCst);
        if now > 0 && now == before {
            break;
        }
        before = now;
    }
    program::signal(&gateway.child, Signal::INT).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(
        gateway.child.try_wait().unwrap().is_none(),
        "it stops in order"
    );
    let start = std::time::Instant::now();
    program::signal(&gateway.child, Signal::INT).unwrap();
    assert_eq!(gateway.child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < std::time::Duration::from_secs(5));
    let _ = greedy.kill();
    let _ = greedy.wait();
    let _ = writer.join();
}

/// A registry has no limit: every device of a large fleet is known. Other files that are too large are an error, and are not cut.
#[test]
fn large_files_are_read_whole_or_not_at_all() {
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
    // The last one.
    registry.push_str(&entry);
    assert!(registry.len() > 16 * 1024 * 1024);
    workspace.write("registry.toml", &registry);
    let gateway = workspace.gateway(&[]);
    assert!(
        gateway.line.contains("200001 client(s)"),
        "{}",
        gateway.line
    );
    drop(gateway);

    let certificate = workspace.read("chain.pem");
    workspace.write(
        "chain.pem",
        format!("{}{certificate}", "\n".repeat(16 * 1024 * 1024)),
    );
    let (_, error) = workspace.fail(&[
        "gateway",
        "--registry",
        "registry.toml",
        "--cert",
        "chain.pem",
        "--key",
        "server.pem",
    ]);
    assert!(error.contains("chain.pem: 16 MiB or more"), "{error}");
}
