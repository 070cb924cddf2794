//! The subcommands `mutual`.

use super::{workspace::configuration, *};
use chanbind_host_tests::go;

const REALM: [&str; 4] = ["--realm", "technicians", "--auth-scope", "localhost"];

impl Workspace {
    /// Registers a user with a password in `users.toml`.
    fn register_user(&self, user: &str, password: &str) -> String {
        self.write("password", format!("{password}\n"));
        let file = ["--password-file", "password"];
        let provision = ["provision", "mutual", "--user", user];
        let (entry, _) = self.succeed(&[&provision[..], &REALM, &file].concat());
        let before = std::fs::read_to_string(self.path("users.toml")).unwrap_or_default();
        self.write("users.toml", before + &entry);
        entry
    }

    /// Returns a gateway for the users in `users.toml`.
    fn mutual_gateway(&self, more: &str) -> Gateway {
        self.configured_gateway(&format!(
            "[proof.mutual]\norigin = \"https://localhost\"\nrealm = \"technicians\"\nusers = \"users.toml\"\n\n{more}"
        ))
    }

    /// Connects with a password.
    fn connect_mutual(
        &self,
        url: &str,
        user: &str,
        password: &str,
        more: &[&str],
    ) -> (i32, String, String) {
        self.write("password", password);
        let own = ["connect", "mutual", url, "--ca", "ca.pem", "--user", user];
        let file = ["--password-file", "password"];
        let output = self.run(&[&own[..], &file, more].concat());
        let code = output.status.code().unwrap();
        (code, text(&output.stdout), text(&output.stderr))
    }
}

const RULES: &str =
    "[[rule]]\npath = \"/\"\nany = [\"mutual\"]\n\n[[rule]]\npath = \"/health\"\nexempt = true\n";

#[test]
fn a_registered_user_is_admitted_and_others_are_not() {
    let workspace = Workspace::without_tpm();
    let entry = workspace.register_user("Renée of Pâris", "correct horse");
    assert!(
        entry.starts_with(
            "[users.\"Renée of Pâris\"]\ncredential = \"mutual1:iso-kam3-ec-p256-sha256:"
        ),
        "{entry}"
    );
    assert!(!entry.contains("correct horse"));
    let admin = "[admin]\nlisten = \"127.0.0.1:0\"\n";
    let gateway = workspace.mutual_gateway(&format!("{RULES}{admin}"));
    let url = gateway.url();
    for more in [
        &[][..],
        &["--validation", "tls-server-end-point"],
        &["-X", "POST", "-d", "content"],
    ] {
        let (code, out, err) =
            workspace.connect_mutual(&url, "Renée of Pâris", "correct horse", more);
        assert_eq!(code, 0, "{err}");
        assert!(out.starts_with("ok Renée of Pâris"), "{out}");
        assert!(err.contains("admitted by the proof (mutual)"), "{err}");
    }
    let mut errors = Vec::new();
    for (user, password) in [("Renée of Pâris", "another"), ("john", "correct horse")] {
        let (code, out, err) = workspace.connect_mutual(&url, user, password, &[]);
        assert_eq!((code, out.as_str()), (3, ""), "{err}");
        assert_contains_all(
            &err,
            &[
                "auth-failed",
                "nothing of the response is shown",
                "check user and password",
                "registered for this realm",
            ],
        );
        errors.push(err);
    }
    assert_eq!(errors[0], errors[1]);
    // The page of the operator has the name that a refused client claimed.
    let refused = admin::get(&admin::operators(&gateway), "/device?name=john");
    assert!(
        refused.contains("refused from 127.0.0.1, not proved: the password"),
        "{refused}"
    );
    // A path without a proof: nothing is proved, and nothing is shown.
    let health = format!("{}health", url.trim_end_matches("get"));
    let (code, out, err) = workspace.connect_mutual(&health, "john", "correct horse", &[]);
    assert_eq!((code, out.as_str()), (4, ""), "{err}");
    assert!(err.contains("nothing of the response is shown"), "{err}");
    let (code, _, err) = workspace.connect_mutual(&url, "john", "a\u{1}b", &[]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("RFC 8265"), "{err}");
    // By the name alone only where the gateway offers it.
    let (code, _, err) = workspace.connect_mutual(
        &url,
        "Renée of Pâris",
        "correct horse",
        &["--validation", "host"],
    );
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("no host validation method that this client accepts"),
        "{err}"
    );
    let log = gateway.stop();
    assert_contains_all(
        &log,
        &[
            "subject=\"Renée of Pâris\" kind=\"mutual\"",
            "user \"john\"",
            "reason=",
        ],
    );
    assert!(
        !log.contains("correct horse") && !log.contains("another"),
        "{log}"
    );
}

