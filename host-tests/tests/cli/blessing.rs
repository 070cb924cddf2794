//! The command `principal` and the subcommands `blessing`.

use super::*;

/// Creates the principal that blesses the others.
const FACTORY: &[&str] = &["principal", "create", "factory", "--name", "factory"];

impl Workspace {
    /// Creates a principal that `factory` has blessed with `extension`, and that recognizes its roots.
    fn blessed(&self, name: &str, extension: &str, create: &[&str], bless: &[&str]) {
        self.succeed(&[&["principal", "create", name], create].concat());
        let for_name = ["--for", name, "--extension", extension];
        let arguments = [&["principal", "bless", "factory"], &for_name[..], bless].concat();
        let (blessings, _) = self.succeed(&arguments);
        let file = format!("{name}.blessings");
        self.write(&file, blessings);
        self.succeed(&["principal", "set", name, &file]);
        self.succeed(&["principal", "recognize", name, "--blessings", &file]);
    }

    /// Connects as a principal. Returns the exit code, the content of the response, and the messages.
    fn connect_blessing(&self, url: &str, name: &str, more: &[&str]) -> (i32, String, String) {
        let own = ["connect", "blessing", url, "--ca", "ca.pem"];
        let principal = ["--principal", name, "--server", "factory:gateway"];
        let output = self.run(&[&own[..], &principal, more].concat());
        let code = output.status.code().unwrap();
        (code, text(&output.stdout), text(&output.stderr))
    }

    fn blessing_gateway(&self, arguments: &[&str]) -> Gateway {
        let own = ["gateway", "blessing", "--principal", "gateway"];
        let server = ["--cert", "chain.pem", "--key", "server.pem"];
        let listen = ["--listen", "127.0.0.1:0"];
        let mut command = self.command(&[&own[..], arguments, &server, &listen].concat());
        Gateway::start(&mut command, None)
    }
}

/// A workspace with a factory and a gateway.
fn workspace() -> Workspace {
    let workspace = Workspace::without_tpm();
    workspace.succeed(FACTORY);
    workspace.blessed("gateway", "gateway", &[], &[]);
    workspace
}

#[test]
fn principals_with_keys_of_every_type_are_admitted() {
    let workspace = workspace();
    let gateway = workspace.blessing_gateway(&["--admit", "factory:line3"]);
    for key_type in ["p256", "p384", "ed25519"] {
        let extension = format!("line3:{key_type}");
        workspace.blessed(key_type, &extension, &["--key-type", key_type], &[]);
        let (code, out, err) = workspace.connect_blessing(&gateway.url(), key_type, &[]);
        assert_eq!(code, 0, "{err}");
        assert!(out.starts_with(&format!("ok factory:{extension}")), "{out}");
        assert!(err.contains("admitted by the proof (blessing)"), "{err}");
    }
    // With content, which goes to the server when both ends have proved themselves.
    let content = ["-X", "POST", "-d", "23.5"];
    let (code, _, err) = workspace.connect_blessing(&gateway.url(), "p256", &content);
    assert_eq!(code, 0, "{err}");
    workspace.blessed("pump7", "line4:pump7", &[], &[]);
    let (code, out, err) = workspace.connect_blessing(&gateway.url(), "pump7", &[]);
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert!(err.contains("does a pattern admit the name"), "{err}");
    let log = gateway.stop();
    assert!(log.contains("not admitted"), "{log}");
}

#[test]
fn a_principal_with_a_key_in_a_tpm_is_admitted() {
    let workspace = Workspace::new();
    workspace.succeed(FACTORY);
    workspace.blessed("gateway", "gateway", &[], &[]);
    workspace.blessed("pump7", "line3:pump7", &["--key-type", "tpm"], &[]);
    let gateway = workspace.blessing_gateway(&["--admit", "factory:line3"]);
    let (code, out, err) = workspace.connect_blessing(&gateway.url(), "pump7", &[]);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("ok factory:line3:pump7"), "{out}");

    let provision = ["provision", "blessing", "--principal", "pump7"];
    let server = ["--server", "factory:gateway:$"];
    let file = ["--device-config", "pump7.toml"];
    let provision = [&provision[..], &server, &file].concat();
    workspace.succeed(&provision);
    let section = std::fs::read_to_string(workspace.path("pump7.toml")).unwrap();
    assert_contains_all(
        &section,
        &[
            "[proof.blessing]\n",
            "servers = [\"factory:gateway:$\"]",
            "[proof.blessing.key]\nparent_name = \"000b",
        ],
    );
    let (code, err) = workspace.fail(&provision);
    assert_eq!(code, 1, "{err}");
    // Firmware cannot use a key in a file.
    let with_file = [
        "provision",
        "blessing",
        "--principal",
        "gateway",
        "--server",
        "x",
        "--device-config",
        "gateway.toml",
    ];
    let (_, err) = workspace.fail(&with_file);
    assert!(err.contains("--key-type tpm"), "{err}");
}