/// The users change while the gateway runs: sessions of those that are gone end.
#[test]
fn the_file_of_users_is_followed() {
    let workspace = Workspace::without_tpm();
    workspace.register_user("john", "first");
    let gateway = workspace.mutual_gateway(RULES);
    let url = gateway.url();
    assert_eq!(workspace.connect_mutual(&url, "john", "first", &[]).0, 0);
    workspace.write("users.toml", "");
    workspace.register_user("john", "second");
    assert!(wait_until(|| workspace
        .connect_mutual(&url, "john", "second", &[])
        .0
        == 0));
    assert_eq!(workspace.connect_mutual(&url, "john", "first", &[]).0, 3);
    let disabled = workspace.read("users.toml") + "enabled = false\n";
    workspace.write("users.toml", disabled);
    assert!(wait_until(|| workspace
        .connect_mutual(&url, "john", "second", &[])
        .0
        == 3));
    workspace.write("users.toml", "[users.john]\ncredential = \"mutual2:x\"\n");
    gateway.wait_for_log("cannot be read: they stay as they were");
}

/// `script` gives the command a terminal.
#[test]
fn a_person_is_asked_for_passwords() {
    let workspace = Workspace::without_tpm();
    let chanbind = program::path("chanbind");
    let on_terminal = |arguments: &str, input: &str| {
        let mut command = Command::new("script");
        let line = format!("{} {arguments} > out", chanbind.display());
        command
            .args(["-q", "-e", "-c", &line, "/dev/null"])
            .current_dir(workspace.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, input.as_bytes()).unwrap();
        let output = process::finish(child);
        drop(stdin);
        (output.status.success(), text(&output.stdout))
    };
    let provision = "provision mutual --user john --realm technicians --auth-scope localhost";
    let (is_done, shown) = on_terminal(provision, "secret words\nsecret words\n");
    assert!(is_done, "{shown}");
    assert_contains_all(&shown, &["New password of john: ", "The same again: "]);
    let entry = workspace.read("out");
    assert!(
        entry.contains("[users.john]") || entry.contains("[users.\"john\"]"),
        "{entry}"
    );
    workspace.write("users.toml", &entry);
    let (is_done, shown) = on_terminal(provision, "secret words\nother words\n");
    assert!(
        !is_done && shown.contains("the two passwords differ"),
        "{shown}"
    );
    let gateway = workspace.mutual_gateway(RULES);
    let connect = format!("connect mutual {} --ca ca.pem --user john", gateway.url());
    let (is_done, shown) = on_terminal(&connect, "secret words\n");
    assert!(is_done, "{shown}");
    assert!(shown.contains("Password of john: "), "{shown}");
    assert_eq!(workspace.read("out"), "ok john\n");
    let without_terminal = [
        "connect",
        "mutual",
        &gateway.url(),
        "--ca",
        "ca.pem",
        "--user",
        "john",
    ];
    let mut command = Command::new("setsid");
    command
        .arg("--wait")
        .arg(&chanbind)
        .args(without_terminal)
        .current_dir(workspace.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = process::finish(command.spawn().unwrap());
    assert!(
        text(&output.stderr).contains("use --password-file"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn configurations_that_contradict_themselves_are_named() {
    let workspace = Workspace::without_tpm();
    workspace.register_user("john", "first");
    let section =
        |rest: &str| format!("[proof.mutual]\norigin = \"https://localhost\"\n{rest}\n{RULES}");
    let own = "realm = \"technicians\"\nusers = \"users.toml\"\n";
    for (rest, expected) in [
        (own.replace("users.toml", "missing.toml"), "missing.toml: "),
        ("realm = \"r\"\n".to_owned(), "needs realm and users"),
        (
            format!("{own}auth_scope = \"other.example\"\n"),
            "does not cover https://localhost:443",
        ),
        (
            format!("{own}algorithm = \"x\"\n"),
            "not an algorithm of RFC 8121",
        ),
        (
            format!("{own}validations = [\"x\"]\n"),
            "write tls-exporter, tls-server-end-point or host",
        ),
        (
            format!("{own}validations = [\"tls-unique\"]\n"),
            "is not for this gateway",
        ),
        (
            format!("{own}validations = []\n"),
            "no host validation method is offered",
        ),
        (own.replace("technicians", "é"), "not a realm"),
    ] {
        workspace.write("gateway.toml", configuration(&section(&rest)));
        let arguments = ["gateway", "--config", "gateway.toml", "--check"];
        let (_, error) = workspace.fail(&arguments);
        assert!(error.contains(expected), "{rest}: {error}");
    }
    workspace.write("empty.toml", "");
    let rest = own.replace("users.toml", "empty.toml");
    workspace.write("gateway.toml", configuration(&section(&rest)));
    let (_, error) = workspace.fail(&["gateway", "--config", "gateway.toml", "--check"]);
    assert!(error.contains("chanbind provision mutual"), "{error}");
    workspace.write("broken.toml", "[users.john]\n\ncredentials = 1\n");
    let rest = own.replace("users.toml", "broken.toml");
    workspace.write("gateway.toml", configuration(&section(&rest)));
    let (_, error) = workspace.fail(&["gateway", "--config", "gateway.toml", "--check"]);
    assert!(
        error.contains("line 1") || error.contains("line 3"),
        "{error}"
    );
    for (arguments, expected) in [
        (["--user", "a\u{7}", "--realm", "r"], "user name"),
        (["--user", "john", "--realm", ""], "not a realm"),
    ] {
        let own = [
            "provision",
            "mutual",
            "--auth-scope",
            "localhost",
            "--password-file",
            "password",
        ];
        let (_, error) = workspace.fail(&[&own[..], &arguments].concat());
        assert!(error.contains(expected), "{error}");
    }
}

/// A user who was registered for another realm cannot log in, and the operator is told why.
#[test]
fn a_user_of_another_realm_is_explained_to_the_operator() {
    let workspace = Workspace::without_tpm();
    workspace.register_user("john", "first");
    let section = "[proof.mutual]\norigin = \"https://localhost\"\nrealm = \"operators\"\nusers = \"users.toml\"\n\n";
    let gateway = workspace.configured_gateway(&format!("{section}{RULES}"));
    assert_eq!(
        workspace
            .connect_mutual(&gateway.url(), "john", "first", &[])
            .0,
        3
    );
    gateway.wait_for_log("register it again");
}

/// Without TLS, with the Go server of the interoperability tests.
#[test]
fn http_is_spoken_with_a_warning() {
    let Some(program) = go::mutual() else { return };
    let workspace = Workspace::without_tpm();
    let (listener, _) = chanbind_host_tests::port::listeners().unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let origin = format!("http://{address}");
    let server = |mode: &str| {
        go::Server::start(
            program,
            "server",
            &[
                "-listen",
                &address,
                "-origin",
                &origin,
                "-algorithm",
                "iso-kam3-ec-p256-sha256",
                "-realm",
                "r",
                "-auth-scope",
                "127.0.0.1",
                "-user",
                "john",
                "-password",
                "first",
                "-validation",
                "host",
                "-misbehave",
                mode,
            ],
        )
    };
    let running = server("");
    let (code, out, err) = workspace.connect_mutual(&origin, "john", "first", &[]);
    assert_eq!((code, out.as_str()), (0, "hello john\n"), "{err}");
    assert!(err.contains("warning: http has no TLS"), "{err}");
    drop(running);
    // Nothing of an answer that is not proved is shown.
    for mode in ["plain-200", "wrong-vks", "early-vks"] {
        let running = server(mode);
        let (code, out, err) = workspace.connect_mutual(&origin, "john", "first", &["-i"]);
        assert_eq!((code, out.as_str()), (1, ""), "{mode}: {err}");
        assert!(err.contains("nothing of it was used"), "{err}");
        drop(running);
    }
    // The other kinds need TLS.
    let (code, error) = workspace.fail(&["connect", "otp", &origin, "--key", "k"]);
    assert_eq!(code, 2, "{error}");
}