#[test]
fn a_server_that_is_not_trusted_is_shown_nothing() {
    let workspace = workspace();
    workspace.blessed("pump7", "line3:pump7", &[], &[]);
    let stranger = ["principal", "create", "stranger", "--name"];
    workspace.succeed(&[&stranger[..], &["factory:gateway"]].concat());
    let server = ["--cert", "chain.pem", "--key", "server.pem"];
    let arguments = ["gateway", "blessing", "--principal", "stranger"];
    let listen = ["--admit", "...", "--listen", "127.0.0.1:0"];
    let mut command = workspace.command(&[&arguments[..], &server, &listen].concat());
    let gateway = Gateway::start(&mut command, None);
    let (code, out, err) = workspace.connect_blessing(&gateway.url(), "pump7", &[]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert_contains_all(&err, &["the server is not trusted", "add it to the roots"]);
    let (code, _, err) =
        workspace.connect_blessing(&gateway.url(), "pump7", &["--server", "factory"]);
    assert_eq!(code, 1, "{err}");
    let log = gateway.stop();
    assert!(!log.contains("proof accepted"), "{log}");
}

/// A server that does not ask for blessings has not proved its own.
#[test]
fn content_is_not_sent_to_a_server_that_does_not_prove_itself() {
    let workspace = workspace();
    workspace.blessed("pump7", "line3:pump7", &[], &[]);
    let gateway = workspace.configured_gateway(
        "[proof.blessing]\nprincipal = \"gateway\"\nadmit = [\"factory\"]\n\n\
         [[rule]]\npath = \"/\"\nany = [\"blessing\"]\n\n\
         [[rule]]\npath = \"/open\"\nexempt = true\n",
    );
    let url = gateway.url_of("/open");
    let content = ["-X", "POST", "-d", "23.5"];
    let (code, out, err) = workspace.connect_blessing(&url, "pump7", &content);
    assert_eq!((code, out.as_str()), (4, ""), "{err}");
    assert!(
        err.contains("the request with its content was not sent"),
        "{err}"
    );
    gateway.stop();
}

#[test]
fn conditions_are_checked_for_each_request() {
    let workspace = workspace();
    let gateway = workspace.blessing_gateway(&["--admit", "factory"]);
    for (name, bless, connect, code) in [
        ("get", &["--method", "GET"][..], &[][..], 0),
        ("put", &["--method", "PUT"], &[], 3),
        ("peer", &["--peer", "factory:gateway"], &[], 0),
        ("another", &["--peer", "factory:another"], &[], 3),
        ("day", &["--valid-for", "1d"], &[], 0),
        ("past", &["--valid-for", "0s"], &[], 3),
    ] {
        workspace.blessed(name, name, &[], bless);
        let (ended, _, err) = workspace.connect_blessing(&gateway.url(), name, connect);
        assert_eq!(ended, code, "{name}: {err}");
    }
    let (shown, _) = workspace.succeed(&["principal", "show", "put"]);
    assert_contains_all(
        &shown,
        &[
            "name: factory:put\n",
            "certificate 2: \"put\"",
            "condition: for the methods PUT",
        ],
    );
    gateway.stop();
}

#[test]
fn a_third_party_discharges_a_condition() {
    let workspace = workspace();
    workspace.succeed(&["principal", "create", "auditor", "--name", "auditor"]);
    let key = std::fs::read_to_string(workspace.path("auditor/public_key")).unwrap();
    let third_party = format!("{}@https://auditor.example/", key.trim());
    let condition = ["--third-party", &third_party];
    workspace.blessed("pump7", "line3:pump7", &[], &condition);
    let gateway = workspace.blessing_gateway(&["--admit", "factory:line3"]);
    let (code, _, err) = workspace.connect_blessing(&gateway.url(), "pump7", &[]);
    assert_eq!(code, 3, "{err}");
    let give = ["principal", "discharge", "auditor", "--for"];
    let valid = ["pump7.blessings", "--valid-for", "1h"];
    let (discharges, _) = workspace.succeed(&[&give[..], &valid].concat());
    assert_eq!(discharges.lines().count(), 1);
    workspace.write("pump7/discharges", &discharges);
    let (code, out, err) = workspace.connect_blessing(&gateway.url(), "pump7", &[]);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("ok factory:line3:pump7"), "{out}");
    // Those of another third party are of no use.
    let give = ["principal", "discharge", "gateway", "--for"];
    let (_, err) = workspace.fail(&[&give[..], &valid].concat());
    assert!(err.contains("no condition names this principal"), "{err}");
    gateway.stop();
}

#[test]
fn access_lists_that_exclude_no_peer_are_named_by_check() {
    let workspace = workspace();
    for (lines, warning) in [
        ("admit = [\"factory\"]", None),
        (
            "admit = [\"...\"]",
            Some("admits every peer, also one without names"),
        ),
        (
            "admit = [\"...\"]\nexclude = [\"factory:line4\"]",
            Some("the patterns that exclude have no effect"),
        ),
        (
            "admit = [\"factory:\"]",
            Some("a pattern is invalid, and has no effect"),
        ),
    ] {
        workspace.write(
            "gateway.toml",
            workspace::configuration(&format!(
                "[proof.blessing]\nprincipal = \"gateway\"\n{lines}\n\n\
                 [[rule]]\npath = \"/\"\nany = [\"blessing\"]\n"
            )),
        );
        let output = workspace.run(&["gateway", "--config", "gateway.toml", "--check"]);
        let err = text(&output.stderr);
        assert_eq!(output.status.success(), warning.is_none(), "{lines}: {err}");
        assert!(err.contains(warning.unwrap_or_default()), "{lines}: {err}");
    }
}

#[test]
fn rules_have_lists_of_their_own() {
    let workspace = workspace();
    for name in ["reader", "writer"] {
        workspace.blessed(name, name, &[], &[]);
    }
    let gateway = workspace.configured_gateway(
        "[proof.blessing]\nprincipal = \"gateway\"\nadmit = [\"factory\"]\n\
         [proof.blessing.lists.writers]\nadmit = [\"factory:writer\"]\n\n\
         [[rule]]\npath = \"/\"\nany = [\"blessing\"]\n\n\
         [[rule]]\npath = \"/write\"\nany = [\"blessing:writers\"]\n",
    );
    for (name, path, expected) in [
        ("reader", "/get", 0),
        ("reader", "/write", 3),
        ("writer", "/get", 0),
        ("writer", "/write", 0),
    ] {
        let (code, _, err) = workspace.connect_blessing(&gateway.url_of(path), name, &[]);
        assert_eq!(code, expected, "{name} {path}: {err}");
    }
    gateway.stop();
}

#[test]
fn errors_name_the_remedy() {
    let workspace = workspace();
    workspace.succeed(&["principal", "create", "pump7"]);
    for (arguments, expected) in [
        (&["principal", "create", "pump7"][..], "exists"),
        (
            &["principal", "create", "x", "--name", "a:$"],
            "ends with '$'",
        ),
        (
            &["principal", "set", "pump7", "gateway.blessings"],
            "the blessings are for another principal",
        ),
        (
            &[
                "principal",
                "bless",
                "pump7",
                "--for",
                "gateway",
                "--extension",
                "x",
            ],
            "the blessings have no certificates",
        ),
        (&["principal", "show", "ca.pem"], "base64url"),
        (
            &[
                "principal",
                "recognize",
                "pump7",
                "--key",
                "x",
                "--pattern",
                "y",
            ],
            "base64url",
        ),
    ] {
        let (_, err) = workspace.fail(arguments);
        assert!(err.contains(expected), "{arguments:?}: {err}");
    }
    assert!(!workspace.path("x").exists());
}

/// Blessings that upstream's command has printed.
#[test]
fn blessings_of_upstream_are_shown() {
    let workspace = Workspace::without_tpm();
    let recorded = include_str!("../../vectors/vanadium-live.json");
    let recorded: serde_json::Value = serde_json::from_str(recorded).unwrap();
    let commands = recorded["principal_command"]["commands"]
        .as_array()
        .unwrap();
    let blessed = "principal --v23.credentials=A bless --for=87600h B u:mara";
    let command = commands
        .iter()
        .find(|command| command["command"] == blessed);
    workspace.write("b", command.unwrap()["stdout"].as_str().unwrap());
    let (shown, _) = workspace.succeed(&["principal", "show", "b"]);
    assert_contains_all(
        &shown,
        &[
            "name: idp:u:mara (its root is not recognized here)\n",
            "chain 1, certificate 1: \"idp\"",
            "chain 1, certificate 2: \"u:mara\"",
            "condition: until ",
        ],
    );
}
